import { cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { loadCluster } from '../../src/cluster/load.ts'
import { ClusterFileFault } from '../../src/cluster/problem.ts'
import { parseSize, showSize } from '../../src/cluster/size.ts'
import { scratch } from '../runbook/harness.ts'

const example = fileURLToPath(new URL('../../examples/home', import.meta.url))

/** A copy of the example with something changed in one of its files. */
function changed(change: (text: string) => string, file = 'recover.yaml'): string {
  const dir = scratch('cluster')
  cpSync(example, dir, { recursive: true })
  writeFileSync(join(dir, file), change(readFileSync(join(dir, file), 'utf8')))
  return join(dir, 'recover.yaml')
}

function problems(file: string): string[] {
  try {
    loadCluster(file, {})
  } catch (thrown) {
    if (thrown instanceof ClusterFileFault) return thrown.problems.map(p => `${p.at} ${p.path}: ${p.message}`)
    throw thrown
  }
  return []
}

test('images are not read, however large; another size is noticed', () => {
  const file = changed(text => text)
  const image = join(file, '../images/flatcar_production_image.bin.bz2')
  const before = loadCluster(file, {}).hash
  // Holes all of it; reading a terabyte would take longer than any test may.
  truncateSync(image, 2 ** 40)
  const larger = loadCluster(file, {}).hash
  expect(larger).not.toBe(before)
  truncateSync(image, 2 ** 40 + 1)
  expect(loadCluster(file, {}).hash).not.toBe(larger)
})

test('the example loads, with its claims and how each comes back', () => {
  const cluster = loadCluster(join(example, 'recover.yaml'), {})
  const claims = Object.fromEntries(
    cluster.inventory.claims.map(c => [c.id, [cluster.strategy(c.id), showSize(c.sizeBytes), c.owners[0]]]),
  )
  expect(claims).toEqual({
    'photos/library': ['adopt', '200Gi', 'Deployment photos/photos'],
    'grafana/data': ['copy', '1Gi', 'Deployment grafana/grafana'],
    'miniflux/data-postgres-0': ['adopt', '10Gi', 'StatefulSet miniflux/postgres'],
    'scratch/cache': ['new', '5Gi', 'Deployment scratch/scratch'],
  })
  expect(cluster.hash).toBe(loadCluster(join(example, 'recover.yaml'), {}).hash)
})

test('a folder in the place of a file, and the other way round, is told where it is named', () => {
  const file = changed(text =>
    text
      .replace('k0sctl: ./k0sctl.yaml', 'k0sctl: ./images')
      .replace('repository: .', 'repository: ./k0sctl.yaml')
      .replace('applications: ./argocd', 'applications: ./k0sctl.yaml'),
  )
  expect(problems(file)).toEqual([
    'recover.yaml:4:1 k0sctl: ./images is a folder, not a file',
    'recover.yaml:6:3 gitops.repository: ./k0sctl.yaml is a file, not a folder',
    'recover.yaml:12:3 gitops.applications: ./k0sctl.yaml is a file, not a folder',
  ])
})

test('a change in any file that it names changes the hash', () => {
  const file = changed(t => t)
  const before = loadCluster(file, {}).hash
  const ignition = join(file, '..', 'ignition', 'hydrogen.ign')
  writeFileSync(ignition, `${readFileSync(ignition, 'utf8')}\n`)
  expect(loadCluster(file, {}).hash).not.toBe(before)
})

describe('what is wrong is said with its place', () => {
  test('several problems at once, unknown keys with the nearest known one', () => {
    const found = problems(
      changed(t =>
        t
          .replace('address: 192.0.2.12', 'adress: 192.0.2.12')
          .replace('synology:', 'synolgy:')
          .replace('default: adopt', 'default: adpot'),
      ),
    )
    expect(found).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^recover\.yaml:21:5 hosts\.hydrogen\.adress: unknown key; did you mean address\?$/,
        ),
        expect.stringMatching(/^recover\.yaml:20:3 hosts\.hydrogen\.address: missing$/),
        expect.stringMatching(/^recover\.yaml:27:3 nas\.synolgy: unknown key; did you mean synology\?$/),
        expect.stringMatching(/^recover\.yaml:33:3 volumes\.default: /),
      ]),
    )
  })

  test('open questions, with their reason', () => {
    const file = changed(t =>
      t.replace(
        '{ serial: S4EVNX0M123456 } # the only disk that may ever be wiped',
        '\n      serial: "?" # QUESTION: which disk of lithium may be wiped?',
      ),
    )
    expect(problems(file)).toEqual([
      'recover.yaml:19:7 hosts.lithium.disk.serial: which disk of lithium may be wiped?',
    ])
  })

  test('a host that is in one file only, a disk named twice, a claim that is nowhere', () => {
    const found = problems(
      changed(t =>
        t
          .replace('  hydrogen:\n', '  hydrogn:\n')
          .replace('S4EVNX0M654321', 'S4EVNX0M123456')
          .replace('grafana/data: copy', 'grafana/dta: copy')
          .replace('volumes:\n', 'copyOn: lithum\nvolumes:\n'),
      ),
    )
    expect(found).toEqual([
      expect.stringContaining('hydrogen stands in ./k0sctl.yaml and has no entry here'),
      expect.stringContaining('hosts.hydrogn: ./k0sctl.yaml has no such host; did you mean hydrogen?'),
      'recover.yaml:32:1 copyOn: ./k0sctl.yaml has no such host; did you mean lithium?',
      expect.stringContaining('names the same disk as lithium'),
      expect.stringContaining('volumes.grafana/dta: no such claim in .; did you mean grafana/data?'),
    ])
  })

  test('a repository that could not be served in its place', () => {
    const served = (edit: (text: string) => string) =>
      problems(changed(t => edit(t.replace(/ {2}remote: .*\n/, '$&  serve: { address: 192.0.2.2 }\n'))))
    const kit = (t: string) => t.replace('volumes:\n', 'kit: .\nvolumes:\n')
    expect(served(kit)).toEqual([])
    expect(served(t => t)).toEqual([
      'recover.yaml:8:3 gitops.serve: the mirror that it serves lies in the kit: name a folder as `kit`',
    ])
    expect(served(t => kit(t.replace(/ {2}remote: .*\n/, '')))).toEqual([
      'recover.yaml:7:3 gitops.serve: gitops.remote must say which URL is to be served',
    ])
    expect(served(t => kit(t.replace('https://git.example.net/', 'git@git.example.net:')))).toEqual([
      'recover.yaml:8:3 gitops.serve: only repositories with an http or https URL can be served in their place, and git@git.example.net:you/home.git has none; docs/gitops.md says what to do by hand',
    ])
  })

  test('a file that is not there, YAML that is none, a version that is not pinned, a variable that is not set', () => {
    expect(problems(changed(t => t.replace('./ignition/lithium.bu', './ignition/lithum.bu')))).toEqual([
      'recover.yaml:16:5 hosts.lithium.ignition: there is no file ./ignition/lithum.bu',
    ])
    expect(problems(changed(t => `${t}\n  - broken: [`))[0]).toMatch(/^recover\.yaml:\d+:\d+ /)
    expect(
      problems(changed(t => t.replace('version: v1.34.2+k0s.0', 'versionChannel: stable'), 'k0sctl.yaml')),
    ).toEqual([expect.stringMatching(/^\.\/k0sctl\.yaml:\d+:\d+ spec\.k0s\.version: missing/)])
    expect(problems(changed(t => t.replace('user: core', `user: $\{SSH_USER}`), 'k0sctl.yaml'))).toEqual([
      expect.stringMatching(
        /k0sctl\.yaml:\d+:\d+ spec\.hosts\.0\.ssh\.user: the variable SSH_USER is not set$/,
      ),
    ])
  })
})

