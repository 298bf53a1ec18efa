import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { answer, init, parseAnswers, showInit } from '../../src/cluster/init.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import type { ClusterFileFault } from '../../src/cluster/problem.ts'
import { clusterFileJsonSchema } from '../../src/cluster/schema.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { scratch } from '../runbook/harness.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

function put(folder: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

/** A repository with as much in it as init can derive, and two hosts of which one has no literal address. */
function repository(files: Record<string, string> = {}): string {
  const folder = join(scratch('init'), 'house')
  put(folder, {
    '.git/config':
      '[core]\n\tbare = false\n[remote "origin"]\n\turl = https://me:s3cr3t@git.example.net/me/house.git\n',
    'k0sctl.yaml': `apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
metadata: { name: house }
spec:
  hosts:
    - { role: controller+worker, ssh: { address: cellar.house.example, user: core } }
    - { role: worker, hostname: attic, ssh: { address: "2001:db8::12", user: core } }
  k0s: { version: v1.34.2+k0s.0 }
`,
    'attic.worker.ign': '{"ignition":{"version":"3.4.0"}}',
    'bootstrap/kustomization.yaml':
      'resources: [../system/cni]\nsecretGenerator: [{ name: token, envs: [token.env] }]\n',
    'system/cni/kustomization.yaml':
      'helmCharts: [{ name: cilium, version: 1.17.1, repo: https://helm.cilium.io }]\n',
    'system/csi/kustomization.yaml': 'resources: [class.yaml, item.yaml]\n',
    'system/csi/class.yaml':
      'apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: { name: nas }\nprovisioner: csi.san.synology.com\nparameters: { dsm: "2001:db8::17" }\n',
    'system/csi/item.yaml':
      'apiVersion: onepassword.com/v1\nkind: OnePasswordItem\nmetadata: { name: csi }\nspec: { itemPath: "vaults/Our house: all/items/csi" }\n',
    'apps/notes/base/kustomization.yaml':
      'namespace: notes\nresources: [claim.yaml, pod.yaml, ingress.yaml]\n',
    'apps/notes/base/claim.yaml':
      'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data }\nspec: { accessModes: [ReadWriteOnce], storageClassName: nas, resources: { requests: { storage: 3Gi } } }\n',
    'apps/notes/base/pod.yaml':
      'apiVersion: v1\nkind: Pod\nmetadata: { name: notes }\nspec: { volumes: [{ name: d, persistentVolumeClaim: { claimName: data } }] }\n',
    'apps/notes/base/ingress.yaml':
      'apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: { name: i }\nspec: { rules: [{ host: notes.house.example }, { host: "*.house.example" }, { host: notes.house.example }] }\n',
    'apps/notes/home/kustomization.yaml': 'resources: [../base]\n',
    ...files,
  })
  return folder
}

/** Every file below a folder with its content. */
function contents(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
      .sort()
      .map(path => [relative(folder, path), createHash('sha256').update(readFileSync(path)).digest('hex')]),
  )
}

function faultOf(action: () => unknown): Fault {
  try {
    action()
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown
    throw thrown
  }
  throw new Error('nothing was thrown')
}

/** Answers to the questions about hosts and NAS, with the files that they name. */
function answersFor(folder: string, hosts: string[]): Record<string, string> {
  put(folder, { 'image.bin.bz2': 'image', ...Object.fromEntries(hosts.map(h => [`${h}.ign`, '{}'])) })
  return Object.fromEntries([
    ['nas.fingerprint', `sha256:${'0a'.repeat(32)}`],
    ...hosts.flatMap(host => [
      [`hosts.${host}.ignition`, `./${host}.ign`],
      [`hosts.${host}.image.file`, './image.bin.bz2'],
      [`hosts.${host}.image.sha256`, '12'.repeat(32)],
      [`hosts.${host}.disk.serial`, `S-${host}`],
    ]),
  ])
}

