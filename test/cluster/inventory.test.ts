import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { readInventory } from '../../src/cluster/inventory.ts'
import { renderLocal } from '../../src/cluster/kustomization.ts'
import { scratch } from '../runbook/harness.ts'

function repository(files: Record<string, string>): string {
  const folder = scratch('inventory')
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

const database = `apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: { name: db }
spec:
  instances: 2
  storage: { size: 10Gi, storageClass: nas }
  walStorage: { size: 2Gi }
`

test('a CloudNativePG cluster has a claim for each instance, and one for its log', () => {
  const { claims } = readInventory(
    repository({
      'apps/notes/kustomization.yaml': 'namespace: notes\nresources: [db.yaml, other.yaml]\n',
      'apps/notes/db.yaml': database,
      'apps/notes/other.yaml':
        'apiVersion: cluster.x-k8s.io/v1beta1\nkind: Cluster\nmetadata: { name: other }\nspec: {}\n',
    }),
  )
  expect(claims.map(c => [c.id, c.sizeBytes / 2 ** 30, c.storageClass])).toEqual([
    ['notes/db-1', 10, 'nas'],
    ['notes/db-1-wal', 2, undefined],
    ['notes/db-2', 10, 'nas'],
    ['notes/db-2-wal', 2, undefined],
  ])
  expect(claims[3]).toMatchObject({
    owners: ['Cluster notes/db'],
    accessModes: ['ReadWriteOnce'],
    folder: 'apps/notes',
    labels: { 'cnpg.io/cluster': 'db', 'cnpg.io/instanceName': 'db-2', 'cnpg.io/pvcRole': 'PG_WAL' },
    annotations: { 'cnpg.io/nodeSerial': '2', 'cnpg.io/pvcStatus': 'ready' },
    at: 'apps/notes/db.yaml:2:1',
  })
  expect(claims[0]?.labels['cnpg.io/pvcRole']).toBe('PG_DATA')
})

test('a claim that Git makes beforehand for a database is counted once and keeps what Git says', () => {
  const { claims } = readInventory(
    repository({
      'apps/notes/kustomization.yaml': 'namespace: notes\nresources: [claim.yaml]\n',
      'apps/notes/claim.yaml':
        'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: db-1, labels: { mine: "yes" } }\nspec: { resources: { requests: { storage: 20Gi } } }\n',
      'apps/database/kustomization.yaml': 'namespace: notes\nresources: [db.yaml]\n',
      'apps/database/db.yaml': database.replace('instances: 2', 'instances: 1').replace(/ {2}wal.*\n/, ''),
    }),
  )
  expect(claims).toMatchObject([
    {
      id: 'notes/db-1',
      sizeBytes: 20 * 2 ** 30,
      owners: ['Cluster notes/db'],
      folder: 'apps/notes',
      labels: { mine: 'yes', 'cnpg.io/cluster': 'db' },
      annotations: { 'cnpg.io/nodeSerial': '1' },
    },
  ])
})

const application = (name: string, source: string) =>
  `apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: { name: ${name} }\nspec: { destination: {}, ${source} }\n`

test('Argo CD objects are found in kustomizations and in plain folders, each once; a Helm template is none', () => {
  const inventory = readInventory(
    repository({
      'kustomization.yaml': 'resources: [argocd/listed.yaml]\n',
      'argocd/listed.yaml': application(
        'listed',
        'source: { repoURL: https://git.example.net/h, path: apps/listed }',
      ),
      'argocd/several.yaml': application(
        'several',
        'sources: [{ repoURL: https://charts.example.net, chart: c }, { repoURL: git@git.example.net:h, path: apps/s }]',
      ),
      'argocd/set.yaml': `apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: { name: all }
spec:
  generators:
    - git: { directories: [{ path: "apps/*" }, { path: apps/old, exclude: true }] }
  template: { spec: { source: { repoURL: https://git.example.net/h, path: "{{path}}" } } }
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: { name: system }
spec: {}
`,
      'chart/templates/app.yaml':
        'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{ .Values.m }}\n',
      'system/argocd/kustomization.yaml': 'resources: []\n',
      'system/argocd/patches/app.yaml': application('patch', 'source: { path: x }'),
    }),
  )
  expect(inventory.applications.map(a => [a.name, a.path, a.repository, a.at])).toEqual([
    ['listed', 'apps/listed', 'https://git.example.net/h', 'argocd/listed.yaml:2:1'],
    ['several', 'apps/s', 'git@git.example.net:h', 'argocd/several.yaml:2:1'],
  ])
  expect(inventory.applicationSets).toMatchObject([
    { name: 'all', repository: 'https://git.example.net/h', generates: ['apps/*'] },
  ])
  expect(inventory.projects).toMatchObject([{ name: 'system', at: 'argocd/set.yaml:10:1' }])
})

test('patches of a claim count: strategic merge and JSON 6902, from a file and inline, by kind and name', () => {
  const claim = (name: string) =>
    `apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: ${name} }\nspec: { storageClassName: slow, resources: { requests: { storage: 1Gi } } }\n`
  const { claims } = readInventory(
    repository({
      'a/kustomization.yaml': `namespace: home
resources: [claims.yaml]
patches:
  - path: bigger.yaml
  - target: { kind: PersistentVolumeClaim, name: "two|three" }
    patch: |-
      - { op: replace, path: /spec/storageClassName, value: fast }
      - { op: add, path: /metadata/labels, value: { tier: best } }
  - patch: |-
      apiVersion: v1
      kind: PersistentVolumeClaim
      metadata: { name: three, namespace: null }
      spec: { accessModes: [ReadWriteOnce] }
`,
      'a/claims.yaml': ['one', 'two', 'three'].map(claim).join('---\n'),
      'a/bigger.yaml':
        'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: one }\nspec: { resources: { requests: { storage: 5Gi } } }\n',
    }),
  )
  expect(claims.map(c => [c.id, c.sizeBytes / 2 ** 30, c.storageClass, c.labels, c.accessModes])).toEqual([
    ['home/one', 5, 'slow', {}, []],
    ['home/two', 1, 'fast', { tier: 'best' }, []],
    ['home/three', 1, 'fast', { tier: 'best' }, ['ReadWriteOnce']],
  ])
})

test('a patch means what the folder took in: by its name there, whatever it calls itself, and it may take a claim away', () => {
  const claim = (name: string) =>
    `apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: ${name}, namespace: x }\nspec: { resources: { requests: { storage: 1Gi } } }\n`
  const named = (name: string) =>
    `apiVersion: v1\n      kind: PersistentVolumeClaim\n      metadata: { name: ${name}, namespace: x }`
  const repo = repository({
    'a/kustomization.yaml': `namePrefix: my-
resources: [claims.yaml]
patches:
  - target: { kind: PersistentVolumeClaim, name: one }
    patch: |-
      apiVersion: v2
      kind: not-important
      metadata: { name: not-important, namespace: other, labels: { tier: best } }
      spec: { resources: { requests: { storage: 5Gi } } }
  - patch: |-
      $patch: delete
      ${named('two')}
  - patch: |-
      ${named('my-three')}
      spec: { resources: { requests: { storage: 9Gi } } }
`,
    'a/claims.yaml': ['one', 'two', 'three'].map(claim).join('---\n'),
  })
  expect(readInventory(repo).claims.map(c => [c.id, c.sizeBytes / 2 ** 30, c.labels])).toEqual([
    ['x/my-one', 5, { tier: 'best' }],
    ['x/my-three', 1, {}],
  ])
  const [one] = renderLocal(join(repo, 'a'), repo).objects
  expect(one?.value).toMatchObject({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'my-one', namespace: 'x' },
  })
})

