import { describe, expect, test } from 'vitest'
import { parseFacts } from '../../src/hosts/facts.ts'
import { diskOf, fitting, parseFetched, parseLocalData } from '../../src/hosts/local-data.ts'
import { assertUnused, resolveDisk } from '../../src/hosts/resolve-disk.ts'
import { fileSystemsOf, parseUnmounted } from '../../src/hosts/unmounted-data.ts'
import { diskContent, hostVictims } from '../../src/hosts/victims.ts'
import { compareVictim } from '../../src/runbook/consent.ts'
import { type FakeBlock, factsText } from './facts-text.ts'

const nvme = (name = 'nvme0n1'): FakeBlock[] => [
  {
    name,
    gb: 500,
    device: '259:0',
    serial: 'S4EV',
    wwid: 'eui.0025385a71b0b0c0',
    model: 'Samsung SSD 970',
    path: `/sys/devices/pci0000:00/nvme/nvme0/${name}`,
  },
  { name: `${name}p1`, gb: 1, partition: 1, on: name, device: '259:1' },
  { name: `${name}p9`, gb: 400, partition: 9, on: name, device: '259:9' },
]
const lsblk = (name = 'nvme0n1') =>
  `KNAME="${name}p1" TYPE="part" FSTYPE="vfat" LABEL="EFI-SYSTEM"\nKNAME="${name}p9" TYPE="part" FSTYPE="ext4" LABEL="ROOT"`

const facts = (blocks: FakeBlock[], parts?: Record<string, string>) =>
  parseFacts(factsText(blocks, parts), 'here')

