import { describe, expect, test } from 'vitest'
import type { Disk } from '../../../src/hosts/disks.ts'
import { type CheckContext, checkConfig, hostnameOf } from '../../../src/hosts/ignition/checks.ts'
import type { CompiledIgnition } from '../../../src/hosts/ignition/compile.ts'
import { type IgnitionConfig, parseIgnition } from '../../../src/hosts/ignition/config.ts'
import { ignitionOf } from '../../../src/hosts/ignition/releases.ts'
import { allSources, findSources } from '../../../src/hosts/ignition/sources.ts'
import { mintHostKey } from '../../../src/hosts/keys.ts'

const mine = mintHostKey(Buffer.from('me'), 'me').publicKey
const other = mintHostKey(Buffer.from('somebody'), 'else').publicKey

const hash = `sha512-${'0'.repeat(128)}`
const well = {
  ignition: { version: '3.4.0' },
  passwd: { users: [{ name: 'core', sshAuthorizedKeys: [`from="192.0.2.0/24" ${mine}`] }] },
  storage: { files: [{ path: '/etc/hostname', mode: 420, contents: { source: 'data:,lithium%0A' } }] },
}

function disk(name: string, serial: string, more: Partial<Disk> = {}): Disk {
  return {
    name,
    serial,
    wwn: '',
    model: `Model of ${name}`,
    sizeBytes: 1,
    content: [],
    mounted: false,
    transport: 'nvme',
    removable: false,
    readOnly: false,
    ids: [`nvme-${serial}`],
    boot: false,
    fsType: '',
    label: '',
    uuid: '',
    mountpoints: [],
    swap: false,
    children: [],
    ...more,
  }
}

const named = disk('nvme0n1', 'S4EVNX0M123456')

function findings(
  config: object,
  context: Partial<CheckContext> = {},
  compiled: Partial<CompiledIgnition> = {},
): string[] {
  const text = JSON.stringify(config)
  const parsed = parseIgnition(text, 'lithium.ign')
  return checkConfig(
    {
      text,
      config: parsed,
      shown: 'lithium.ign',
      warnings: [],
      dangers: [],
      localFiles: [],
      by: 'ready-made',
      ...compiled,
    },
    {
      image: ignitionOf('4593.2.5'),
      user: 'core',
      held: [mine],
      own: ['lithium', '192.0.2.11', 'git.example.net'],
      disk: 'S4EVNX0M123456',
      tree: findSources(parsed, undefined, 'lithium.ign'),
      ...context,
    },
  ).map(f => `${f.severity} ${f.code}: ${f.message}`)
}

const only = (found: string[]) => found.map(f => f.split(':')[0])

