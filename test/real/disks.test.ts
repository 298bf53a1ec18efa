import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hostReader, hostWriter } from '../../src/hosts/host.ts'
import { verifyArtifact } from '../../src/hosts/install/artifact.ts'
import { findInstaller } from '../../src/hosts/install/find-installer.ts'
import { climb } from '../../src/hosts/install/ladder.ts'
import { releaseOf } from '../../src/hosts/install/release-disk.ts'
import type { Guidance, Hands, Situation } from '../../src/hosts/install/rung.ts'
import { writeDisk } from '../../src/hosts/install/write-disk.ts'
import { mintHostKey } from '../../src/hosts/keys.ts'
import { keepLines } from '../../src/hosts/line.ts'
import { resolveDisk } from '../../src/hosts/resolve-disk.ts'
import type { SshAccess } from '../../src/hosts/ssh.ts'
import { run as program, until } from './harness/commands.ts'
import { bootLiveMachine, type LiveMachine } from './harness/live-machine.ts'
import { describeReal, place } from './harness/place.ts'
import { hashOf } from './harness/virtual-machine.ts'

const never = new AbortController().signal

/** An image with nothing on it but the partition on which flatcar-install leaves the config. */
function smallImage(): { file: string; sha256: string } {
  const image = join(mkdtempSync(join(place().folder, 'small-image-')), 'image')
  const script =
    'truncate -s 16M "$1" && echo "start=1MiB, size=8MiB, type=L, name=OEM" | sfdisk --quiet --label gpt "$1" &&' +
    ' mke2fs -q -F -t ext4 -L OEM "$1.oem" 8M && dd if="$1.oem" of="$1" bs=1M seek=1 conv=notrunc status=none && lbzip2 -1 -k "$1"'
  program('sh', '-c', script, '-', image)
  const file = `${image}.bz2`
  return { file, sha256: createHash('sha256').update(readFileSync(file)).digest('hex') }
}