describe('disks', () => {
  test('a root inside LVM inside LUKS is traced to its disk', () => {
    const seen = facts(
      [
        ...nvme(),
        {
          name: 'dm-0',
          gb: 399,
          device: '253:0',
          mapped: 'luks-root',
          mapperId: 'CRYPT-LUKS2-abc-luks-root',
          slaves: ['nvme0n1p9'],
        },
        { name: 'dm-1', gb: 300, device: '253:1', mapped: 'vg-root', mapperId: 'LVM-xyz', slaves: ['dm-0'] },
      ],
      {
        lsblk: `${lsblk()}\nKNAME="dm-0" FSTYPE="LVM2_member" LABEL=""\nKNAME="dm-1" FSTYPE="xfs" LABEL="root"`,
        mounts: '253:1 / xfs /dev/mapper/vg-root\n259:1 /boot/efi vfat /dev/nvme0n1p1',
      },
    )
    expect(seen).toMatchObject({
      bootDisk: 'nvme0n1',
      rootFileSystem: 'xfs',
      disks: [{ boot: true, mounted: true }],
    })
    const [disk] = seen.disks
    expect(disk?.children[1]).toMatchObject({
      number: 9,
      children: [
        {
          type: 'crypt',
          mapped: 'luks-root',
          children: [{ type: 'lvm', mapped: 'vg-root', mountpoints: ['/'] }],
        },
      ],
    })
    // What only this system has opened is no part of what is compared later.
    expect(disk?.content).toEqual(['nvme0n1p1 vfat EFI-SYSTEM', 'nvme0n1p9 ext4 ROOT'])
    expect(() => assertUnused(disk!, 'lithium')).toThrow(
      /vg-root is mounted at \/; .*LVM volume vg-root is active/,
    )
  })

  test('btrfs, whose device number is of no device, is found by its source; swap counts as in use', () => {
    const seen = facts(nvme(), {
      mounts: '0:33 / btrfs /dev/nvme0n1p9',
      swaps: 'Filename Type\n/dev/nvme0n1p1 partition 1 0 -2',
    })
    expect(seen.bootDisk).toBe('nvme0n1')
    expect(seen.disks[0]?.children.map(c => c.swap)).toEqual([true, false])
  })

  test('an array has both its disks below it; neither is anything but a disk', () => {
    const member = (name: string, device: string): FakeBlock => ({
      name,
      gb: 100,
      device,
      serial: name,
      path: `/sys/devices/pci/ata1/block/${name}`,
    })
    const seen = facts(
      [
        member('sda', '8:0'),
        member('sdb', '8:16'),
        { name: 'md127', gb: 100, device: '9:127', raid: 'raid1', slaves: ['sda', 'sdb'] },
      ],
      { mounts: '9:127 / ext4 /dev/md127' },
    )
    expect(seen.disks.map(d => [d.name, d.transport, d.boot, d.children[0]?.type])).toEqual([
      ['sda', 'sata', true, 'raid'],
      ['sdb', 'sata', true, 'raid'],
    ])
  })

  test('without lsblk, blkid says what is on them, and the kernel who they are', () => {
    const seen = facts(nvme(), {
      blkid: '/dev/nvme0n1p9: LABEL="ROOT \\"x\\"" UUID="u" TYPE="ext4" PARTLABEL="root"',
    })
    expect(seen.disks[0]).toMatchObject({
      serial: 'S4EV',
      wwn: 'eui.0025385a71b0b0c0',
      content: ['nvme0n1p9 ext4 ROOT "x"'],
    })
  })

  test('labels are as somebody wrote them, in whatever script', () => {
    const lsblk = [
      'KNAME="sda" FSTYPE="" LABEL=""',
      String.raw`KNAME="sda1" FSTYPE="ext4" LABEL="B\xc3\xbccher \x22a\x22 \x5cx41" PARTLABEL="Gr\303\266\303\237e"`,
    ].join('\n')
    const text = factsText(
      [
        { name: 'sda', gb: 500, device: '8:0' },
        { name: 'sda1', gb: 500, device: '8:1', partition: 1, on: 'sda' },
      ],
      { lsblk },
    )
    const [partition] = parseFacts(text, 'lithium').disks[0]?.children ?? []
    expect(partition).toMatchObject({ label: String.raw`Bücher "a" \x41`, partLabel: 'Größe' })
  })

  test('a LUN is known by its session, whatever it says of itself', () => {
    const seen = facts(
      [
        {
          name: 'sdb',
          gb: 20,
          device: '8:16',
          serial: 'LUN',
          path: '/sys/devices/platform/host3/session7/target3:0:0/3:0:0:1/block/sdb',
        },
      ],
      { iscsi: 'session7 iqn.2000-01.com.synology:nas.pvc-1 192.0.2.17:3260 LOGGED_IN' },
    )
    expect(seen.iscsi).toEqual([
      {
        target: 'iqn.2000-01.com.synology:nas.pvc-1',
        portal: '192.0.2.17:3260',
        state: 'LOGGED_IN',
        disks: ['sdb'],
      },
    ])
    expect(() => resolveDisk(seen, { serial: 'LUN' }, 'lithium')).toThrow(/is a LUN .*192\.0\.2\.17/)
  })

  test('what a machine calls itself cannot act on a terminal', () => {
    const seen = facts(nvme(), {
      'os-release': 'PRETTY_NAME="Ev\u001b[2Jil"',
      lsblk: 'KNAME="nvme0n1p1" FSTYPE="vfat" LABEL="a\\x1b[2Jb"',
    })
    expect(seen.os.name).toBe('Ev[2Jil')
    expect(seen.disks[0]?.content).toEqual(['nvme0n1p1 vfat a[2Jb'])
  })
})