describe('a config before anything is armed', () => {
  test('one that is well is said nothing of', () => {
    expect(findings(well)).toEqual([])
    expect(hostnameOf(well as IgnitionConfig)).toBe('lithium')
  })

  test('a spec that the image refuses, with what it accepts', () => {
    const [refusal, ...more] = findings({ ...well, ignition: { version: '3.7.0-experimental' } })
    expect(more).toEqual([])
    expect(refusal).toMatch(
      /^refusal ignition-spec-refused.*3\.7\.0-experimental.*Flatcar 4593\.2\.5 has Ignition 2\.24\.0, which accepts 3\.0\.0 to 3\.5\.0 and 3\.6\.0-experimental/,
    )
    expect(only(findings(well, { image: ignitionOf(undefined) }))).toEqual(['warning ignition-spec-unknown'])
    expect(findings(well, { image: ignitionOf('3033.3.18') })[0]).toContain('only specs 1 and 2')
  })

  test('a user who cannot be logged in as', () => {
    expect(only(findings(well, { user: 'root' }))).toEqual(['refusal ignition-no-login'])
    const [refusal] = findings(well, { held: [other] })
    expect(refusal).toMatch(/^refusal ignition-key-not-held.*SHA256:.*\(recover\), and you hold SHA256:/)
    expect(findings(well, { held: [other, mine] })).toEqual([])
    expect(findings(well, { held: undefined })).toEqual([])
    expect(findings(well, { held: [] })).toEqual([])
    const byAuthority = {
      ...well,
      passwd: {},
      storage: {
        files: [
          ...well.storage.files,
          {
            path: '/etc/ssh/sshd_config.d/ca.conf',
            contents: { source: 'data:,TrustedUserCAKeys%20/etc/ca' },
          },
        ],
      },
    }
    expect(only(findings(byAuthority))).toEqual(['warning ignition-login-unknown'])
  })

  test('what is fetched, from whom, with a hash or without', () => {
    const config = {
      ...well,
      ignition: {
        version: '3.4.0',
        config: {
          merge: [{ source: 'https://example.net/common.ign', verification: { hash } }],
        },
      },
      storage: {
        files: [
          ...well.storage.files,
          { path: '/opt/a', contents: { source: 'https://example.net/releases/latest/download/a' } },
          { path: '/opt/b', contents: { source: 'https://example.net/v1/latest-news' } },
          { path: '/opt/c', append: [{ source: 'https://git.example.net/c' }] },
          { path: '/opt/d', contents: { source: 'data:,x' } },
        ],
      },
    }
    expect(
      allSources(findSources(parseIgnition(JSON.stringify(config), 'x'), undefined, 'x')).map(s => [
        s.what,
        s.hashed,
        s.unpinned,
      ]),
    ).toEqual([
      ['a merged config', true, false],
      ['/opt/a', false, true],
      ['/opt/b', false, false],
      ['/opt/c', false, false],
    ])
    const found = findings(config)
    expect(only(found)).toEqual([
      'refusal ignition-source-circular',
      'warning ignition-merged-unseen',
      'warning ignition-source-unpinned',
      'warning ignition-source-unhashed',
    ])
    expect(found[0]).toContain('https://git.example.net/c (/opt/c)')
    expect(found[2]).toContain('https://example.net/releases/latest/download/a (/opt/a)')
    expect(found[2]).not.toContain('latest-news')
  })

  test('a config that has another put in its place would lose our keys', () => {
    const replaced = { ...well.ignition, config: { replace: { source: 'https://example.net/other.ign' } } }
    const found = findings({ ...well, ignition: replaced })
    expect(found.filter(f => f.startsWith('refusal'))).toEqual([
      expect.stringContaining(
        'ignition-replaced: lithium.ign has another config put in its place (https://example.net/other.ign)',
      ),
    ])
  })

  test('no hostname, a path twice, a unit that nothing starts, decimal modes', () => {
    expect(only(findings({ ...well, storage: {} }))).toEqual(['warning ignition-no-hostname'])
    expect(() =>
      findings({ ...well, storage: { files: [...well.storage.files, ...well.storage.files] } }),
    ).toThrow('it writes /etc/hostname twice')
    const unit = '/etc/systemd/system/a.service'
    const found = findings({
      ...well,
      systemd: {
        units: [
          { name: 'a.service', enabled: true, contents: '[Service]\nExecStart=/bin/true\n' },
          {
            name: 'b.service',
            enabled: true,
            contents: '[Service]\n',
            dropins: [{ name: 'i.conf', contents: '[Install]\nWantedBy=x' }],
          },
          { name: 'c.service', enabled: true },
        ],
      },
      storage: {
        files: [
          ...well.storage.files,
          { path: unit, mode: 420 },
          { path: '/etc/key', mode: 600 },
          { path: '/etc/ok', mode: 511 },
        ],
      },
    })
    expect(only(found)).toEqual([
      'refusal ignition-path-twice',
      'warning ignition-mode-decimal',
      'warning ignition-unit-without-install',
    ])
    expect(found[1]).toContain('/etc/key 600, which is 01130')
    expect(found[1]).not.toContain('/etc/ok')
    expect(found[2]).toContain('enables a.service without')
  })

  test('a disk that is bound to Tang without a network in the initramfs', () => {
    const storage = {
      ...well.storage,
      luks: [
        {
          name: 'root',
          device: '/dev/disk/by-partlabel/ROOT',
          clevis: { tang: [{ url: 'http://192.0.2.9', thumbprint: 'x' }] },
        },
      ],
    }
    expect(only(findings({ ...well, storage }))).toEqual(['warning ignition-no-early-network'])
    expect(findings({ ...well, storage, kernelArguments: { shouldExist: ['rd.networkd=1'] } })).toEqual([])
  })

  test('a key that this variant of Butane leaves out; other warnings are handed on', () => {
    const warnings = [
      { severity: 'warning' as const, path: '$.passwd.files', line: 9, column: 3, text: 'unused key files' },
      {
        severity: 'warning' as const,
        path: '$.boot_device',
        line: 3,
        column: 1,
        text: 'unused key boot_device',
      },
    ]
    const found = findings(well, {}, { warnings, by: 'built-in', shown: 'lithium.bu' })
    expect(found[0]).toMatch(/^refusal butane-key-ignored: lithium\.bu:3:1 has boot_device.*encrypted/)
    expect(found[1]).toBe('warning butane-warning: lithium.bu:9:3 $.passwd.files: unused key files')
  })

  test('one that was made elsewhere is held to Ignition’s own rules, as no compiler has done', () => {
    const files = [...well.storage.files, { path: 'etc/a' }]
    const twice = { users: [...well.passwd.users, { name: 'core' }] }
    const [refusal, ...more] = findings({ ...well, passwd: twice, storage: { files } })
    expect(more).toEqual([])
    expect(refusal).toBe(
      'refusal ignition-invalid: lithium.ign is not an Ignition config that can be used: $.storage.files.1.path: path not absolute; $.passwd.users.1: duplicate entry defined',
    )
    // A compiler has said it, and a spec that is not known yet has rules that are not known either.
    expect(findings({ ...well, storage: { files } }, {}, { by: 'built-in' })).toEqual([])
    expect(only(findings({ ...well, ignition: { version: '3.8.0' }, storage: { files } }))).toEqual([
      'refusal ignition-spec-refused',
    ])
  })

  test('one whose values are of other types than Ignition’s is refused, and is no fault of ours', () => {
    const { ignition } = well
    for (const [config, why] of [
      [
        { ignition, storage: { files: {} } },
        'cannot unmarshal object into Go struct field Storage.storage.files',
      ],
      [{ ignition, storage: { files: [null] } }, 'it has null in a list'],
      [{ ignition, passwd: { users: [null] } }, 'it has null in a list'],
      [{ ignition: { ...ignition, config: { merge: {} } } }, 'cannot unmarshal object'],
      [{ ignition: { ...ignition, config: { merge: [{ source: 5 }] } } }, 'cannot unmarshal number'],
    ] as const)
      expect(() => findings(config)).toThrow(
        expect.objectContaining({ code: 'ignition-invalid', message: expect.stringContaining(why) }),
      )
  })

  test('what no compiler warns of is told', () => {
    const dangers = [
      { kind: 'local-not-in-git', file: 'lithium.bu', line: 4, column: 9, text: 'x is ignored by Git' },
    ] as const
    expect(findings(well, {}, { dangers: [...dangers] })).toContain(
      'warning butane-danger: lithium.bu:4:9: x is ignored by Git',
    )
  })
})

