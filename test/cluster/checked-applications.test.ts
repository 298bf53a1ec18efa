import { expect, test } from 'vitest'
import type { CheckEntry } from '../../src/cluster/check-schema.ts'
import { checkedApplications } from '../../src/cluster/checked-applications.ts'
import type { FoundObject } from '../../src/cluster/found-objects.ts'

const object = (kind: string, namespace: string, spec: object = {}): FoundObject => ({
  apiVersion: 'v1',
  kind,
  name: 'it',
  namespace,
  value: { spec },
  at: 'it.yaml:1:1',
})
const application = (name: string, namespace: string, objects: FoundObject[], parent = false) => ({
  name,
  objects,
  parent,
  manifest: { spec: { destination: { namespace } } },
})
const home = [
  application('wiki', 'wiki', [
    object('Deployment', 'wiki'),
    object('Ingress', 'wiki', { rules: [{ host: 'wiki.example.net' }, {}] }),
  ]),
  application('wiki-database', 'wiki', [object('StatefulSet', 'wiki')]),
  application('chart', 'chart', []),
  application('route', 'route', [object('HTTPRoute', 'route', { hostnames: ['route.example.net'] })]),
  application('root', 'argocd', [], true),
]
const everything = home.map(a => a.name)

test.each<[CheckEntry, string[]]>([
  [{ http: 'https://wiki.example.net:8443/health' }, ['wiki']],
  [{ http: 'https://route.example.net/' }, ['route']],
  [{ tcp: 'wiki.example.net:443' }, ['wiki']],
  [{ exec: ['true'], in: { namespace: 'wiki', pod: 'wiki-0' } }, ['wiki', 'wiki-database']],
  [{ sql: 'select 1', program: 'psql', in: { namespace: 'chart', pod: 'db-0' } }, ['chart']],
  // A parent is where its children are made, not where pods are.
  [{ exec: ['true'], in: { namespace: 'argocd', pod: 'argocd-server' } }, everything],
  [{ tcp: '192.0.2.51:5432' }, everything],
  [{ http: 'https://elsewhere.example.net/' }, everything],
  [{ tcp: '192.0.2.51:5432', application: 'chart' }, ['chart']],
])('%j is asked when %j are well', (entry, applications) => {
  expect(checkedApplications(entry, home)).toEqual(applications)
})