// Kernels of machines for continuous integration have no device mapper and no arrays; a virtual machine's has.
describeReal('disks of a real kernel', () => {
  let live: LiveMachine

  beforeAll(async () => {
    live = await bootLiveMachine(
      'hydrogen',
      12,
      ['NAMED', 'EMPTY', 'LVM-A', 'LVM-B', 'CRYPT', 'RAID-A', 'RAID-B', 'USED'].map(serial => ({
        serial,
        megabytes: serial === 'USED' ? 160 : 64,
      })),
    )
  }, 1_800_000)
  afterAll(() => live?.close())

  test('an installer is told by what it runs from', async () => {
    const found = await live.look()
    expect(found.rootFileSystem).toBe('rootfs')
    expect(found.machineSerial).toBe('HYDROGEN-1')
    expect(found.machineUuid).toBe(live.machine.uuid)
    expect(found.macs).toEqual([live.machine.mac])
    expect(found.disks.map(d => d.serial).sort()).toEqual(live.machine.disks.map(d => d.serial).sort())
    expect(found.disks.every(d => d.content.length === 0 && !d.mounted && !d.boot)).toBe(true)
  })

  test.each(['ssh', 'by-hand'] as const)(
    '%s: the system in memory is found, flatcar-install writes the disk that is named, and no byte of another',
    async way => {
      const { machine, login } = live
      const others = machine.disks.filter(d => d.serial !== 'NAMED')
      const named = machine.disks.find(d => d.serial === 'NAMED')!
      const [before, was] = [others.map(hashOf), hashOf(named)]
      const [run, host, disk] = [`run-${way}`, machine.name, { serial: named.serial }]
      const at = { name: host, address: machine.address, port: 22, user: 'core', privateKey: login.private }
      const lines = keepLines({ pace: 0.1 })
      const guidance: Guidance = {
        signal: never,
        note: () => {},
        askHand: () => {},
        wait: (what, probe) => until(what, 900_000, probe),
      }
      const found = () =>
        findInstaller(
          {
            run,
            host,
            disk,
            pinned: { ...at, pins: [mintHostKey(Buffer.alloc(32, 1), host).publicKey] },
            anyone: { ...at, pins: 'first-use' },
            look: (to, signal, look) => lines.use(to, signal, ssh => look(hostReader(to, ssh)), true),
          },
          never,
        )
      try {
        const situation = async () => ({ host, disk }) as Situation
        expect(await climb([way], situation, () => ({ found }) as unknown as Hands, guidance)).toBe(way)
        const installer = (await found())!
        const to: SshAccess = { ...at, pins: [installer.hostKey] }
        const image = smallImage()
        await lines.use(to, never, async ssh => {
          const writer = hostWriter(to, ssh)
          const facts = await writer.facts()
          await writeDisk(
            // What is on the disk is looked at here; the machine has more tests before it.
            { ...writer, reboot: async () => {} },
            {
              run,
              disk: resolveDisk(facts, disk, host),
              disks: facts.disks,
              image,
              ignition: { text: `{"made for":"${run}"}`, sha256: '' },
              verify: () => verifyArtifact('small image', image, { file: undefined }),
            },
            guidance,
          )
        })
      } finally {
        await lines.close()
      }
      const oem = '/dev/disk/by-label/OEM'
      expect(live.ssh(`udevadm settle; mount -o ro ${oem} /mnt; cat /mnt/config.ign; umount /mnt`)).toBe(
        `{"made for":"${run}"}`,
      )
      expect(hashOf(named)).not.toBe(was)
      expect(others.map(hashOf)).toEqual(before)
    },
  )

  test('LVM over two disks, LUKS, an array and a mounted file system are all seen', async () => {
    live.ssh(
      [
        'disk() { lsblk -dnpo NAME,SERIAL | while read name serial; do [ "$serial" != "$1" ] || echo "$name"; done; }',
        'modprobe -a dm_mod dm_crypt raid1',
        'vgcreate -q data $(disk LVM-A) $(disk LVM-B)',
        'lvcreate -q -y -n files -L 80M data',
        'mkfs.ext4 -q -L files /dev/data/files',
        'mkdir -p /mnt/files',
        'mount /dev/data/files /mnt/files',
        'printf secret | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $(disk CRYPT) -',
        'printf secret | cryptsetup open $(disk CRYPT) kept --key-file -',
        'mkfs.ext4 -q -L kept /dev/mapper/kept',
        'mdadm --quiet --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 $(disk RAID-A) $(disk RAID-B)',
        'mkfs.ext4 -q -L mirror /dev/md0',
        'udevadm trigger --settle --subsystem-match=block',
      ].join('\n'),
    )
    const disks = new Map((await live.look()).disks.map(d => [d.serial, d]))
    const within = (serial: string) => disks.get(serial)?.children
    expect(disks.get('EMPTY')).toMatchObject({ content: [], children: [], mounted: false })
    for (const serial of ['LVM-A', 'LVM-B']) {
      expect(disks.get(serial)).toMatchObject({ fsType: 'LVM2_member', mounted: true, volumeGroup: 'data' })
      expect(within(serial)).toMatchObject([
        { type: 'lvm', mapped: 'data-files', label: 'files', mountpoints: ['/mnt/files'] },
      ])
    }
    expect(disks.get('CRYPT')).toMatchObject({ fsType: 'crypto_LUKS', mounted: false })
    expect(within('CRYPT')).toMatchObject([{ type: 'crypt', mapped: 'kept', fsType: 'ext4', label: 'kept' }])
    for (const serial of ['RAID-A', 'RAID-B']) {
      expect(disks.get(serial)).toMatchObject({ fsType: 'linux_raid_member' })
      expect(within(serial)).toMatchObject([{ type: 'raid', fsType: 'ext4', label: 'mirror' }])
    }
  })

  test('whatever uses a named disk is ended; what stretches over another is refused, and stays as it is', async () => {
    live.ssh(
      [
        'disk=/dev/$(lsblk -dno NAME,SERIAL | while read name serial; do [ "$serial" != USED ] || echo "$name"; done)',
        'printf "size=16M\\nsize=16M\\nsize=24M\\nsize=40M\\nsize=24M\\n" | sfdisk -q --label gpt $disk',
        'udevadm settle',
        'mkfs.ext4 -q "$disk"1',
        'mkdir -p "/mnt/a place" /mnt/lv /mnt/crypt /mnt/md',
        'mount "$disk"1 "/mnt/a place"',
        'mkswap -q "$disk"2',
        'swapon "$disk"2',
        'vgcreate -q own "$disk"3',
        'lvcreate -q -y -n one -L 12M own',
        'mkfs.ext4 -q /dev/own/one',
        'mount /dev/own/one /mnt/lv',
        'printf secret | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$disk"4 -',
        'printf secret | cryptsetup open "$disk"4 opened --key-file -',
        'mkfs.ext4 -q /dev/mapper/opened',
        'mount /dev/mapper/opened /mnt/crypt',
        'mdadm --quiet --create /dev/md1 --run --level=1 --raid-devices=2 --metadata=1.2 "$disk"5 missing',
        'mkfs.ext4 -q /dev/md1',
        'mount /dev/md1 /mnt/md',
        'udevadm trigger --settle --subsystem-match=block',
      ].join('\n'),
    )
    const { disks } = await live.look()
    const named = (serial: string) => disks.find(d => d.serial === serial)!
    for (const serial of ['LVM-A', 'LVM-B', 'RAID-A', 'RAID-B'])
      expect(() => releaseOf(named(serial), disks, 'hydrogen'), serial).toThrow(/lies on another disk, too/)
    const reread = `blockdev --rereadpt /dev/${named('USED').name}`
    expect(() => live.ssh(reread)).toThrow(/busy/)
    live.ssh(releaseOf(named('USED'), disks, 'hydrogen').join('\n'))
    // The kernel itself says that nothing uses it any more, once udev has looked at what was ended.
    live.ssh(`udevadm settle; ${reread}`)
    const after = (await live.look()).disks
    const used = after.find(d => d.serial === 'USED')!
    expect(used.mounted).toBe(false)
    expect(used.children.map(c => c.type)).toEqual(Array(5).fill('part'))
    const others = (all: typeof after) => all.filter(d => d.serial !== 'USED')
    expect(others(after)).toEqual(others(disks))
  })
})