describe('a small repository', () => {
  test('what its files say is derived, with paths from the file that is written; the rest is asked', () => {
    const repo = repository()
    const file = join(dirname(repo), 'recover.yaml')
    const before = contents(repo)
    const result = init({ repository: repo, output: file, env: {} })
    expect(contents(repo)).toEqual(before)
    const text = readFileSync(file, 'utf8')
    expect(text.split('\n')[0]).toBe(
      `# yaml-language-server: $schema=${relative(dirname(file), join(root, 'docs/recover.schema.json'))}`,
    )
    const host = { image: { file: '?', sha256: '?' }, disk: { serial: '?' }, install: ['by-hand'] }
    expect(parse(text)).toEqual({
      cluster: 'house',
      k0sctl: './house/k0sctl.yaml',
      gitops: {
        repository: './house',
        remote: 'https://git.example.net/me/house.git',
        bootstrap: './house/bootstrap',
        applications: { generate: ['apps/notes/home', 'system/*'] },
      },
      hosts: {
        cellar: { address: '?', ignition: '?', ...host },
        attic: { address: '2001:db8::12', ignition: './house/attic.worker.ign', ...host },
      },
      nas: { synology: 'https://[2001:db8::17]:5001', fingerprint: '?', credentials: 'nas' },
      secrets: { from: ['onepassword', 'environment'], vault: 'Our house: all' },
      volumes: { default: 'adopt' },
      checks: [{ http: 'https://notes.house.example/', status: 200 }],
    })
    expect(text).not.toContain('s3cr3t')
    expect(text).toMatch(/^# {3}notes\/data +3Gi +nas +Pod notes\/notes$/m)
    expect(result.problems).toEqual([])
    expect(result.claims.map(c => c.id)).toEqual(['notes/data'])
    expect(result.missing.map(m => m.file)).toEqual(['bootstrap/token.env'])
  })

  test('its questions are those that loading the file reports, each with its reason', () => {
    const file = join(scratch('init'), 'recover.yaml')
    const { questions } = init({ repository: repository(), output: file, env: {} })
    expect(questions.map(q => q.path)).toEqual([
      'hosts.cellar.address',
      'hosts.cellar.ignition',
      'hosts.cellar.image.file',
      'hosts.cellar.image.sha256',
      'hosts.cellar.disk.serial',
      'hosts.attic.image.file',
      'hosts.attic.image.sha256',
      'hosts.attic.disk.serial',
      'nas.fingerprint',
    ])
    const loaded = faultOf(() => loadCluster(file, {})) as ClusterFileFault
    expect(loaded.code).toBe('questions-open')
    expect(loaded.problems.map(p => [p.path, p.message, p.at])).toEqual(
      questions.map(q => [q.path, q.question, q.at.replace(/^.*\//, '')]),
    )
    for (const q of questions) expect(q.question).not.toMatch(/not answered yet|^QUESTION/)
    expect(questions.at(-1)?.question).toContain('openssl s_client -connect [2001:db8::17]:5001 </dev/null')
  })

  test('answered at once, it loads; a wrong answer is said with its place', () => {
    const repo = repository()
    const output = join(dirname(repo), 'recover.yaml')
    const answers = {
      ...answersFor(dirname(repo), ['cellar', 'attic']),
      'hosts.cellar.address': '192.0.2.11',
    }
    // One lies in the repository, the other beside it.
    for (const host of ['cellar', 'attic'])
      delete (answers as Record<string, string>)[`hosts.${host}.ignition`]
    const right = init({ repository: repo, output, answers, env: {} })
    expect([right.questions, right.problems]).toEqual([[], []])
    const cluster = loadCluster(output, {})
    expect(cluster.entry.hosts.cellar).toMatchObject({ address: '192.0.2.11', disk: { serial: 'S-cellar' } })
    expect(cluster.resolve(cluster.entry.gitops.repository)).toBe(repo)
    expect(showInit(right)).toMatch(/No question is open\.\n\nNext: recover rehearse /)
    const wrong = init({
      repository: repo,
      output,
      force: true,
      answers: { 'nas.fingerprint': 'AB:CD' },
      env: {},
    })
    expect(wrong.problems).toMatchObject([
      { path: 'nas.fingerprint', message: expect.stringContaining('expected a fingerprint like sha256:') },
    ])
    expect(wrong.questions).toHaveLength(7)
  })

  test('a file that is there is left as it is, unless it may be replaced', () => {
    const repo = repository()
    const output = join(repo, 'recover.yaml')
    writeFileSync(output, 'mine')
    expect(faultOf(() => init({ repository: repo, output, env: {} })).code).toBe('init-would-overwrite')
    expect(readFileSync(output, 'utf8')).toBe('mine')
    init({ repository: repo, output, force: true, env: {} })
    expect(parse(readFileSync(output, 'utf8'))).toMatchObject({
      k0sctl: './k0sctl.yaml',
      gitops: { repository: '.', bootstrap: './bootstrap' },
    })
  })

  test('nothing is written when something is wrong before', () => {
    const output = join(scratch('init'), 'recover.yaml')
    const k0sctl = (hosts: string) =>
      `apiVersion: k0sctl.k0sproject.io/v1beta1\nkind: Cluster\nspec: { hosts: [${hosts}] }\n`
    const host = (address: string) => `{ role: worker, ssh: { address: ${address} } }`
    const codes = [
      () => init({ repository: '/nowhere', output, env: {} }),
      () => init({ repository: scratch('init'), output, env: {} }),
      () => {
        const repo = scratch('init')
        put(repo, { 'a/k0sctl.yaml': '', 'b/k0sctl.yaml': '' })
        return init({ repository: repo, output, env: {} })
      },
      () => {
        const alike = { 'k0sctl.yaml': k0sctl([host('a.one.example'), host('a.two.example')].join()) }
        return init({ repository: repository(alike), output, env: {} })
      },
      () => init({ repository: repository(), output, answers: { 'nas.fingerprnt': 'x' }, env: {} }),
      () => init({ repository: repository(), output: join(dirname(output), 'no', 'r.yaml'), env: {} }),
      () =>
        init({
          repository: repository({ 'system/csi/kustomization.yaml': 'resources: [gone.yaml]\n' }),
          output,
          env: {},
        }),
    ].map(action => faultOf(action).code)
    expect(codes).toEqual([
      'init-no-repository',
      'init-no-k0sctl',
      'init-which-k0sctl',
      'init-hosts-alike',
      'init-no-such-question',
      'init-cannot-write',
      'cluster-file-invalid',
    ])
    expect(existsSync(output)).toBe(false)
  })

  test('names that would break out of YAML or of the terminal do neither', () => {
    const nasty = 'x: "y"\n- z # \u001b[31m'
    const repo = repository({
      'k0sctl.yaml': `apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
metadata: { name: ${JSON.stringify(nasty)} }
spec:
  hosts: [{ role: single, hostname: "no", ssh: { address: ${JSON.stringify(nasty)} } }]
  k0s: { version: v1.34.2+k0s.0 }
`,
    })
    const result = init({ repository: repo, output: join(repo, 'recover.yaml'), env: {} })
    const text = readFileSync(result.file, 'utf8')
    expect(parse(text)).toMatchObject({ cluster: nasty, hosts: { no: { address: '?' } } })
    expect(parse(text, { version: '1.1' })).toMatchObject({ hosts: { no: { address: '?' } } })
    expect(result.questions[0]?.path).toBe('hosts.no.address')
    expect(text + showInit(result)).not.toContain('\u001b')
  })
})

describe('what provisions a host', () => {
  const bu = (text = '') => `variant: flatcar\nversion: 1.1.0\n${text}`
  const named = (name: string) =>
    bu(`storage: { files: [{ path: /etc/hostname, contents: { inline: "${name}\\n" } }] }\n`)
  const found = (files: Record<string, string>, beside: Record<string, string> = {}) => {
    const repo = repository(files)
    put(dirname(repo), beside)
    const { questions } = init({ repository: repo, output: join(repo, 'recover.yaml'), env: {} })
    const { hosts } = parse(readFileSync(join(repo, 'recover.yaml'), 'utf8'))
    return { hosts, asked: questions.find(q => q.path === 'hosts.cellar.ignition')?.question }
  }

  test('a Butane file beside the repository, called after the host', () => {
    const { hosts, asked } = found({}, { 'ignition/cellar.bu': bu(), 'other/attic.bu': bu() })
    expect(hosts.cellar.ignition).toBe('../ignition/cellar.bu')
    // What is in the repository comes first.
    expect(hosts.attic.ignition).toBe('./attic.worker.ign')
    expect(asked).toBeUndefined()
  })

  test('a Butane file in the repository before a ready-made config', () => {
    const { hosts } = found({ 'nodes/attic.bu': bu(), 'nodes/cellar.fcc': bu(), 'cellar.ign': '{}' })
    expect(hosts.attic.ignition).toBe('./nodes/attic.bu')
    expect(hosts.cellar.ignition).toBe('./nodes/cellar.fcc')
  })

  test('by the hostname that it gives, where its name says nothing', () => {
    const { hosts } = found({ 'node1.bu': named('cellar.house.example'), 'node2.bu': named('other') })
    expect(hosts.cellar.ignition).toBe('./node1.bu')
  })

  test('several are asked about, and none', () => {
    expect(found({ 'a/cellar.bu': bu(), 'b/cellar.bu': bu() }).asked).toBe(
      'what provisions cellar: which of ./a/cellar.bu, ./b/cellar.bu?',
    )
    expect(found({}).asked).toContain('no cellar.bu and no cellar.ign is in the repository or beside it')
  })

  test('the folder of its local: files, when that is not its own; a file that is no YAML is no reason to stop', () => {
    const local = bu(
      'storage: { files: [{ path: /a, contents: { local: files/a } }] }\npasswd: { users: [{ name: core, ssh_authorized_keys_local: [keys/core.pub] }] }\n',
    )
    const { hosts } = found({
      'hosts/cellar.bu': local,
      'files/a': '',
      'keys/core.pub': '',
      'hosts/attic.bu': 'a: [',
    })
    expect(hosts.cellar).toMatchObject({ ignition: './hosts/cellar.bu', filesDir: '.' })
    expect(hosts.attic).toMatchObject({ ignition: './hosts/attic.bu' })
    expect(hosts.attic).not.toHaveProperty('filesDir')
  })
})

test('everything that is offered as a comment is right as it stands', () => {
  const repo = repository({ 'cellar.bu': '' })
  const file = join(dirname(repo), 'recover.yaml')
  const {
    'hosts.attic.ignition': _,
    'hosts.cellar.ignition': __,
    ...answers
  } = answersFor(dirname(repo), ['cellar', 'attic'])
  init({
    repository: repo,
    output: file,
    env: {},
    answers: { ...answers, 'hosts.cellar.address': '192.0.2.11' },
  })
  const text = readFileSync(file, 'utf8')
  for (const name of ['vmlinuz', 'vmlinuz.sig', 'image.cpio.gz', 'image.cpio.gz.sig'])
    put(dirname(repo), { [`flatcar_production_pxe${name.startsWith('image') ? '_' : '.'}${name}`]: '' })
  const powers = text.match(/^ +# power: .*$/gm) ?? []
  expect(powers).toHaveLength(3)
  for (const power of powers) {
    const uncommented = text
      .replace(power, power.replace('# ', ''))
      .replace(/^( *)# (mac|installer| {2}kernel| {2}initrd|netboot|ssh): ?/gm, '$1$2: ')
    writeFileSync(file, uncommented)
    const { entry } = loadCluster(file, {})
    expect(Object.keys(entry.hosts.cellar?.power ?? {})).toHaveLength(
      power.includes('redfish') ? 3 : power.includes('ipmi') ? 2 : 1,
    )
    expect(entry).toMatchObject({
      hosts: { cellar: { mac: '52:54:00:12:34:56' } },
      installer: { kernel: {}, initrd: {} },
      netboot: {},
      ssh: { transport: 'openssh' },
    })
  }
})

describe('answers', () => {
  const text = `# about
a: "?"   # QUESTION: one
list: [ "?", x,  '?' ]
deep:
    # QUESTION: two
    flow: { "b.c": "?" , d: 1 }   # kept
`

  test('stand where the question stood; everything else stays', () => {
    expect(answer(text, { a: 'A b', 'list.2': '007', 'deep.flow.b.c': 'x, y' })).toBe(`# about
a: "A b"   # QUESTION: one
list: [ "?", x,  "007" ]
deep:
    # QUESTION: two
    flow: { "b.c": "x, y" , d: 1 }   # kept
`)
  })

  test('any answer reads back as the very string', () => {
    const hard = fc.constantFrom(
      '',
      'no',
      '.',
      '1e3',
      '0x1f',
      '1:30',
      '::',
      'a: b',
      '- a',
      '#',
      '*a',
      '&a',
      '!a',
      '{}',
    )
    fc.assert(
      fc.property(fc.oneof(hard, fc.string({ unit: 'binary' }), fc.string()), value => {
        const done = answer(text, { a: value, 'list.0': value, 'deep.flow.b.c': value })
        for (const version of ['1.1', '1.2'] as const)
          expect(parse(done, { version })).toMatchObject({
            a: value,
            list: [value, 'x', '?'],
            deep: { flow: { 'b.c': value, d: 1 } },
          })
      }),
    )
  })

  test('to no question are refused, with the one that was meant', () => {
    expect(faultOf(() => answer(text, { 'deep.flow.b.d': 'x' }))).toMatchObject({
      code: 'init-no-such-question',
      remedy: 'Did you mean deep.flow.b.c?',
    })
    expect(parseAnswers(['a.b=c=d', 'e=f'])).toEqual({ 'a.b': 'c=d', e: 'f' })
    expect(faultOf(() => parseAnswers(['a.b'])).code).toBe('init-answer-malformed')
  })
})

test('Applications in Git are found in their folder, with the URL that they are read from', () => {
  const folder = scratch('init')
  cpSync(join(root, 'examples/home'), folder, { recursive: true })
  const output = join(folder, 'new.yaml')
  const result = init({ repository: folder, output, env: {} })
  expect(result.questions.map(q => q.path)).toContain('gitops.bootstrap')
  const answers = answersFor(folder, ['lithium', 'hydrogen'])
  for (const host of ['lithium', 'hydrogen']) delete answers[`hosts.${host}.ignition`]
  const text = answer(readFileSync(output, 'utf8'), {
    ...answers,
    'gitops.bootstrap': './applications/grafana',
  })
  writeFileSync(output, text)
  const { entry } = loadCluster(join(folder, 'new.yaml'), {})
  const own = loadCluster(join(root, 'examples/home/recover.yaml'), {}).entry
  expect(entry.gitops).toMatchObject({ remote: own.gitops.remote, applications: own.gitops.applications })
  expect(entry.nas).toMatchObject({ synology: 'synology' in own.nas && own.nas.synology })
  for (const host of ['lithium', 'hydrogen'])
    expect(entry.hosts[host]).toMatchObject({
      address: own.hosts[host]?.address,
      ignition: own.hosts[host]?.ignition,
    })
})

test('a repository that Flux keeps is proposed with Flux: who brings it, its Secrets that are not in Git, its proof', () => {
  const folder = scratch('init')
  for (const home of ['home', 'flux-home'])
    cpSync(join(root, 'examples', home), join(folder, home), { recursive: true })
  const output = join(folder, 'flux-home', 'new.yaml')
  const result = init({ repository: join(folder, 'flux-home'), output, env: {} })
  expect(result.questions.map(q => q.path)).not.toContain('gitops.bootstrap')
  expect(showInit(result)).toContain(
    'Applications: 3 by Flux, in clusters/home\n  notes, synology-csi, flux-system\n',
  )
  const answers = {
    ...answersFor(join(folder, 'flux-home'), ['lithium']),
    'hosts.lithium.ignition': '../home/ignition/lithium.bu',
  }
  const asked = Object.fromEntries(result.questions.map(({ path }) => [path, answers[path as never] ?? 'x']))
  writeFileSync(output, answer(readFileSync(output, 'utf8'), asked))
  const { entry } = loadCluster(output, {})
  const own = loadCluster(join(root, 'examples/flux-home/recover.yaml'), {}).entry
  expect(entry.gitops).toEqual({ ...own.gitops, remote: 'https://git.example.net/you/flux-home.git' })
})

test('a repository of two clusters is asked about: nobody can say which Flux is meant', () => {
  const folder = join(scratch('init'), 'flux-home')
  cpSync(join(root, 'examples/flux-home'), folder, { recursive: true })
  cpSync(join(folder, 'clusters/home'), join(folder, 'clusters/other'), { recursive: true })
  const sync = join(folder, 'clusters/other/flux-system/gotk-sync.yaml')
  writeFileSync(sync, readFileSync(sync, 'utf8').replace('./clusters/home', './clusters/other'))
  const result = init({ repository: folder, output: join(folder, 'new.yaml'), env: {} })
  expect(result.questions.map(q => q.path)).toContain('gitops.bootstrap')
})

test('the schema that editors get is the one that files are checked by', () => {
  expect(readFileSync(join(root, 'docs/recover.schema.json'), 'utf8')).toBe(
    `${JSON.stringify(clusterFileJsonSchema(), null, 2)}\n`,
  )
})

const materia = fileURLToPath(new URL('../../../shared/inputs/materia-2025-02', import.meta.url))
const there = existsSync(materia)
if (!there) process.stdout.write('skipped: init of a real repository: it is not beside this checkout\n')

test.skipIf(!there)('a real repository: ten questions, and with their answers it loads', () => {
  const folder = scratch('init')
  const output = join(folder, 'recover.yaml')
  const before = contents(materia)
  const { questions } = init({ repository: materia, output, env: {} })
  expect(contents(materia)).toEqual(before)
  const perHost = (host: string) =>
    ['ignition', 'image.file', 'image.sha256', 'disk.serial'].map(f => `hosts.${host}.${f}`)
  expect(questions.map(q => q.path)).toEqual([
    'gitops.remote',
    ...perHost('lithium'),
    ...perHost('hydrogen'),
    'nas.fingerprint',
  ])
  const answers = {
    ...answersFor(folder, ['lithium', 'hydrogen']),
    'gitops.remote': 'https://git.example.net/materia.git',
  }
  writeFileSync(output, answer(readFileSync(output, 'utf8'), answers))
  const { entry, inventory, resolve } = loadCluster(output, {})
  expect(inventory.claims).toHaveLength(7)
  expect(resolve(entry.gitops.repository)).toBe(materia)
  expect(resolve(String(entry.gitops.bootstrap))).toBe(join(materia, 'bootstrap'))
  expect(entry).toMatchObject({
    cluster: 'materia-cluster',
    gitops: { applications: { generate: ['applications/*', 'system/*'] } },
    hosts: {
      lithium: { address: '2400:2410:3800:2502:6e4b:90ff:feef:5391' },
      hydrogen: { address: '2400:2410:3800:2502:da9e:f3ff:fe9d:854e' },
    },
    nas: { synology: 'https://172.16.2.17:5001', credentials: 'nas' },
    secrets: { from: ['onepassword', 'environment'], vault: 'materia' },
    volumes: { default: 'adopt' },
  })
  expect(Object.keys(entry.hosts)).toEqual(['lithium', 'hydrogen'])
  expect(entry.checks?.flatMap(c => ('http' in c ? [c.http] : []))).toContain('https://miniflux.ggrel.net/')
})
