import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderLocal } from '../../src/cluster/kustomization.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { ClusterFileFault } from '../../src/cluster/problem.ts'
import { parseYaml } from '../../src/cluster/yaml-file.ts'
import { scratch } from '../runbook/harness.ts'

const example = fileURLToPath(new URL('../../examples/home', import.meta.url))

/** Every complaint of what is thrown, with its place; none where nothing is. */
function complaints(read: () => unknown): string[] {
  try {
    read()
  } catch (thrown) {
    if (thrown instanceof ClusterFileFault) return thrown.problems.map(p => `${p.at} ${p.path}: ${p.message}`)
    throw thrown
  }
  return []
}

/** What a folder with these files renders to. */
function folderWith(files: Record<string, string>): () => unknown {
  const root = scratch('manifests')
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return () => renderLocal(root, root)
}

describe('a manifest with a field of another type than Kubernetes takes is refused at that field', () => {
  const application = 'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: wiki\n'
  test.for([
    [
      'apiVersion: v1\nkind: Secret\nmetadata:\n  name: 0x10\n',
      '4:3 metadata.name: expected string, received number',
    ],
    [
      application.replace('name: wiki', 'namespace: argocd'),
      '3:1 metadata.name: expected string, received undefined',
    ],
    [
      `${application}spec:\n  source:\n    path: true\n`,
      '7:5 spec.source.path: expected string, received boolean',
    ],
    [
      `${application}spec:\n  sources:\n    - targetRevision: 1.10\n`,
      '7:7 spec.sources.0.targetRevision: expected string, received number',
    ],
    [
      'apiVersion: v1\nkind: List\nitems:\n  - {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {accessModes: all}}\n',
      '4:79 spec.accessModes: expected array, received string',
    ],
    [
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, env: {A: b}}]}}}\n',
      '4:49 spec.template.spec.containers.0.env: expected array, received object',
    ],
    [
      'apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec: {replicas: 1000000000}\n',
      '4:8 spec.replicas: too big: expected number to be <=1000',
    ],
    [
      'apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: a}\nspec: {instances: .inf}\n',
      '4:8 spec.instances: expected number, received Infinity',
    ],
  ])('%#', ([text = '', complaint]) => {
    expect(complaints(folderWith({ 'a.yaml': text }))).toEqual([`a.yaml:${complaint}`])
  })
})

