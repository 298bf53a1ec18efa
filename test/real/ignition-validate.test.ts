/** biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of Butane files */
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { CompiledIgnition } from '../../src/hosts/ignition/compile.ts'
import { hostIgnition } from '../../src/hosts/ignition/compile.ts'
import { parseIgnition } from '../../src/hosts/ignition/config.ts'
import { prepareIgnition } from '../../src/hosts/ignition/prepare.ts'
import { accepts, experimentalSpec, ignitionOf } from '../../src/hosts/ignition/releases.ts'
import { ruleFindings } from '../../src/hosts/ignition/rules.ts'
import { mintHostKeys } from '../../src/hosts/keys.ts'
import { root } from '../cli/program.ts'
import { scratch } from '../runbook/harness.ts'

const named = process.env.RECOVER_TEST_IGNITION_VALIDATE
const program = named !== undefined && existsSync(named) ? named : undefined
const why =
  program === undefined ? ' (skipped: RECOVER_TEST_IGNITION_VALIDATE names no ignition-validate 2.24)' : ''
const image = ignitionOf('4593.2.5')

function judged(text: string): { accepted: boolean; said: string } {
  const { status, stdout, stderr } = spawnSync(program!, ['-'], { input: text, encoding: 'utf8' })
  return { accepted: status === 0, said: `${stdout}${stderr}`.trim() }
}

async function compiled(file: string): Promise<CompiledIgnition> {
  return hostIgnition(
    {
      file,
      shown: file,
      spec: experimentalSpec(image),
      lookup: async name => ({ value: name === 'TOKEN' ? `a: "quoted" \\ and\nmore` : name }),
      conceal: text => text,
    },
    new AbortController().signal,
  )
}

function butane(text: string): string {
  const file = join(scratch('butane'), 'host.bu')
  writeFileSync(file, text)
  return file
}

const body = `
passwd:
  users:
    - name: core
      ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyThatNobodyHolds0000000000000000000 you]
storage:
  disks:
    - device: /dev/disk/by-id/nvme-x
      wipe_table: true
      partitions: [{ label: data, number: 1, size_mib: 100 }]
  filesystems:
    - { device: /dev/disk/by-partlabel/data, format: ext4, path: /var/data, with_mount_unit: true }
  files:
    - { path: /etc/hostname, mode: 0644, contents: { inline: lithium } }
    - { path: /etc/long, contents: { inline: "${'x'.repeat(2000)}" } }
    - { path: /etc/secret, mode: 0600, contents: { inline: "\${TOKEN}" } }
    - { path: /opt/bin/x, mode: 0755, contents: { source: "https://example.net/x", verification: { hash: sha512-${'0'.repeat(128)} } } }
  links:
    - { path: /etc/ssh/ssh_host_ecdsa_key, target: /etc/elsewhere }
systemd:
  units:
    - name: a.service
      enabled: true
      contents: |
        [Service]
        ExecStart=/bin/echo \${TOKEN_ID}
        [Install]
        WantedBy=multi-user.target
      dropins: [{ name: b.conf, contents: "[Service]\\nRestart=always\\n" }]
`
const clevis = `
kernel_arguments: { should_exist: [rd.networkd=1] }
storage:
  luks:
    - name: rootencrypted
      device: /dev/disk/by-partlabel/ROOT
      wipe_volume: true
      clevis:
        tang: [{ url: http://192.0.2.10, thumbprint: 3SzzgeU1c4vWbTWympz0KPuLbw6X3bpF6na4pLU014w }]
        tpm2: true
        threshold: 1
  filesystems: [{ device: /dev/mapper/rootencrypted, format: btrfs, label: ROOT, wipe_filesystem: true }]
passwd: { users: [{ name: core, ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyThatNobodyHolds0000000000000000000 you] }] }
`