describe('which disk is meant', () => {
  const two = (change: Partial<FakeBlock> = {}, other: Partial<FakeBlock> = {}) =>
    facts([
      { ...nvme()[0]!, ...change },
      {
        name: 'sda',
        gb: 4000,
        device: '8:0',
        serial: 'WD-1',
        wwid: 'naa.50014ee2b5a3c4d5',
        model: 'WDC WD40',
        path: '/sys/devices/pci/ata2/block/sda',
        ...other,
      },
    ])

  test.each([
    [{ serial: 'S4EV' }, 'nvme0n1'],
    [{ serial: 'nvme-Samsung_SSD_970_S4EV' }, 'nvme0n1'],
    [{ serial: '/dev/disk/by-id/ata-WDC_WD40_WD-1' }, 'sda'],
    [{ wwn: 'nvme-eui.0025385A71B0B0C0' }, 'nvme0n1'],
    [{ wwn: '/dev/disk/by-id/wwn-0x50014ee2b5a3c4d5' }, 'sda'],
    [{ wwn: 'naa.50014ee2b5a3c4d5', serial: 'WD-1' }, 'sda'],
  ])('%j is %s', (selector, name) => {
    expect(resolveDisk(two(), selector, 'lithium').name).toBe(name)
  })

  test.each([
    [
      'a part of a serial',
      two(),
      { serial: 'S4E' },
      'disk-not-found',
      /has no disk with serial S4E; it has .*WD-1/,
    ],
    ['nothing', two(), {}, 'disk-not-found', /./],
    [
      'a serial with another WWN',
      two(),
      { serial: 'WD-1', wwn: '0x1' },
      'disk-not-found',
      /its WWN is 0x50014ee2b5a3c4d5, not 0x1/,
    ],
    [
      'one serial twice',
      two({}, { serial: 'S4EV' }),
      { serial: 'S4EV' },
      'disk-ambiguous',
      /2 disks with serial S4EV/,
    ],
    [
      'no serials',
      two({ serial: '', wwid: '' }, { serial: '', wwid: '' }),
      { serial: 'S4EV' },
      'disk-unnamed',
      /neither serial nor WWN/,
    ],
    ['a stick', two({ removable: true }), { serial: 'S4EV' }, 'disk-removable', /removable/],
    ['write-protected', two({ readOnly: true }), { serial: 'S4EV' }, 'disk-read-only', /write-protected/],
  ])('%s is refused with the way out', (_, seen, selector, code, says) => {
    let fault: unknown
    try {
      resolveDisk(seen, selector, 'lithium')
    } catch (thrown) {
      fault = thrown
    }
    expect(fault).toMatchObject({
      code,
      blame: 'operator',
      message: expect.stringMatching(says),
      remedy: expect.stringMatching(/.{30}/),
    })
  })

  test('the way out of a refusal leads out', () => {
    const stick = two({ removable: true, path: '/sys/devices/pci/usb1/1-1/block/nvme0n1' })
    expect(resolveDisk(stick, { serial: 'usb-Samsung_SSD_970_S4EV' }, 'lithium').name).toBe('nvme0n1')
    const twins = two({}, { serial: 'S4EV' })
    expect(resolveDisk(twins, { serial: 'S4EV', wwn: '0x50014ee2b5a3c4d5' }, 'lithium').name).toBe('sda')
  })
})

