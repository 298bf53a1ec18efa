import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Ended, recover, root } from '../cli/program.ts'

const repository = fileURLToPath(new URL('../../../shared/inputs/materia-2025-02', import.meta.url))
const there = existsSync(repository)
if (!there) process.stdout.write('skipped: rehearsing a real repository: it is not beside this checkout\n')

/** A Butane file as such a home has it: variables for secrets, a root bound to Tang, a program fetched at first boot. */
const butane = (host: string) => `variant: flatcar
version: 1.2.0-experimental
kernel_arguments: { should_exist: [rd.networkd=1] }
passwd:
  users:
    - { name: core, ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyThatNobodyHolds0000000000000000000 you] }
storage:
  luks:
    - name: rootencrypted
      device: /dev/disk/by-partlabel/ROOT
      wipe_volume: true
      clevis: { tang: [{ url: "http://tang.example.net", thumbprint: thumbprint-that-${host}-pins }] }
  filesystems: [{ device: /dev/mapper/rootencrypted, format: btrfs, label: ROOT, wipe_filesystem: true }]
  files:
    - { path: /etc/hostname, mode: 0644, contents: { inline: ${host} } }
    - { path: /etc/ddns.env, mode: 0600, contents: { inline: "TOKEN=\${CLOUDFLARE_API_TOKEN}" } }
    - { path: /opt/bin/opkssh, mode: 0755, contents: { source: "https://example.net/opkssh/releases/latest/download/opkssh" } }
systemd:
  units:
    - name: mackerel.service
      enabled: true
      contents: |
        [Service]
        Environment=MACKEREL_APIKEY=\${MACKEREL_APIKEY}
        [Install]
        WantedBy=multi-user.target
`

/** Every file of a folder with its content, as one hash. */
function hashOf(folder: string): string {
  const hash = createHash('sha256')
  const walk = (path: string) => {
    for (const name of readdirSync(path).sort()) {
      const child = join(path, name)
      if (statSync(child).isDirectory()) walk(child)
      else hash.update(child).update(readFileSync(child))
    }
  }
  walk(folder)
  return hash.digest('hex')
}

test.skipIf(!there)(
  'a real repository: read, answered, planned, rehearsed to its end; not a byte of it changed',
  {
    timeout: 900_000,
  },
  async ({ onTestFinished }) => {
    const home = mkdtempSync(join(tmpdir(), 'recover-real-'))
    onTestFinished(() => rmSync(home, { recursive: true, force: true }))
    const before = hashOf(repository)
    const image = join(home, 'image.bz2')
    cpSync(join(root, 'examples/home/images/flatcar_production_image.bin.bz2'), image)
    for (const host of ['lithium', 'hydrogen']) writeFileSync(join(home, `${host}.bu`), butane(host))
    const sha256 = createHash('sha256').update(readFileSync(image)).digest('hex')
    const file = join(home, 'recover.yaml')
    const asked = await recover(['init', repository, '--output', file, '--json'], home)
    expect(asked.exit, asked.stderr).toBe(0)
    const { questions, claims } = JSON.parse(asked.stdout) as {
      questions: { path: string }[]
      claims: unknown[]
    }
    expect(claims).toHaveLength(7)
    const open = await recover(['rehearse', file], home)
    expect([open.exit, open.stderr.includes('[questions-open]')]).toEqual([2, true])

    const answerTo = (path: string): string => {
      if (path.endsWith('ignition')) return `./${path.split('.')[1]}.bu`
      if (path.endsWith('image.file')) return './image.bz2'
      if (path.endsWith('sha256')) return sha256
      if (path.endsWith('serial')) return `SERIAL-OF-${path.split('.')[1]}`
      if (path.endsWith('fingerprint')) return `sha256:${sha256}`
      if (path === 'gitops.remote') return 'https://git.example.net/materia.git'
      throw new Error(`a question that nobody foresaw: ${path}`)
    }
    const answers = questions.flatMap(({ path }) => ['--answer', `${path}=${answerTo(path)}`])
    const answered = await recover(['init', repository, '--output', file, '--force', ...answers], home)
    expect(answered.exit, answered.stderr).toBe(0)

    const planned = (await recover(['cluster', file, '--from-scratch', '--dry-run', '--json'], home)) as Ended
    // Nothing of that home can be reached from here: the plan says so, and what would follow.
    expect(planned.exit, planned.stderr).toBe(3)
    const plan = JSON.parse(planned.stdout) as { entries: { step: string }[] }
    expect(plan.entries.map(e => e.step)).toEqual(
      expect.arrayContaining([
        'hosts/install-flatcar[lithium]',
        'bootstrap/apply[cilium]',
        'applications/release[mastodon]',
      ]),
    )

    const rehearsed = await recover(['rehearse', file], home)
    expect(rehearsed.exit, rehearsed.stderr).toBe(0)
    expect(rehearsed.stderr).toContain('Volumes proven to hold what they held before: 7 of 7')
    const report = await recover(['report', '--json'], home)
    const { volumes } = JSON.parse(report.stdout) as { volumes: { claim: string; proof: string }[] }
    expect(volumes.map(v => [v.claim, v.proof])).toEqual(
      [
        'elasticsearch/data',
        'grafana/data',
        'influxdb/data',
        'mastodon/redis-data',
        'postgresql/data',
        'prometheus/data',
        'teamspeak/data',
      ].map(claim => [claim, 'same']),
    )
    expect(hashOf(repository)).toBe(before)
  },
)
