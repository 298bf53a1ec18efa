import { execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { bootstrapManifests } from '../../runbooks/render.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { goYaml } from '../../src/kubernetes/go-yaml.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { renderApplication } from '../../src/kubernetes/render/application.ts'
import { renderSourcesOf } from '../../src/kubernetes/render/application-sources.ts'
import { differences, withoutSecrets } from '../../src/kubernetes/render/differences.ts'
import { fillKit } from '../../src/kubernetes/render/fill-kit.ts'
import { keepRendering, readKept } from '../../src/kubernetes/render/kept.ts'
import { placeInKit, remoteOf } from '../../src/kubernetes/render/kit.ts'
import { hashOf, renderKustomization } from '../../src/kubernetes/render/kustomize.ts'
import { parseManifests } from '../../src/kubernetes/render/manifests.ts'
import { stage } from '../../src/kubernetes/render/stage.ts'
import { scratch } from '../runbook/harness.ts'

const { signal } = new AbortController()

const configMap = (name: string, data: Record<string, string> = {}) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata: ${JSON.stringify(data)}\n`

/** A folder with these files in it. */
function folderWith(files: Record<string, string>): string {
  const folder = scratch('render')
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

function runs(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}

const haveKustomize = runs('kustomize', 'version') || runs('kubectl', 'version', '--client')
const haveHelm = runs('helm', 'version', '--short')
const withKustomize = test.skipIf(!haveKustomize)
const withHelm = test.skipIf(!haveKustomize || !haveHelm)
if (!haveKustomize) process.stdout.write('skipped: rendering: neither kustomize nor kubectl is on PATH\n')
else if (!haveHelm) process.stdout.write('skipped: rendering of charts: helm is not on PATH\n')

describe('what a kustomization takes from elsewhere', () => {
  test.each([
    ['./resources', undefined],
    ['../base', undefined],
    ['https://example.net/v1.2/install.yaml', 'files/example.net/v1.2/install.yaml'],
    ['https://github.com/o/r//deploy/base?ref=v1', 'git/github.com/o/r/@v1'],
    ['github.com/o/r/deploy?ref=v2', 'git/github.com/o/r/@v2'],
    ['git@git.example.net:o/r.git//deploy?ref=main', 'git/git_git.example.net/o/r.git/@main'],
    ['https://example.net/../../etc/passwd.yaml', 'files/example.net/_../_../etc/passwd.yaml'],
  ])('%s', (entry, place) => {
    const remote = remoteOf(entry)
    expect(remote && placeInKit(remote).replace('git@', 'git_')).toEqual(place?.replace('git@', 'git_'))
  })

  test('a repository is told from the path in it', () => {
    expect(remoteOf('https://github.com/o/r//deploy/base?ref=v1')).toMatchObject({
      repository: 'https://github.com/o/r',
      path: 'deploy/base',
      ref: 'v1',
    })
    expect(remoteOf('github.com/o/r/deploy')).toMatchObject({
      repository: 'https://github.com/o/r',
      path: 'deploy',
      ref: 'HEAD',
    })
  })
})

describe('with a server and a repository that can be switched off', () => {
  let server: Server
  let url: string
  let asked = 0
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked += 1
      if (request.url === '/moved.yaml') response.writeHead(302, { location: '/install.yaml' }).end()
      else if (request.url === '/install.yaml') response.end(configMap('from-afar'))
      else response.writeHead(404).end()
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => void server.close())

  test('a kit is filled once, and then stands in for all of it', async () => {
    const remote = folderWith({
      'deploy/kustomization.yaml': 'resources: [map.yaml]\n',
      'deploy/map.yaml': configMap('of-the-base'),
    })
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', remote, '-c', 'user.name=t', '-c', 'user.email=t@example.net', ...args])
    git('init', '-q', '-b', 'main')
    git('add', '.')
    git('commit', '-q', '-m', 'one')
    git('tag', 'v1')
    const repository = folderWith({
      'app/kustomization.yaml': `resources:\n  - map.yaml # ours\n  - ${url}/moved.yaml\n  - file://${remote}//deploy?ref=v1\n`,
      'app/map.yaml': configMap('ours'),
    })
    const before = readFileSync(join(repository, 'app/kustomization.yaml'), 'utf8')
    const kit = scratch('kit')
    const first = stage(join(repository, 'app'), repository, join(scratch('stage'), 'r'), kit)
    expect(first.remote.map(r => r.from)).toEqual(['network', 'network'])
    expect(await fillKit(kit, first, signal)).toHaveLength(2)
    const calls = asked
    expect(await fillKit(kit, first, signal)).toEqual([])
    const second = stage(join(repository, 'app'), repository, join(scratch('stage'), 'r'), kit)
    expect(second.remote.map(r => r.from)).toEqual(['kit', 'kit'])
    expect(asked).toBe(calls)
    expect(readFileSync(join(repository, 'app/kustomization.yaml'), 'utf8')).toBe(before)
    expect(readdirSync(repository)).toEqual(['app'])
    expect(existsSync(join(kit, 'git')) && readdirSync(kit).some(n => n.startsWith('.new-'))).toBe(false)
    if (!haveKustomize) return
    const { objects, remote: from } = await renderKustomization(join(repository, 'app'), {
      root: repository,
      kit,
      offline: true,
      signal,
    })
    expect(objects.map(o => o.metadata.name).sort()).toEqual(['from-afar', 'of-the-base', 'ours'])
    expect(from.every(f => f.from === 'kit')).toBe(true)
    expect(asked).toBe(calls)
  })

  test('what cannot be fetched is named, and leaves nothing half in the kit', async () => {
    const repository = folderWith({ 'kustomization.yaml': `resources: [${url}/absent.yaml]\n` })
    const kit = scratch('kit')
    const staged = stage(repository, repository, join(scratch('stage'), 'r'), kit)
    await expect(fillKit(kit, staged, signal)).rejects.toMatchObject({
      code: 'kit-fetch-failed',
      message: expect.stringContaining('404'),
    })
    expect(remoteFilesOf(kit)).toEqual([])
  })

  withKustomize('offline, what the kit lacks is named before anything is asked', async () => {
    const repository = folderWith({ 'kustomization.yaml': `resources: [${url}/install.yaml]\n` })
    const calls = asked
    await expect(
      renderKustomization(repository, { root: repository, offline: true, signal }),
    ).rejects.toMatchObject({ code: 'render-unreachable', message: expect.stringContaining('/install.yaml') })
    expect(asked).toBe(calls)
  })

  withKustomize('a server that is gone is told apart from a kustomization that is wrong', async () => {
    const gone = folderWith({ 'kustomization.yaml': 'resources: ["http://127.0.0.1:1/install.yaml"]\n' })
    await expect(renderKustomization(gone, { root: gone, signal })).rejects.toMatchObject({
      code: 'render-unreachable',
    })
    const wrong = folderWith({ 'kustomization.yaml': 'resources: [absent.yaml]\n' })
    await expect(renderKustomization(wrong, { root: wrong, signal })).rejects.toMatchObject({
      code: 'render-failed',
      message: expect.stringContaining('absent.yaml'),
    })
  })
})