describe('victims', () => {
  const entry = { disk: { serial: 'S4EV' } }
  const victim = (name: string, blocks = nvme(name)) =>
    hostVictims(facts(blocks, { lsblk: lsblk(name) }), entry, 'lithium')[0]!

  test('the kernel may call the disk something else; a partition that was not there is noticed', () => {
    const before = victim('nvme0n1')
    expect(before.content).toEqual([
      'partition 1: 1.0 GB, vfat EFI-SYSTEM',
      'partition 9: 400.0 GB, ext4 ROOT',
    ])
    expect(compareVictim(before, victim('nvme1n1'), false)).toBe('same')
    const foreign: FakeBlock = { name: 'nvme0n1p10', gb: 50, partition: 10, on: 'nvme0n1', device: '259:10' }
    expect(() => compareVictim(before, victim('nvme0n1', [...nvme(), foreign]), false)).toThrow(
      /partition 10: 50.0 GB, nothing recognised/,
    )
  })

  test('a file system on the disk as a whole is content, too', () => {
    const seen = facts([nvme()[0]!], { lsblk: 'KNAME="nvme0n1" FSTYPE="crypto_LUKS" LABEL=""' })
    expect(diskContent(seen.disks[0]!)).toEqual(['whole disk: crypto_LUKS'])
  })

  test('whoever is asked about a disk is told what on it is encrypted and not open, whichever system looked for data', () => {
    const locked: FakeBlock = { name: 'nvme0n1p4', gb: 50, partition: 4, on: 'nvme0n1', device: '259:4' }
    const said = 'KNAME="nvme0n1p4" TYPE="part" FSTYPE="crypto_LUKS" LABEL="safe"'
    const remarks = (blocks: FakeBlock[]) =>
      (['disk', 'memory', 'silent', 'unmounted'] as const).map(saw => {
        const [disk] = hostVictims(facts(blocks, { lsblk: said }), entry, 'lithium', { saw, data: [] })
        return disk?.remarks?.filter(remark => remark.includes('is encrypted'))
      })
    const told =
      'partition 4 (crypto_LUKS safe) is encrypted and not open: its contents cannot be looked at, and whatever they are is lost with the disk'
    expect(remarks([...nvme(), locked])).toEqual([[told], [told], [told], [told]])
    const inside: FakeBlock = { name: 'dm-0', gb: 50, device: '254:0', mapped: 'safe', slaves: ['nvme0n1p4'] }
    expect(remarks([...nvme(), locked, inside])).toEqual([[], [], [], []])
  })

  const data = [
    {
      kind: 'local-path',
      path: '/opt/local-path-provisioner',
      disk: 'S4EV',
      bytes: 12e9,
      entries: ['pvc-1'],
      claims: ['media/library'],
      saved: false,
    },
    { kind: 'kine', path: '/var/lib/k0s/db', disk: 'S4EV', bytes: 5e6, entries: [], claims: [], saved: true },
    { kind: 'nfs', path: '/mnt/photos', disk: 'WD-1', entries: [], claims: [], saved: false },
  ] as const

  test('what is too large to be saved is a victim of its own, unless it lies on another disk', () => {
    const seen = facts(nvme(), { lsblk: lsblk() })
    const survey = {
      saw: 'disk' as const,
      data: data.map(d => ({ ...d, entries: [...d.entries], claims: [...d.claims] })),
    }
    const victims = hostVictims(seen, entry, 'lithium', survey)
    expect(victims.map(v => [v.kind, v.name, v.content])).toEqual([
      ['disk', 'lithium S4EV', expect.anything()],
      ['data', 'lithium /opt/local-path-provisioner', ['claim media/library']],
    ])
    expect(victims[0]?.remarks?.join('\n')).toMatch(
      /LOST.*local-path.*12\.0 GB, of media\/library\).*\n.*kept with the run’s evidence.*kine/,
    )
    // Sizes move while a person thinks; they are told, and not compared.
    const grown = { ...survey, data: survey.data.map(d => ({ ...d, bytes: 99e9 })) }
    hostVictims(seen, entry, 'lithium', grown).forEach((v, i) => {
      expect(compareVictim(victims[i]!, v, false)).toBe('same')
    })
  })

  test('a machine of which nobody knows anything says so', () => {
    const [disk] = hostVictims(facts(nvme()), entry, 'lithium', { saw: 'silent', data: [] })
    expect(disk?.remarks?.join()).toMatch(/nobody answered/)
  })
})