describe('devices that a config writes to', () => {
  const on = (device: string) => ({
    ...well,
    storage: { ...well.storage, disks: [{ device, wipeTable: true }] },
  })
  const second = disk('sda', 'OTHER', {
    children: [
      {
        name: 'sda9',
        type: 'part',
        sizeBytes: 1,
        fsType: 'ext4',
        label: 'ROOT',
        partLabel: 'ROOT',
        partType: '',
        uuid: '',
        mountpoints: [],
        swap: false,
        children: [],
      },
    ],
  })

  test('a kernel’s name is resolved, and refused when it is another disk', () => {
    const seen = { named, disks: [named, second] }
    expect(only(findings(on('/dev/nvme0n1')))).toEqual(['warning ignition-kernel-name'])
    expect(findings(on('/dev/nvme0n1'), { seen })[0]).toContain('which is the named disk S4EVNX0M123456 now')
    expect(only(findings(on('/dev/nvme0n1p9'), { seen }))).toEqual(['warning ignition-kernel-name'])
    const moved = {
      named: { ...named, name: 'nvme1n1' },
      disks: [disk('nvme0n1', 'X'), { ...named, name: 'nvme1n1' }],
    }
    expect(findings(on('/dev/nvme0n1'), { seen: moved })[0]).toMatch(
      /^refusal ignition-other-disk.*now Model of nvme0n1 with the serial X/,
    )
    expect(findings(on('/dev/sdb'), { seen })[0]).toContain('which is not there now')
  })

  test('names by id are compared, labels must be on the named disk alone', () => {
    const seen = { named, disks: [named, second] }
    expect(findings(on('/dev/disk/by-id/nvme-S4EVNX0M123456'), { seen })).toEqual([])
    expect(only(findings(on('/dev/disk/by-id/nvme-OTHER'), { seen }))).toEqual([
      'refusal ignition-other-disk',
    ])
    expect(only(findings(on('/dev/disk/by-partlabel/ROOT'), { seen }))).toEqual([
      'refusal ignition-label-elsewhere',
    ])
    expect(findings(on('/dev/disk/by-partlabel/ROOT'), { seen: { named, disks: [named] } })).toEqual([])
    expect(findings(on('/dev/disk/by-partlabel/ROOT'))).toEqual([])
  })

  test('a name by id is that of one disk, whole, and not of another whose name begins with it', () => {
    const longer = disk('vdb', 'data1', { ids: ['virtio-data1'] })
    const shorter = disk('vda', 'data', { ids: ['virtio-data'] })
    const seen = { named: shorter, disks: [shorter, longer] }
    for (const device of ['virtio-data1', 'virtio-data1-part1'])
      expect(only(findings(on(`/dev/disk/by-id/${device}`), { seen }))).toEqual([
        'refusal ignition-other-disk',
      ])
    for (const device of ['virtio-data', 'virtio-data-part1'])
      expect(findings(on(`/dev/disk/by-id/${device}`), { seen })).toEqual([])
  })

  test('a name by which nobody can tell the disk is told of', () => {
    const seen = { named, disks: [named, second] }
    const unknown = ['warning ignition-device-unknown']
    expect(only(findings(on('/dev/disk/by-id/nvme-GONE'), { seen }))).toEqual(unknown)
    expect(only(findings(on('/dev/disk/by-path/pci-0000:01:00.0-nvme-1'), { seen }))).toEqual(unknown)
    expect(only(findings(on('/dev/disk/by-id/nvme-OTHER')))).toEqual(unknown)
    expect(findings(on('/dev/disk/by-id/nvme-S4EVNX0M123456'))).toEqual([])
  })

  test('a file system is wiped by its label or UUID only where it is on the named disk', () => {
    const part = { ...second.children[0]!, label: 'data', partLabel: '', uuid: 'c0ffee' }
    const seen = { named, disks: [named, disk('sda', 'OTHER', { children: [part] })] }
    const filesystem = (device: string, wipeFilesystem: boolean) => ({
      ...well,
      storage: { ...well.storage, filesystems: [{ device, format: 'ext4', wipeFilesystem }] },
    })
    for (const device of ['/dev/disk/by-label/data', '/dev/disk/by-uuid/c0ffee']) {
      expect(only(findings(filesystem(device, true), { seen }))).toEqual(['refusal ignition-label-elsewhere'])
      // It is mounted as it is: a disk with data that stays.
      expect(findings(filesystem(device, false), { seen })).toEqual([])
    }
    expect(findings(filesystem('/dev/disk/by-label/other', true), { seen })).toEqual([])
  })
})