test('a field that is null is one that is not there, as it is to Kubernetes', () => {
  const read = folderWith({
    'a.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: null, labels: null}
spec:
  template: {spec: {initContainers: null, volumes: null, containers: [{name: a, env: null, volumeMounts: null}]}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: b, namespace: null}
spec: {storageClassName: null, volumeName: null, accessModes: null, resources: null}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: c, annotations: null}
spec: {source: null, sources: null, destination: null}
`,
  })
  expect(complaints(read)).toEqual([])
  expect(read()).toMatchObject({
    objects: [{ namespace: undefined }, { namespace: undefined }, { name: 'c' }],
  })
})

test('a hook of Argo CD’s may have a name made anew at each sync; a Job with neither name is refused', () => {
  const job = (metadata: string) =>
    folderWith({ 'a.yaml': `apiVersion: batch/v1\nkind: Job\nmetadata: ${metadata}\n` })
  expect(
    complaints(job('{generateName: migrate-, annotations: {argocd.argoproj.io/hook: PreSync}}')),
  ).toEqual([])
  expect(complaints(job('{labels: {}}'))).toEqual([
    'a.yaml:3:1 metadata.name: expected a name, or a generateName',
  ])
})

describe('a kustomization that kustomize would not read is refused where it is wrong', () => {
  test.for([
    ['resources:\n  - [a, b]\n', '2:5 resources.0: '],
    ['resources: a.yaml\n', '1:1 resources: expected array, received string'],
    ['helmCharts:\n  - version: 1.10\n', '2:5 helmCharts.0.name: '],
    [
      'patches:\n  - patch: 5\n    target: {kind: Secret}\n',
      '2:5 : this is no patch: neither a map nor a list of operations',
    ],
    [
      'resources: [a.yaml]\npatches:\n  - patch: "[]"\n    target: {kind: "("}\n',
      '3:5 : the patch’s target "(" is no regular expression',
    ],
    [
      'resources: [a.yaml]\npatches:\n  - patch: "[{op: replace, path: /metadata, value: 5}]"\n    target: {kind: Secret}\n',
      '3:5 metadata: expected object, received number',
    ],
    [
      'resources:\n  - inner\n',
      'inner/kustomization.yaml:1:13 : kustomizations include each other in a circle: ',
    ],
  ])('%#', ([text = '', complaint = '']) => {
    const found = complaints(
      folderWith({
        'kustomization.yaml': text,
        'a.yaml': 'apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n',
        'inner/kustomization.yaml': 'resources: [..]\n',
      }),
    )
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(/^\d/.test(complaint) ? `kustomization.yaml:${complaint}` : complaint)
  })

  test('nothing where a list should be is an empty list, and a number where a text should be is that text', () => {
    const read = folderWith({
      'kustomization.yaml': 'namespace: 5\nresources:\npatches:\nhelmCharts:\n  - {name: a, version: 1.5}\n',
    })
    expect(complaints(read)).toEqual([])
    expect(read()).toMatchObject({ remote: [{ what: 'a 1.5' }] })
  })
})

test.for([
  ['a: &a [*a]', '1:8 : *a stands in what it means itself, which has no end'],
  ['a: *b', '1:4 : no anchor &b stands before *b'],
  ['b: 1\n<<: 5', '1:1 : Merge sources must be maps or map aliases'],
  [
    'a: &a [1,1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d]',
    '1:1 : Excessive alias count indicates a resource exhaustion attack',
  ],
  ['a: [1', '1:6 : Flow sequence in block collection must be sufficiently indented and end with a ]'],
])('YAML that means nothing is a complaint with its place: %#', ([text = '', complaint]) => {
  expect(complaints(() => parseYaml(text, 'a.yaml'))[0]).toBe(`a.yaml:${complaint}`)
})

test('whatever becomes of a line of any of its files, a cluster loads or is refused with a place to mend', () => {
  const folder = scratch('cluster')
  cpSync(example, folder, { recursive: true })
  const texts = new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter(name => /\.(?:ya?ml|bu)$/.test(name))
      .map(name => [name, readFileSync(join(folder, name), 'utf8')]),
  )
  const values = [
    '',
    'null',
    '[]',
    '{}',
    '5',
    '-3',
    'true',
    '1e400',
    '.inf',
    '[1, {a: b}]',
    '&a [*a]',
    '!!binary aGk=',
    '|',
    '? ?',
    '\t',
    '<<',
    '""',
  ]
  const edits: Record<string, (lines: string[], at: number, value: string) => void> = {
    'is cut off': (lines, at) => lines.splice(at),
    'loses a line': (lines, at) => lines.splice(at, 1),
    'has a line twice': (lines, at) => lines.splice(at, 0, lines[at] ?? ''),
    'has a line further in': (lines, at) => lines.splice(at, 1, `  ${lines[at]}`),
    'has another value': (lines, at, value) =>
      lines.splice(at, 1, (lines[at] ?? '').replace(/^(\s*(?:- )?[^:#]+:).*$/, `$1 ${value}`)),
    'has another item': (lines, at, value) =>
      lines.splice(at, 1, (lines[at] ?? '').replace(/^(\s*- ).*$/, `$1${value}`)),
  }
  const edit = fc.record({
    name: fc.constantFrom(...texts.keys(), 'recover.yaml', 'k0sctl.yaml'),
    how: fc.constantFrom(...Object.keys(edits)),
    line: fc.nat(200),
    value: fc.constantFrom(...values),
  })
  fc.assert(
    fc.property(edit, ({ name, how, line, value }) => {
      const lines = texts.get(name)!.split('\n')
      edits[how]!(lines, line % lines.length, value)
      writeFileSync(join(folder, name), lines.join('\n'))
      try {
        for (const complaint of complaints(() => loadCluster(join(folder, 'recover.yaml'), {})))
          expect(complaint).toMatch(/^\S+:\d+:\d+ /)
      } finally {
        writeFileSync(join(folder, name), texts.get(name)!)
      }
    }),
    { numRuns: 300 },
  )
})