describe('charts', () => {
  const chart = {
    'Chart.yaml': 'apiVersion: v2\nname: small\nversion: 1.2.3\n',
    'values.yaml': 'name: of-the-chart\n',
    'templates/map.yaml': configMap('{{ .Values.name }}'),
  }
  const kustomization = (version: string) =>
    `helmCharts:\n  - name: small\n${version}    repo: http://127.0.0.1:1/charts\n    releaseName: small\n`

  test('one without a version is refused', () => {
    const repository = folderWith({ 'kustomization.yaml': kustomization('') })
    expect(() => stage(repository, repository, join(scratch('stage'), 'r'), undefined)).toThrowError(
      /without a version/,
    )
  })

  test('what is staged is written to, and nothing that the repository leads to by links', () => {
    const url = 'https://example.net/base.yaml'
    const text = `resources: [${url}]\nhelmCharts: [{ name: small, version: '1.0.0', repo: https://charts.example.net }]\n`
    const outside = folderWith({ 'kustomization.yaml': text, 'shared/readme': '' })
    const kit = scratch('kit')
    for (const part of [
      { kind: 'file', url },
      { kind: 'chart', name: 'small', version: '1.0.0', repository: 'https://charts.example.net' },
    ] as const) {
      const place = join(kit, placeInKit(part))
      mkdirSync(part.kind === 'file' ? dirname(place) : place, { recursive: true })
      writeFileSync(part.kind === 'file' ? place : join(place, 'Chart.yaml'), 'name: small\n')
    }
    const repository = folderWith({
      'kustomization.yaml': `resources: [linked, ${outside}, app]\n`,
      'app/a': '',
    })
    symlinkSync(outside, join(repository, 'linked'))
    symlinkSync(join(outside, 'kustomization.yaml'), join(repository, 'app', 'kustomization.yaml'))
    symlinkSync(join(outside, 'shared'), join(repository, 'app', 'charts'))
    const staged = stage(repository, repository, join(scratch('stage'), 'r'), kit)
    expect(staged.remote.map(r => r.from)).toEqual(['kit', 'network'])
    expect(readFileSync(join(staged.folder, 'app', 'kustomization.yaml'), 'utf8')).toContain('.recover-kit')
    expect(readFileSync(join(outside, 'kustomization.yaml'), 'utf8')).toBe(text)
    expect(readdirSync(outside).sort()).toEqual(['kustomization.yaml', 'shared'])
    expect(readdirSync(join(outside, 'shared'))).toEqual(['readme'])
  })

  test('images of disks beside the manifests are not copied, nor pipes', () => {
    const repository = folderWith({ 'kustomization.yaml': 'resources: []\n', 'images/flatcar.bin': '' })
    truncateSync(join(repository, 'images', 'flatcar.bin'), 65 * 2 ** 20)
    execFileSync('mkfifo', [join(repository, 'images', 'pipe')])
    const staged = stage(repository, repository, join(scratch('stage'), 'r'), undefined)
    expect(readdirSync(join(staged.folder, 'images'))).toEqual([])
  })

  test('numbers in a kustomization that is staged anew mean what they meant, and a version is text', () => {
    const url = 'http://127.0.0.1:1/map.yaml'
    const inline = '    valuesInline: { defaultMode: 0440 }\n'
    const repository = folderWith({
      'kustomization.yaml': `resources: ['${url}']\n${kustomization('    version: 1.10\n')}${inline}`,
    })
    const part = remoteOf(url)
    if (!part) throw new Error(`${url} is not taken for remote`)
    const kit = folderWith({ [placeInKit(part)]: configMap('from-afar') })
    const staged = stage(repository, repository, join(scratch('stage'), 'r'), kit)
    expect(staged.remote.map(r => r.from)).toEqual(['kit', 'network'])
    expect(staged.remote[1]?.part).toMatchObject({ name: 'small', version: '1.10' })
    const text = readFileSync(join(staged.folder, 'kustomization.yaml'), 'utf8')
    expect(text).not.toContain(url)
    expect(parse(text, goYaml)).toMatchObject({ helmCharts: [{ valuesInline: { defaultMode: 0o440 } }] })
    expect(text).toMatch(/version: 1\.10$/m)
  })

  withHelm('one in the kit is rendered although its repository does not answer', async () => {
    const repository = folderWith({ 'kustomization.yaml': kustomization('    version: 1.2.3\n') })
    const kit = folderWith(
      Object.fromEntries(
        Object.entries(chart).map(([path, text]) => [`charts/small-1.2.3/small/${path}`, text]),
      ),
    )
    const { objects, tools, remote } = await renderKustomization(repository, {
      root: repository,
      kit,
      offline: true,
      signal,
    })
    expect(objects.map(o => o.metadata.name)).toEqual(['of-the-chart'])
    expect(tools.join()).toMatch(/kustomize.*helm v/)
    expect(remote).toEqual([{ what: 'chart small 1.2.3 of http://127.0.0.1:1/charts', from: 'kit' }])
    expect(readdirSync(repository)).toEqual(['kustomization.yaml'])
  })

  withHelm('one of another version is not taken for it', async () => {
    const repository = folderWith({ 'kustomization.yaml': kustomization('    version: 1.2.4\n') })
    const kit = folderWith(
      Object.fromEntries(
        Object.entries(chart).map(([path, text]) => [`charts/small-1.2.3/small/${path}`, text]),
      ),
    )
    await expect(
      renderKustomization(repository, { root: repository, kit, offline: true, signal }),
    ).rejects.toMatchObject({ code: 'render-unreachable' })
  })
})