test('sizes are read and shown as Kubernetes writes them', () => {
  expect([parseSize('20Gi', ''), parseSize('500M', ''), parseSize('7', '')]).toEqual([
    21474836480, 500000000, 7,
  ])
  expect([showSize(21474836480), showSize(1610612736), showSize(500000000)]).toEqual([
    '20Gi',
    '1536Mi',
    '500000000',
  ])
  expect(() => parseSize('10 gigs', 'f:1:1')).toThrow('expected a size like 10Gi')
})

test('what is said of applications is held against what there is', () => {
  const file = changed(
    text => `${text}applications:
  grafanna: { hold: true }
  photos: { hold: false, after: [miniflux, fotos] }
  miniflux: { after: [photos] }
  synology-csi: { hold: true }
`,
  )
  expect(problems(file)).toEqual([
    expect.stringMatching(
      /^recover\.yaml:42:3 applications\.grafanna: no such Application; did you mean grafana\?$/,
    ),
    'recover.yaml:43:13 applications.photos.hold: it cannot be let through before the volumes are there: its data is in Deployment photos/photos',
    expect.stringMatching(
      /^recover\.yaml:43:44 applications\.photos\.after\.1: no such Application; there are: /,
    ),
    'recover.yaml:45:19 applications.synology-csi.hold: it cannot wait for the volumes: they need it',
    'recover.yaml:43:26 applications.photos.after: these wait for each other: photos after miniflux after photos',
  ])
})