describe.skipIf(program === undefined)(`Ignition 2.24 itself${why}`, () => {
  test.each([
    ['flatcar 1.0.0', `variant: flatcar\nversion: 1.0.0\n${body}`],
    ['flatcar 1.1.0', `variant: flatcar\nversion: 1.1.0\n${body}`],
    ['flatcar 1.2.0-experimental', `variant: flatcar\nversion: 1.2.0-experimental\n${body}`],
    ['flatcar 1.2.0-experimental with Clevis', `variant: flatcar\nversion: 1.2.0-experimental\n${clevis}`],
    ['fcos 1.3.0', `variant: fcos\nversion: 1.3.0\n${body}`],
    ['fcos 1.4.0', `variant: fcos\nversion: 1.4.0\n${body}`],
    ['fcos 1.5.0', `variant: fcos\nversion: 1.5.0\n${body}`],
    ['fcos 1.6.0', `variant: fcos\nversion: 1.6.0\n${body}`],
    [
      'fcos 1.5.0 with an encrypted, mirrored root',
      `variant: fcos\nversion: 1.5.0\nboot_device:\n  layout: x86_64\n  mirror: { devices: [/dev/sda, /dev/sdb] }\n  luks: { tpm2: true }\n${body.replace(/ {2}disks:[\s\S]*? {2}filesystems:[\s\S]*?\n {2}files:/, '  files:')}`,
    ],
  ])('takes what we make of %s, with this run’s marks in it', async (_, text) => {
    const made = await compiled(butane(text))
    const prepared = prepareIgnition(made.text, 'host.bu', {
      run: '20261125-000000-abcd',
      host: 'lithium',
      keys: mintHostKeys(Buffer.alloc(32, 1), 'lithium'),
    })
    expect(judged(prepared.text)).toEqual({ accepted: true, said: '' })
    expect(accepts(image, made.config.ignition.version)).toBe('yes')
  })

  test.each(['lithium.bu', 'hydrogen.ign'])('takes the example’s %s', async name => {
    const { text } = await compiled(join(root, 'examples/home/ignition', name))
    const keys = mintHostKeys(Buffer.alloc(32, 2), name)
    expect(judged(prepareIgnition(text, name, { run: 'x', host: name, keys }).text)).toEqual({
      accepted: true,
      said: '',
    })
  })

  test.each<[string, boolean, object]>([
    ['a path that is not absolute', false, { storage: { files: [{ path: 'etc/a' }] } }],
    ['a path that is not simplified', false, { storage: { disks: [{ device: '/dev/disk/../vda' }] } }],
    [
      'a path twice',
      false,
      {
        storage: {
          links: [
            { path: '/a', target: '/b' },
            { path: '/a', target: '/c' },
          ],
        },
      },
    ],
    ['a user twice', false, { passwd: { users: [{ name: 'core' }, { name: 'core' }] } }],
    [
      'a file below a link',
      false,
      { storage: { links: [{ path: '/a', target: '/b' }], files: [{ path: '/a/c' }] } },
    ],
    [
      'no hash',
      false,
      {
        storage: {
          files: [{ path: '/a', contents: { source: 'https://x/y', verification: { hash: 'sha512-0' } } }],
        },
      },
    ],
    [
      'Tang without a thumbprint',
      false,
      { storage: { luks: [{ name: 'a', device: '/dev/vdb', clevis: { tang: [{ url: 'http://x' }] } }] } },
    ],
    ['a path that is a number', false, { storage: { files: [{ path: 5 }] } }],
    ['a key that nobody knows', true, { storage: { file: [] } }],
    ['an empty file that may stand there', true, { storage: { files: [{ path: '/a', overwrite: false }] } }],
    ['a unit without contents', true, { systemd: { units: [{ name: 'a.service', enabled: true }] } }],
  ])('of a config that was made elsewhere: %s', (_, taken, config) => {
    const text = JSON.stringify({ ignition: { version: '3.4.0' }, ...config })
    const refused = () => ruleFindings(parseIgnition(text, 'host.ign'), 'host.ign').length > 0
    let ours: boolean
    try {
      ours = !refused()
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'ignition-invalid' })
      ours = false
    }
    expect({ ours, real: judged(text).accepted }).toEqual({ ours: taken, real: taken })
  })

  test('accepts exactly the specs that our table says', () => {
    const specs = Array.from({ length: 9 }, (_, minor) => [
      `3.${minor}.0`,
      `3.${minor}.0-experimental`,
    ]).flat()
    const takes = specs.filter(version => judged(JSON.stringify({ ignition: { version } })).accepted)
    expect(takes).toEqual(specs.filter(spec => accepts(image, spec) === 'yes'))
    expect(takes).toContain('3.6.0-experimental')
  })
})