describe('kept renderings', () => {
  const objects = parseManifests(
    `${configMap('one', { a: '1' })}---\napiVersion: v1\nkind: Secret\nmetadata: { name: two }\nstringData: { password: hunter2 }\n`,
    'test',
  )
  const rendering = { objects, sha256: hashOf(objects), tools: ['kustomize v5'], remote: [] }

  test('come back as they were, readable by their owner alone', () => {
    const file = join(scratch('kept'), 'rendered', 'part.yaml')
    keepRendering(file, rendering)
    expect(readKept(file)).toEqual(rendering)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readKept(join(dirname(file), 'other.yaml'))).toBeUndefined()
  })

  test('that somebody edited are refused', () => {
    const file = join(scratch('kept'), 'part.yaml')
    keepRendering(file, rendering)
    writeFileSync(file, readFileSync(file, 'utf8').replace('a: "1"', 'a: "2"'))
    expect(() => readKept(file)).toThrowError(/is not what was rendered into it/)
    writeFileSync(file, configMap('no-head'))
    expect(() => readKept(file)).toThrowError(/is not what was rendered into it/)
  })

  test('YAML that is broken is named with its place', () => {
    expect(() => parseManifests('kind: A\n\tb: 1\n', 'x.yaml')).toThrowError(/x\.yaml:2:1/)
  })

  test('the same objects with their keys in another order are the same', () => {
    const [a, b] = [
      { kind: 'A', x: { c: 1, d: [1, 2] } },
      { x: { d: [1, 2], c: 1 }, kind: 'A' },
    ]
    expect(hashOf([a])).toBe(hashOf([b]))
    expect(hashOf([a])).not.toBe(hashOf([{ ...a, x: { c: 1, d: [2, 1] } }]))
  })

  test('differences are told by object and field, but not what a Secret holds', () => {
    const after = parseManifests(
      `${configMap('one', { a: '2' })}---\napiVersion: v1\nkind: Secret\nmetadata: { name: two }\nstringData: { password: hunter3 }\n---\n${configMap('three')}`,
      'test',
    )
    const told = differences(objects, after)
    expect(told).toEqual([
      { object: 'v1 ConfigMap one', change: 'changed', fields: ['data.a: "1" → "2"'] },
      { object: 'v1 Secret two', change: 'changed', fields: ['stringData.password: another value'] },
      { object: 'v1 ConfigMap three', change: 'added', fields: [] },
    ])
    expect(differences(after, objects).map(d => d.change)).toEqual(['changed', 'changed', 'removed'])
    expect(JSON.stringify(objects.map(withoutSecrets))).not.toContain('hunter2')
    expect(differences([...objects].reverse(), objects)).toEqual([])
  })
})

function remoteFilesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => entry.name)
}

describe('what an Application brings', () => {
  const chart = {
    'charts-of-ours/web/Chart.yaml': 'apiVersion: v2\nname: web\nversion: 1.0.0\n',
    'charts-of-ours/web/values.yaml': 'size: small\ncolour: none\nshape: none\n',
    'charts-of-ours/web/templates/map.yaml':
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  namespace: {{ .Release.Namespace }}\ndata:\n  size: {{ .Values.size }}\n  colour: {{ .Values.colour }}\n  shape: {{ .Values.shape }}\n',
  }
  const application = (spec: object): KubernetesObject => ({
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: { name: 'shop' },
    spec: { destination: { namespace: 'shop' }, ...spec },
  })
  const at = 'argocd/shop.yaml:2:1'

  test('plain manifests, with and without what lies below', async () => {
    const root = folderWith({ 'app/one.yaml': configMap('one'), 'app/deep/two.yaml': configMap('two') })
    const names = async (directory?: object) => {
      const source = { path: 'app', ...(directory ? { directory } : {}) }
      const { objects } = await renderApplication(application({ source }), at, { root, signal })
      return objects.map(o => o.metadata.name).sort()
    }
    expect(await names()).toEqual(['one'])
    expect(await names({ recurse: true })).toEqual(['one', 'two'])
  })

  withHelm('a chart of the repository, its values in the order in which later ones win', async () => {
    const root = folderWith({ ...chart, 'values/shop.yaml': 'size: of-the-file\ncolour: of-the-file\n' })
    const sources = [
      {
        path: 'charts-of-ours/web',
        helm: {
          releaseName: 'front',
          valueFiles: ['$ours/values/shop.yaml'],
          valuesObject: { colour: 'of-the-object' },
          parameters: [{ name: 'shape', value: 'of-the-parameter' }],
        },
      },
      { repoURL: 'https://git.example.net/home.git', ref: 'ours' },
    ]
    const { objects, tools } = await renderApplication(application({ sources }), at, { root, signal })
    expect(objects).toMatchObject([
      {
        metadata: { name: 'front', namespace: 'shop' },
        data: { size: 'of-the-file', colour: 'of-the-object', shape: 'of-the-parameter' },
      },
    ])
    expect(tools.join()).toMatch(/helm v/)
  })

  withHelm(
    'a chart from elsewhere comes from the kit; one that is nowhere is named with the Application’s place',
    async () => {
      const root = folderWith({})
      const kit = folderWith(
        Object.fromEntries(
          Object.entries(chart).map(([path, text]) => [
            path.replace('charts-of-ours', 'charts/web-1.0.0'),
            text,
          ]),
        ),
      )
      const source = (targetRevision: string) => ({
        source: { repoURL: 'http://127.0.0.1:1/charts', chart: 'web', targetRevision },
      })
      const { objects, remote } = await renderApplication(application(source('1.0.0')), at, {
        root,
        kit,
        offline: true,
        signal,
      })
      expect(objects).toMatchObject([{ metadata: { name: 'shop', namespace: 'shop' } }])
      expect(remote).toEqual([{ what: 'chart web 1.0.0 of http://127.0.0.1:1/charts', from: 'kit' }])
      await expect(
        renderApplication(application(source('2.0.0')), at, { root, kit, signal }),
      ).rejects.toMatchObject({
        code: 'render-unreachable',
        message: expect.stringContaining(`chart web 2.0.0 of http://127.0.0.1:1/charts (named in ${at})`),
      })
    },
  )

  test('parameters are values as helm reads them of --set, whatever they are called', () => {
    const root = folderWith(chart)
    const parameters = [
      ['colour', 'red'],
      ['colour.rim', '0755'],
      ['mode', 'null'],
      ['mode.of', 'x'],
      ['mode', '-7'],
      ['big', '123456789012345678'],
      ['on', 'true'],
      ['hosts[1].name', 'b'],
      ['hosts[0].name', 'a'],
      ['labels.app\\.example/part', 'x'],
      ['__proto__.polluted', 'yes'],
    ].map(([name, value]) => ({ name, value }))
    const helm = { parameters: [...parameters, { name: 'text', value: '5', forceString: true }] }
    const [source] = renderSourcesOf(application({ source: { path: 'charts-of-ours/web', helm } }), root)
    const values = source?.kind === 'made' ? source.files['values-0.yaml'] : undefined
    expect(values).toBe(
      [
        'colour:\n  rim: "0755"\nmode: -7\nbig: 123456789012345678\n"on": true',
        'hosts:\n  - name: a\n  - name: b\nlabels:\n  app.example/part: x',
        '__proto__:\n  polluted: "yes"\ntext: "5"\n',
      ].join('\n'),
    )
    expect(({} as { polluted?: string }).polluted).toBeUndefined()
  })

  test('fields of which nothing is said are as if they were not there, and a path must be a folder', () => {
    const root = folderWith({ ...chart, 'app/one.yaml': configMap('one') })
    const sourceOf = (source: unknown) => renderSourcesOf(application({ source }), root)
    expect(sourceOf(null)).toEqual([])
    expect(sourceOf({ path: 'charts-of-ours/web', helm: null })).toEqual(
      sourceOf({ path: 'charts-of-ours/web' }),
    )
    const helm = { values: null, valuesObject: { affinity: null, tree: { leaf: null } } }
    expect(sourceOf({ path: 'charts-of-ours/web', helm })).toMatchObject([
      { files: { 'values-0.yaml': 'affinity: null\ntree:\n  leaf: null\n' } },
    ])
    expect(sourceOf({ path: 'app', chart: null, directory: null })).toMatchObject([{ kind: 'plain' }])
    expect(() => sourceOf({ path: 'app/one.yaml' })).toThrow(
      expect.objectContaining({
        code: 'render-failed',
        message: 'shop is to be rendered from app/one.yaml, which is no folder',
      }),
    )
  })

  test('a folder of another repository is named by where it is', async () => {
    const source = { repoURL: 'https://127.0.0.1:1/other.git', path: 'deploy', targetRevision: 'v2' }
    await expect(
      renderApplication(application({ source }), at, { root: folderWith({}), offline: true, signal }),
    ).rejects.toMatchObject({
      code: 'render-unreachable',
      message: expect.stringContaining(`https://127.0.0.1:1/other.git//deploy?ref=v2 (named in ${at})`),
    })
  })

  test('what needs a plugin is not rendered', async () => {
    const source = { path: 'app', plugin: { name: 'x' } }
    await expect(
      renderApplication(application({ source }), at, { root: folderWith({}), signal }),
    ).rejects.toMatchObject({ code: 'render-unsupported' })
  })
})

