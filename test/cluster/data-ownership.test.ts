import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { ownershipOf } from '../../src/cluster/data-ownership.ts'
import { holdOf } from '../../src/cluster/hold.ts'
import { readInventory } from '../../src/cluster/inventory.ts'
import { renderLocal } from '../../src/cluster/kustomization.ts'
import { scratch } from '../runbook/harness.ts'

function folder(files: Record<string, string>): string {
  const top = scratch('ownership')
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(top, name)), { recursive: true })
    writeFileSync(join(top, name), text)
  }
  return top
}

function owned(manifests: string) {
  const top = folder({
    'kustomization.yaml': 'namespace: ns\nresources: [all.yaml]\n',
    'all.yaml': manifests,
  })
  const { objects, remote } = renderLocal(top, top)
  return ownershipOf(objects, remote)
}

const pod = (claim: string) =>
  `spec: { volumes: [{ name: d, persistentVolumeClaim: { claimName: ${claim} } }], containers: [] }`

test.each<[string, string, Record<string, string[]>]>([
  [
    'a claim that nobody mounts',
    'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data }\n',
    {
      'PersistentVolumeClaim ns/data': ['ns/data'],
    },
  ],
  [
    'a claim and who mounts it',
    `apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data }\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec: { template: { ${pod('data')} } }\n`,
    { 'Deployment ns/web': ['ns/data'] },
  ],
  [
    'a claim of another folder, mounted by a CronJob',
    `apiVersion: batch/v1\nkind: CronJob\nmetadata: { name: nightly }\nspec: { jobTemplate: { spec: { template: { ${pod('elsewhere')} } } } }\n`,
    { 'CronJob ns/nightly': ['ns/elsewhere'] },
  ],
  [
    'a StatefulSet with two replicas and two templates',
    'apiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: db }\nspec: { replicas: 2, volumeClaimTemplates: [{ metadata: { name: a } }, { metadata: { name: b } }] }\n',
    { 'StatefulSet ns/db': ['ns/a-db-0', 'ns/a-db-1', 'ns/b-db-0', 'ns/b-db-1'] },
  ],
  [
    'CloudNativePG, with its log apart',
    'apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: { name: pg }\nspec: { instances: 1, storage: { size: 1Gi }, walStorage: { size: 1Gi } }\n',
    { 'Cluster ns/pg': ['ns/pg-1', 'ns/pg-1-wal'] },
  ],
  [
    'Elasticsearch, by default and with templates',
    'apiVersion: elasticsearch.k8s.elastic.co/v1\nkind: Elasticsearch\nmetadata: { name: elasticsearch }\nspec: { nodeSets: [{ name: default, count: 1 }, { name: hot, count: 2, volumeClaimTemplates: [{ metadata: { name: elasticsearch-data } }] }] }\n',
    {
      'Elasticsearch ns/elasticsearch': [
        'ns/elasticsearch-data-elasticsearch-es-default-0',
        'ns/elasticsearch-data-elasticsearch-es-hot-0',
        'ns/elasticsearch-data-elasticsearch-es-hot-1',
      ],
    },
  ],
  [
    'Prometheus in two shards, and an Alertmanager with a name for its template',
    'apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: { name: k8s }\nspec: { shards: 2, storage: { volumeClaimTemplate: { spec: {} } } }\n---\napiVersion: monitoring.coreos.com/v1\nkind: Alertmanager\nmetadata: { name: main }\nspec: { storage: { volumeClaimTemplate: { metadata: { name: silences } } } }\n',
    {
      'Prometheus ns/k8s': [
        'ns/prometheus-k8s-db-prometheus-k8s-0',
        'ns/prometheus-k8s-db-prometheus-k8s-shard-1-0',
      ],
      'Alertmanager ns/main': ['ns/silences-alertmanager-main-0'],
    },
  ],
  [
    'what keeps nothing',
    'apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: { name: k8s }\nspec: {}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: c }\n---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: s }\nspec: { replicas: 1 }\n',
    {},
  ],
])('%s', (_, manifests, wanted) => {
  const { owned: found, doubts } = owned(manifests)
  const by: Record<string, string[]> = {}
  for (const one of found) (by[one.by] ??= []).push(one.claim)
  expect(by).toEqual(wanted)
  expect(doubts).toEqual([])
})