describe('a config that merges others', () => {
  const inside = (config: object) => ({
    source: `data:;base64,${Buffer.from(JSON.stringify(config)).toString('base64')}`,
  })
  const merging = (...configs: object[]) => ({
    ...well,
    ignition: { ...well.ignition, config: { merge: configs.map(inside) } },
  })
  const { ignition } = well

  test('is judged by what comes out: a login, a hostname, an early network may be in either', () => {
    expect(
      findings({ ignition: { ...ignition, config: { merge: [inside({ ...well, ignition })] } } }),
    ).toEqual([])
    const shadowed = merging({
      ignition,
      passwd: { users: [{ name: 'core', sshAuthorizedKeys: [other] }] },
    })
    // Lists of keys become one.
    expect(findings(shadowed)).toEqual([])
  })

  test('is refused for a disk, a unit or a spec of theirs as for its own', () => {
    const found = findings(
      merging({
        ignition: { version: '3.7.0' },
        storage: { disks: [{ device: '/dev/sda', wipeTable: true }] },
      }),
      { seen: { named, disks: [named, disk('sda', 'OTHER')] } },
    )
    expect(only(found)).toEqual(['refusal ignition-spec-refused', 'refusal ignition-other-disk'])
    expect(found[1]).toMatch(
      /^refusal ignition-other-disk: lithium\.ign with what it merges \(a config inside it\) \(storage\.disks\) writes to \/dev\/sda/,
    )
  })

  test('is refused for what Ignition would not take of theirs', () => {
    expect(findings(merging({ ignition, storage: { links: [{ path: '/a', target: '' }] } }))).toEqual([
      'refusal ignition-invalid: a config inside it, which lithium.ign merges, is not an Ignition config that can be used: $.storage.links.0.target: link target is required',
    ])
  })

  test('that nobody can look into is told of, and may have the login', () => {
    const remote = { merge: [{ source: 'https://example.net/base.ign', verification: { hash } }] }
    const found = findings({ ignition: { ...ignition, config: remote }, storage: well.storage })
    expect(only(found)).toEqual(['warning ignition-merged-unseen', 'warning ignition-login-unknown'])
    expect(found[0]).toContain('https://example.net/base.ign (the kit does not have it)')
  })
})