test('what a kustomization lacks is named with file, line and column', async () => {
  const root = folderWith({
    'app/kustomization.yaml': 'resources:\n  - map.yaml\n  - https://127.0.0.1:1/install.yaml\n',
    'app/map.yaml': configMap('ours'),
  })
  await expect(renderKustomization(join(root, 'app'), { root, offline: true, signal })).rejects.toMatchObject(
    {
      message: expect.stringContaining(
        'https://127.0.0.1:1/install.yaml (named in app/kustomization.yaml:3:5)',
      ),
    },
  )
})

withKustomize('a run gets a kustomization of the bootstrap as kustomize renders it, once', async () => {
  const examples = scratch('examples')
  for (const home of ['home', 'flux-home'])
    cpSync(join('examples', home), join(examples, home), { recursive: true })
  const folder = join(examples, 'flux-home/clusters/home/flux-system')
  const kustomization = join(folder, 'kustomization.yaml')
  writeFileSync(kustomization, `${readFileSync(kustomization, 'utf8')}commonAnnotations: { by: kustomize }\n`)
  const cluster = loadCluster(join(examples, 'flux-home/recover.yaml'), {})
  const run = scratch('run')
  const objects = await bootstrapManifests(cluster, cluster.bootstrap[0]!, run, signal)
  expect(objects.length).toBeGreaterThan(2)
  expect(new Set(objects.map(o => o.metadata.annotations?.by))).toEqual(new Set(['kustomize']))
  rmSync(kustomization)
  expect(await bootstrapManifests(cluster, cluster.bootstrap[0]!, run, signal)).toEqual(objects)
})