test('the claims that operators make are in the inventory too, with the size that they ask for', () => {
  const { claims } = readInventory(
    folder({
      'logs/kustomization.yaml': 'namespace: logs\nresources: [es.yaml]\n',
      'logs/es.yaml':
        'apiVersion: elasticsearch.k8s.elastic.co/v1\nkind: Elasticsearch\nmetadata: { name: e }\nspec: { nodeSets: [{ name: default, count: 1 }] }\n',
    }),
  )
  expect(claims).toMatchObject([
    { id: 'logs/elasticsearch-data-e-es-default-0', sizeBytes: 2 ** 30, owners: ['Elasticsearch logs/e'] },
  ])
})

test.each<[string, string, RegExp | undefined]>([
  [
    'a kind of which nothing is known',
    'apiVersion: minio.min.io/v2\nkind: Tenant\nmetadata: { name: t }\nspec: {}\n',
    /^Tenant ns\/t \(minio\.min\.io\), a kind of which recover does not know/,
  ],
  [
    'a known kind that asks for storage',
    'apiVersion: opentelemetry.io/v1beta1\nkind: OpenTelemetryCollector\nmetadata: { name: c }\nspec: { mode: statefulset, volumeClaimTemplates: [{ metadata: { name: queue } }] }\n',
    /asks for storage in its field volumeClaimTemplates$/,
  ],
  [
    'the same kind, asking for none',
    'apiVersion: opentelemetry.io/v1beta1\nkind: OpenTelemetryCollector\nmetadata: { name: c }\nspec: { mode: deployment }\n',
    undefined,
  ],
  [
    'storage that is switched off',
    'apiVersion: external-secrets.io/v1\nkind: Other\nmetadata: { name: o }\nspec: { persistence: { enabled: false } }\n',
    undefined,
  ],
  [
    'built-in kinds and an item of 1Password',
    'apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: { name: i }\n---\napiVersion: onepassword.com/v1\nkind: OnePasswordItem\nmetadata: { name: s }\nspec: {}\n',
    undefined,
  ],
])('doubt: %s', (_, manifests, wanted) => {
  const { doubts } = owned(manifests)
  if (wanted) expect(doubts.join()).toMatch(wanted)
  else expect(doubts).toEqual([])
})

test.each([
  ['grafana 8.5.1', 1],
  ['authentik 2024.12.3', 1],
  ['cloudnative-pg-operator 0.23.0', 0],
  ['cert-manager v1.17.0', 0],
  ['synology-csi 0.10.1', 0],
])('a chart that is not rendered: %s', (what, doubts) => {
  expect(
    ownershipOf([], [{ kind: 'chart', what, repository: 'https://charts.example.net', at: '' }]).doubts,
  ).toHaveLength(doubts)
})

const nothing = { owned: [], doubts: [], brings: [], parent: false, storage: false }
const data = [{ claim: 'a/data', by: 'Deployment a/a' }]

test.each([
  [{ ...nothing, owned: data }, undefined, true, 'its data is in Deployment a/a'],
  [{ ...nothing, owned: data }, false, true, 'its data is in Deployment a/a'],
  [{ ...nothing, parent: true, brings: ['b', 'c'] }, undefined, true, 'it brings b, c'],
  [{ ...nothing, storage: true, doubts: ['the chart x'] }, undefined, false, 'volumes need it'],
  [{ ...nothing, doubts: ['the chart x'] }, undefined, true, 'it may own data: the chart x'],
  [{ ...nothing, doubts: ['the chart x'] }, false, false, 'recover.yaml says so'],
  [nothing, undefined, false, 'it owns no data'],
  [nothing, true, true, 'recover.yaml says so'],
])('held or let through: %o, told %s', (application, choice, held, why) => {
  expect(holdOf(application, choice)).toEqual({ held, why })
})