test('of two claims with one name a patch means the one in its namespace; what a component patches is not its own', () => {
  const claim = (namespace: string) =>
    `apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data, namespace: ${namespace} }\nspec: { resources: { requests: { storage: 1Gi } } }\n`
  const patch = (meant: string, size: string) => `  - patch: |-
      apiVersion: v1
      kind: PersistentVolumeClaim
      metadata: { name: data, namespace: ${meant} }
      spec: { resources: { requests: { storage: ${size} } } }
`
  const repo = repository({
    // As kustomize builds it: a component's suffix is given to all, and what it took in has its old name for patches still.
    'a/kustomization.yaml': `resources: [claims.yaml]\ncomponents: [../larger]\npatches:\n${patch('a', '5Gi')}${patch('c', '7Gi')}`,
    'a/claims.yaml': [claim('a'), claim('b')].join('---\n'),
    'larger/kustomization.yaml': `apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
nameSuffix: -s
resources: [claim.yaml]
patches:
  - target: { kind: PersistentVolumeClaim, namespace: b }
    patch: |-
      - { op: replace, path: /spec/resources/requests/storage, value: 9Gi }
`,
    'larger/claim.yaml': claim('c'),
  })
  expect(readInventory(repo).claims.map(c => [c.id, c.sizeBytes / 2 ** 30])).toEqual([
    ['a/data-s', 5],
    ['b/data-s', 9],
    ['c/data-s', 7],
  ])
})
