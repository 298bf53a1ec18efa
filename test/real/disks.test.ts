import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { HostFacts } from '../../src/hosts/facts.ts'
import { connectReader } from '../../src/hosts/host.ts'
import type { SshAccess } from '../../src/hosts/ssh.ts'
import { run, until } from './harness/commands.ts'
import { type Login, makeLogin } from './harness/login.ts'
import { type Network, openNetwork } from './harness/network.ts'
import { describeReal, place } from './harness/place.ts'
import { type Router, startRouter } from './harness/router.ts'
import { makeVirtualMachine, type VirtualMachine } from './harness/virtual-machine.ts'

// Kernels of machines for continuous integration have no device mapper and no arrays; a virtual machine's has.
describeReal('disks of a real kernel', () => {
  let network: Network
  let router: Router
  let machine: VirtualMachine
  let login: Login
  let access: SshAccess

  beforeAll(async () => {
    network = openNetwork()
    login = makeLogin()
    machine = makeVirtualMachine(network, {
      name: 'hydrogen',
      number: 12,
      disks: ['EMPTY', 'LVM-A', 'LVM-B', 'CRYPT', 'RAID-A', 'RAID-B'].map(serial => ({
        serial,
        megabytes: 64,
      })),
      kernel: installerFor(login),
    })
    router = await startRouter(network, [machine])
    access = {
      name: machine.name,
      address: machine.address,
      port: 22,
      user: 'core',
      privateKey: login.private,
      pins: 'first-use',
      connectTimeoutMs: 20_000,
    }
    machine.press('on')
    await until('the installer', 240_000, facts, {
      everyMs: 1000,
      dead: () => (machine.isOn() ? undefined : `the machine went off: ${machine.console().slice(-2000)}`),
    })
  }, 300_000)
  afterAll(async () => {
    machine?.press('off')
    await router?.close()
    network?.close()
  })

  const facts = async (): Promise<HostFacts> => {
    const line = await connectReader(access)
    try {
      return await line.host.facts()
    } finally {
      line.close()
    }
  }
  /** As a person logs in: by OpenSSH's own client. */
  const ssh = (script: string) =>
    run(
      'ssh',
      ...['-i', login.file, '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
      ...['-o', 'LogLevel=ERROR', '-o', 'ConnectTimeout=20'],
      `core@${machine.address}`,
      `sudo sh -euc ${"'"}${script}${"'"}`,
    )

  test('an installer is told by what it runs from', async () => {
    const found = await facts()
    expect(found.rootFileSystem).toBe('rootfs')
    expect(found.machineSerial).toBe('HYDROGEN-1')
    expect(found.machineUuid).toBe(machine.uuid)
    expect(found.macs).toEqual([machine.mac])
    expect(found.disks.map(d => d.serial).sort()).toEqual(machine.disks.map(d => d.serial).sort())
    expect(found.disks.every(d => d.content.length === 0 && !d.mounted && !d.boot)).toBe(true)
  })

  test('LVM over two disks, LUKS, an array and a mounted file system are all seen', async () => {
    ssh(
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
    const disks = new Map((await facts()).disks.map(d => [d.serial, d]))
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
})

/** The installer with a config that lets a key in, in the archive behind its initrd. */
function installerFor(key: Login): { file: string; initrd: string; arguments: string } {
  const { kernel, initrd } = place().installer
  const tree = mkdtempSync(join(place().folder, 'config-'))
  mkdirSync(join(tree, 'usr/share/oem'), { recursive: true })
  writeFileSync(
    join(tree, 'usr/share/oem/config.ign'),
    JSON.stringify({
      ignition: { version: '3.3.0' },
      passwd: { users: [{ name: 'core', sshAuthorizedKeys: [key.public] }] },
    }),
  )
  const both = `${tree}.initrd`
  copyFileSync(initrd, both)
  run('truncate', '--size=%4', both)
  run('sh', '-c', 'cd "$1" && find usr | cpio -o -H newc --quiet >>"$2"', '-', tree, both)
  return { file: kernel, initrd: both, arguments: 'console=ttyS0 quiet' }
}
