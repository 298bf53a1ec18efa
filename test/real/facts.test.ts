import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Disk } from '../../src/hosts/disks.ts'
import { factScript } from '../../src/hosts/fact-script.ts'
import { type HostFacts, parseFacts } from '../../src/hosts/facts.ts'
import { resolveDisk } from '../../src/hosts/resolve-disk.ts'
import { hostVictims } from '../../src/hosts/victims.ts'
import { hostContract } from '../hosts/host-contract.ts'
import { run, runWith } from './harness/commands.ts'
import { startContainer } from './harness/container.ts'
import { makeLogin } from './harness/login.ts'
import { openNetwork } from './harness/network.ts'
import { describeReal, place } from './harness/place.ts'

/** Files with what a disk may hold, as loop devices of this machine's kernel. */
describeReal('the fact script, run by real shells on real block devices', () => {
  const devices: string[] = []
  const loop = (name: string, fill: (file: string) => void): string => {
    const file = join(place().folder, name)
    writeFileSync(file, '')
    truncateSync(file, 64 << 20)
    fill(file)
    const device = run('losetup', '-fP', '--show', file).trim()
    devices.push(device)
    // A device keeps its write protection when another file is put into it.
    run('blockdev', '--setrw', device)
    // Some kernels read no partition tables; util-linux does, and tells them.
    spawnSync('partx', ['-u', device])
    return device.slice('/dev/'.length)
  }
  let parted: string
  let lvm: string
  let luks: string
  let ro: string

  beforeAll(() => {
    parted = loop('parted', file => {
      runWith(
        { input: 'label: gpt\nsize=16M, name=boot\nsize=16M, name=data\nsize=8M, name=blank\n' },
        'sfdisk',
        '-q',
        file,
      )
      const part = (n: number, text: (path: string) => void) => {
        const path = `${file}.${n}`
        writeFileSync(path, '')
        truncateSync(path, 16 << 20)
        text(path)
        run(
          'dd',
          `if=${path}`,
          `of=${file}`,
          'bs=1M',
          `seek=${1 + (n - 1) * 16}`,
          'conv=notrunc',
          'status=none',
        )
      }
      part(1, path => run('mkfs.ext4', '-q', '-L', 'it"s odd $x', path))
      part(2, path => run('mkswap', '-L', 'swap', path))
    })
    lvm = loop('lvm', () => {})
    run('pvcreate', '-q', '-y', '--config', 'devices { filter = [ "a|.*|" ] }', `/dev/${lvm}`)
    luks = loop('luks', file =>
      runWith(
        { input: 'a passphrase' },
        ...(['cryptsetup', '-q', 'luksFormat', '--type', 'luks2', '--pbkdf', 'pbkdf2'] as const),
        ...['--pbkdf-force-iterations', '1000', file, '-'],
      ),
    )
    ro = loop('ro', file => run('mkfs.ext4', '-q', file))
    run('blockdev', '--setro', `/dev/${ro}`)
  })
  afterAll(() => {
    spawnSync('blockdev', ['--setrw', `/dev/${ro}`])
    for (const device of devices) spawnSync('losetup', ['-d', device])
  })

  /**
   * Loop devices are no disks to us. What the script said of ours is told of disks by the same names with `sd` before
   * them and a serial; everything else of it is as it was.
   */
  const seen = (shell: string[]): HostFacts => {
    const [program, ...args] = shell
    const text = execFileSync(program!, args, { input: factScript, encoding: 'utf8' })
    const ours = [parted, lvm, luks, ro]
    const renamed = ours.reduce(
      (all, name) => all.replaceAll(new RegExp(`\\b${name}(?=\\b|p\\d)`, 'g'), `sd-${name}`),
      text,
    )
    return parseFacts(
      renamed
        .split('\n')
        .map(line => {
          const fields = line.split('\t')
          if (fields.length === 15 && ours.includes(fields[0]!.slice(3))) fields[11] = `S-${fields[0]}`
          return fields.join('\t')
        })
        .join('\n'),
      'here',
    )
  }
  const disk = (facts: HostFacts, name: string): Disk =>
    resolveDisk(facts, { serial: `S-sd-${name}` }, 'here')

  describe.each([
    ['dash', ['sh', '-s']],
    ['bash', ['bash', '-s']],
    ['busybox', ['busybox', 'sh', '-s']],
  ])('by %s', (_, shell) => {
    test('partitions, file systems, swap, LVM and LUKS are on the disks that they are on', () => {
      const facts = seen(shell)
      expect(facts.access).toBe('root')
      expect(disk(facts, parted)).toMatchObject({
        sizeBytes: 64 << 20,
        readOnly: false,
        mounted: false,
        boot: false,
        children: [
          {
            type: 'part',
            number: 1,
            sizeBytes: 16 << 20,
            fsType: 'ext4',
            label: 'it"s odd $x',
            partLabel: 'boot',
            mountpoints: [],
          },
          { type: 'part', number: 2, fsType: 'swap', label: 'swap', partLabel: 'data', swap: false },
          { type: 'part', number: 3, sizeBytes: 8 << 20, fsType: '', partLabel: 'blank' },
        ],
      })
      expect(disk(facts, lvm)).toMatchObject({ fsType: 'LVM2_member', children: [] })
      expect(disk(facts, luks)).toMatchObject({ fsType: 'crypto_LUKS', children: [] })
      expect(() => disk(facts, ro)).toThrow(/write-protected/)
    })
  })

  test('the running system’s own disk is told; loop devices of others are none', () => {
    const facts = parseFacts(execFileSync('sh', ['-s'], { input: factScript, encoding: 'utf8' }), 'here')
    expect(facts.disks.filter(d => d.name.startsWith('loop'))).toEqual([])
    const root = run('findmnt', '-no', 'SOURCE', '/').trim()
    if (root.startsWith('/dev/')) expect(root).toContain(`/dev/${facts.bootDisk}`)
  })

  test('what is mounted is in use, and a partition more is other content', () => {
    const entry = { disk: { serial: `S-sd-${parted}` } }
    const victim = () => hostVictims(seen(['sh', '-s']), entry, 'here')[0]!
    const before = victim()
    const place_ = join(place().folder, 'mounted here')
    mkdirSync(place_)
    run('mount', '-t', 'ext4', `/dev/${parted}p1`, place_)
    try {
      const [first] = disk(seen(['sh', '-s']), parted).children
      expect(first?.mountpoints).toEqual([place_])
      expect(victim().content).toEqual(before.content)
    } finally {
      run('umount', place_)
    }
    runWith({ input: 'size=4M, name=foreign\n' }, 'sfdisk', '-q', '--append', '--no-reread', `/dev/${parted}`)
    run('partx', '-u', `/dev/${parted}`)
    expect(victim().content).toEqual([...before.content, 'partition 4: 4.2 MB, nothing recognised foreign'])
  })

  test('without root it tells less, and says so', () => {
    const shell = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', 'sh', '-s']
    const facts = parseFacts(run0(shell), 'here')
    expect(facts.access).toBe('none')
    expect(facts.bootId).toMatch(/^[0-9a-f-]{36}$/)
    expect(facts.disks.every(d => d.sizeBytes > 0)).toBe(true)
  })
  const run0 = ([program, ...args]: string[]) =>
    execFileSync(program!, args, { input: factScript, encoding: 'utf8' })
})

describeReal('a machine with systemd', () => {
  hostContract('a machine with systemd', async () => {
    const network = openNetwork()
    const host = await startContainer(network, { name: 'boron', number: 15, key: makeLogin() })
    return {
      access: host.access(),
      hostname: 'boron',
      mac: host.mac,
      bootId: () => host.inside('cat', '/proc/sys/kernel/random/boot_id').trim(),
      put(path, text) {
        host.put(path, text)
      },
      changes: () =>
        host.inside(
          'sh',
          '-c',
          "find /etc /opt /srv /root /home /usr/local /var/lib -xdev -type f -printf '%p %C@ %s\\n' | sort | sha256sum",
        ),
      async bootAnother() {
        await host.cutPower()
        await host.replaceSystem({ '/etc/os-release': 'ID=fedora\nVARIANT_ID=coreos\nVERSION_ID=41\n' })
        await host.powerOn()
      },
      async close() {
        await host.stop()
        network.close()
      },
    }
  })
})