test('a check that is no check is told by its place', () => {
  const file = changed(
    text => `${text}  - { http: https://x.example.net/, matches: '(' }
  - { sql: select 1, program: sqlplus, in: { namespace: a, pod: b } }
  - { exec: [ls], in: { namespace: a } }
  - { tcp: nowhere }
  - { sql: select 1, program: psql, password: 'hunter 2', in: { namespace: a, pod: b } }
`,
  )
  expect(problems(file)).toEqual([
    expect.stringMatching(/^recover\.yaml:41:\d+ checks\.4\.matches: expected a regular expression$/),
    expect.stringMatching(/^recover\.yaml:42:\d+ checks\.5\.program: /),
    expect.stringMatching(/^recover\.yaml:43:\d+ checks\.6\.in: needs either a pod or a selector$/),
    expect.stringMatching(/^recover\.yaml:44:\d+ checks\.7\.tcp: expected ADDRESS:PORT/),
    expect.stringMatching(
      /^recover\.yaml:45:\d+ checks\.8\.password: expected the name of an environment variable$/,
    ),
  ])
})

test('a NAS without encryption is taken with the explicit word alone', () => {
  const nas = (lines: string) =>
    problems(
      changed(t =>
        t.replace(/ {2}synology: .*\n {2}fingerprint: .*\n/, lines.replaceAll(/^/gm, '  ').concat('\n')),
      ),
    )
  const fingerprint = `fingerprint: sha256:${'0'.repeat(64)}`
  expect(nas('synology: http://192.0.2.17:5000\nunencrypted: accepted')).toEqual([])
  expect(nas(`synology: http://192.0.2.17:5000\n${fingerprint}`)).toEqual([
    expect.stringMatching(
      /^recover\.yaml:27:\d+ nas\.synology: expected https:\/\/.*`unencrypted: accepted`/,
    ),
  ])
  expect(nas('synology: http://192.0.2.17:5000\nunencrypted: yes')).toEqual([
    expect.stringMatching(/^recover\.yaml:28:\d+ nas\.unencrypted: /),
  ])
  expect(nas('synology: https://192.0.2.17:5001')).toEqual([
    expect.stringContaining('nas.fingerprint: missing'),
  ])
  expect(nas('synology: https://192.0.2.17:5001\nunencrypted: accepted')).toEqual([
    expect.stringContaining('nas.unencrypted: '),
    expect.stringContaining('nas.fingerprint: missing'),
  ])
})

test('a plain Linux box is taken for a NAS by its host key and one folder', () => {
  const nas = (folder: string) =>
    problems(
      changed(t =>
        t.replace(
          / {2}synology: .*\n {2}fingerprint: .*\n {2}credentials: .*\n/,
          `  linux: 192.0.2.17\n  hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ\n  folder: ${folder}\n`,
        ),
      ),
    )
  expect(nas('/srv/luns')).toEqual([])
  expect(nas('luns; rm -rf /')).toEqual([
    expect.stringMatching(/^recover\.yaml:29:\d+ nas\.folder: expected an absolute path/),
  ])
})