describe('data on a machine’s own disks', () => {
  const seen = facts(
    [
      ...nvme(),
      { name: 'sda', gb: 4000, device: '8:0', serial: 'WD-1', path: '/sys/devices/pci/ata2/block/sda' },
    ],
    { mounts: '259:9 / ext4 /dev/nvme0n1p9\n8:0 /var/lib/longhorn ext4 /dev/sda' },
  )

  test('it is said on which disk each lies', () => {
    expect(diskOf(seen, '/var/lib/longhorn/replicas')).toBe('WD-1')
    expect(diskOf(seen, '/var/lib/longhorn-other')).toBe('S4EV')
    const text = [
      'data\tlonghorn\t/var/lib/longhorn\t/var/lib/longhorn\t1024',
      'entry\tlonghorn\t/var/lib/longhorn\tpvc-1-r-abc',
      'data\tkine\t/var/lib/k0s/db\t/var/lib/k0s/db\t',
      'file\tkine\t/var/lib/k0s/db/state.db\t4096',
      'pod\tminiflux_web-0_uid-1',
      'end',
    ].join('\n')
    expect(parseLocalData(text, seen, 'lithium')).toEqual({
      pods: ['miniflux_web-0_uid-1'],
      data: [
        { kind: 'longhorn', path: '/var/lib/longhorn', disk: 'WD-1', bytes: 1024, entries: ['pvc-1-r-abc'] },
        { kind: 'kine', path: '/var/lib/k0s/db', disk: 'S4EV', entries: [] },
      ],
      files: [{ kind: 'kine', path: '/var/lib/k0s/db/state.db', bytes: 4096 }],
    })
    expect(() => parseLocalData(text.slice(0, -4), seen, 'lithium')).toThrow('in the middle')
  })

  test('kinds are saved whole or not at all, the small ones first', () => {
    const file = (kind: 'kine' | 'tang', name: string, bytes: number) => ({ kind, path: `/${name}`, bytes })
    expect(
      fitting([
        file('kine', 'state.db', 60e6),
        file('kine', 'state.db-wal', 60e6),
        file('tang', 'a.jwk', 300),
      ]).map(f => f.path),
    ).toEqual(['/a.jwk'])
  })

  test('files come back byte by byte', () => {
    const bytes = Buffer.from([0, 255, 10, 13, 128])
    const text = `file /a\n${bytes.toString('base64')}\nfile /empty\nend\n`
    expect([...parseFetched(text, 'lithium')]).toEqual([
      ['/a', bytes],
      ['/empty', Buffer.alloc(0)],
    ])
  })

  test('what nothing has mounted is told by its part of the disk; what cannot be looked into is named', () => {
    const parts = [1, 2, 3, 4, 6, 9].map(n => `KNAME="nvme0n1p${n}" TYPE="part"`)
    const said = ['vfat', 'ext4', 'xfs', 'crypto_LUKS', 'ext4', 'ext4'].map(
      (type, i) => `FSTYPE="${type}" LABEL="l${i}"`,
    )
    const labels = ['EFI-SYSTEM', '', '', '', 'OEM', 'ROOT'].map(label => `PARTLABEL="${label}"`)
    const blocks = [
      ...nvme(),
      ...[2, 3, 4, 6].map(n => ({
        name: `nvme0n1p${n}`,
        gb: 1,
        partition: n,
        on: 'nvme0n1',
        device: `259:${n}`,
      })),
    ]
    const dead = facts(blocks, { lsblk: parts.map((p, i) => `${p} ${said[i]} ${labels[i]}`).join('\n') })
    const disk = dead.disks[0]!
    const asked = fileSystemsOf(disk)
    expect([...asked].sort()).toEqual(['nvme0n1p2:ext4', 'nvme0n1p3:xfs', 'nvme0n1p9:ext4'])
    const kine = 'data\tkine\t/var/lib/k0s/db\t/var/lib/k0s/db\t10\nend'
    const text = `unplayed\tnvme0n1p2\ninside\tnvme0n1p2\tphotos\nclosed\tnvme0n1p3\nopened\tnvme0n1p9\nroot\tnvme0n1p9\n${kine}\nend\n`
    const { data, unknown } = parseUnmounted(text, disk, dead, 'lithium')
    expect(data.map(d => [d.kind, d.path, d.disk, d.entries])).toEqual(
      expect.arrayContaining([
        ['files', 'partition 2 (l1)', 'S4EV', ['photos']],
        ['kine', '/var/lib/k0s/db', 'S4EV', []],
      ]),
    )
    expect(data).toHaveLength(2)
    expect([...unknown].sort()).toEqual([
      'partition 2 (ext4 l1) was looked into without its journal: what was written to it last may not have been found',
      'partition 3 (xfs l2) cannot be looked into: what is in it is not known',
    ])
    expect(() => parseUnmounted('opened\tnvme0n1p2\n', disk, dead, 'lithium')).toThrow('in the middle')
    const survey = {
      saw: 'unmounted' as const,
      data: data.map(d => ({ ...d, claims: [], saved: false })),
      unknown,
    }
    const [whole, ...pieces] = hostVictims(dead, { disk: { serial: 'S4EV' } }, 'lithium', survey)
    expect(pieces.map(v => v.name).sort()).toEqual(['lithium /var/lib/k0s/db', 'lithium partition 2 (l1)'])
    expect(whole?.remarks?.join('\n')).toMatch(
      /looked into from the machine’s memory[\s\S]*partition 4 \(crypto_LUKS l3\) is encrypted and not open: its contents cannot be looked at/,
    )
  })
})
