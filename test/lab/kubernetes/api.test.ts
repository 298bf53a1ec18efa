import { appendFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectApi } from '../../../src/kubernetes/api.ts'
import type { KubernetesObject } from '../../../src/kubernetes/kubernetes.ts'
import { startLab } from '../../../src/lab/lab.ts'
import { World } from '../../../src/lab/world.ts'
import { type Cluster, credentials, eventually, onMachine, openCluster, startCluster } from './cluster.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.close())

let counter = 0
/** A namespace of its own for each test, so that none sees another's objects. */
async function namespace(): Promise<string> {
  counter += 1
  const name = `test-${counter}`
  const made = await cluster.ask('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name },
  })
  expect(made.status).toBe(201)
  return name
}

const config = (ns: string, name: string, data: Record<string, string> = {}): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: ns },
  data,
})

const deployment = (ns: string, spec: object): KubernetesObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: ns },
  spec,
})

const containers = (...list: object[]) => ({
  selector: { matchLabels: { app: 'web' } },
  template: { metadata: { labels: { app: 'web' } }, spec: { containers: list } },
})

describe('discovery', () => {
  test('our client finds kinds, versions and nothing where nothing is', async () => {
    const { reader } = cluster.api
    expect(await reader.ready()).toEqual({ ready: true, why: 'ok' })
    expect(await reader.version()).toBe('v1.34.2+k0s')
    expect(await reader.serves({ apiVersion: 'apps/v1', kind: 'Deployment' })).toBe(true)
    expect(await reader.serves({ apiVersion: 'apps/v2', kind: 'Deployment' })).toBe(false)
    expect(await reader.serves({ apiVersion: 'cilium.io/v2', kind: 'CiliumNode' })).toBe(false)
    expect(await reader.list({ apiVersion: 'cilium.io/v2', kind: 'CiliumNode' })).toEqual([])
    expect(
      await reader.get({ apiVersion: 'nowhere.io/v1', kind: 'Thing', namespace: 'a', name: 'b' }),
    ).toBeUndefined()
  })

  test('groups and subresources are listed as the real server lists them', async () => {
    const groups = await cluster.ask('GET', '/apis')
    expect(groups.body.groups).toContainEqual(
      expect.objectContaining({
        name: 'apps',
        preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
      }),
    )
    const { body } = await cluster.ask('GET', '/apis/apps/v1')
    const names = body.resources.map((r: { name: string }) => r.name)
    expect(names).toEqual(expect.arrayContaining(['deployments', 'deployments/status']))
    // A short name on a subresource makes kubectl warn at every command.
    expect(body.resources.find((r: { name: string }) => r.name === 'deployments/status')).not.toHaveProperty(
      'shortNames',
    )
    expect((await cluster.ask('GET', '/apis/nowhere.io')).status).toBe(404)
    expect((await cluster.ask('GET', '/api/v1/unicorns')).body).toMatchObject({
      kind: 'Status',
      reason: 'NotFound',
      message: 'the server could not find the requested resource',
    })
  })
})

describe('reading and writing', () => {
  test('create, get, list, delete; 404 and AlreadyExists name the object', async () => {
    const ns = await namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps`
    const made = await cluster.ask('POST', path, config(ns, 'one', { a: '1' }))
    expect(made).toMatchObject({
      status: 201,
      body: { metadata: { name: 'one', namespace: ns, uid: expect.stringMatching(/^[0-9a-f-]{36}$/) } },
    })
    expect(await cluster.ask('POST', path, config(ns, 'one'))).toMatchObject({
      status: 409,
      body: { reason: 'AlreadyExists', message: 'configmaps "one" already exists' },
    })
    expect(await cluster.ask('GET', `${path}/two`)).toMatchObject({
      status: 404,
      body: {
        reason: 'NotFound',
        message: 'configmaps "two" not found',
        details: { name: 'two', kind: 'configmaps' },
      },
    })
    expect((await cluster.ask('GET', `/apis/apps/v1/namespaces/${ns}/deployments/web`)).body.message).toBe(
      'deployments.apps "web" not found',
    )
    const list = await cluster.ask('GET', path)
    expect(list.body).toMatchObject({ kind: 'ConfigMapList', items: [{ metadata: { name: 'one' } }] })
    expect(Number(list.body.metadata.resourceVersion)).toBeGreaterThanOrEqual(
      Number(made.body.metadata.resourceVersion),
    )
    expect(await cluster.ask('DELETE', `${path}/one`)).toMatchObject({
      status: 200,
      body: { kind: 'Status', status: 'Success', details: { uid: made.body.metadata.uid } },
    })
    expect((await cluster.ask('DELETE', `${path}/one`)).status).toBe(404)
  })

  test('generateName makes a name; no name at all is invalid, and so is a wrong one', async () => {
    const ns = await namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps`
    const made = await cluster.ask('POST', path, {
      ...config(ns, 'x'),
      metadata: { generateName: 'pre-', namespace: ns },
    })
    expect(made.body.metadata.name).toMatch(/^pre-.{5}$/)
    expect(await cluster.ask('POST', path, { ...config(ns, 'x'), metadata: {} })).toMatchObject({
      status: 422,
      body: { reason: 'Invalid' },
    })
    expect((await cluster.ask('POST', path, config(ns, 'Not_a_name'))).status).toBe(422)
    expect((await cluster.ask('POST', path, { apiVersion: 'v1', kind: 'ConfigMap' })).status).toBe(400)
    expect((await cluster.ask('POST', path, 'null')).status).toBe(400)
    expect((await cluster.ask('POST', path, { ...config(ns, 'x'), kind: 'Secret' })).status).toBe(400)
  })

  test('an object needs its namespace to be there, by create and by apply', async () => {
    expect(
      await cluster.ask('POST', '/api/v1/namespaces/nowhere/configmaps', config('nowhere', 'x')),
    ).toMatchObject({ status: 404, body: { message: 'namespaces "nowhere" not found' } })
    await expect(cluster.api.writer.apply(config('nowhere', 'x'))).rejects.toMatchObject({
      code: 'namespace-missing',
      message: expect.stringContaining('there is no namespace nowhere'),
    })
  })

  test('a namespace takes everything in it along', async () => {
    const ns = await namespace()
    await cluster.api.writer.apply(config(ns, 'inside'))
    await cluster.ask('DELETE', `/api/v1/namespaces/${ns}`)
    await eventually('the ConfigMap to be gone', async () => {
      const { status } = await cluster.ask('GET', `/api/v1/namespaces/${ns}/configmaps/inside`)
      return status === 404 || undefined
    })
  })

  test('whoever writes an old version is told so', async () => {
    const ns = await namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps`
    const { body: first } = await cluster.ask('POST', path, config(ns, 'one', { a: '1' }))
    const second = await cluster.ask('PUT', `${path}/one`, { ...first, data: { a: '2' } })
    expect(second.status).toBe(200)
    expect(await cluster.ask('PUT', `${path}/one`, { ...first, data: { a: '3' } })).toMatchObject({
      status: 409,
      body: {
        reason: 'Conflict',
        message:
          'Operation cannot be fulfilled on configmaps "one": the object has been modified; please apply your changes to the latest version and try again',
      },
    })
    const { resourceVersion } = first.metadata
    const late = { metadata: { resourceVersion }, data: { a: '3' } }
    expect((await cluster.ask('PATCH', `${path}/one`, late, 'application/merge-patch+json')).status).toBe(409)
    const { body } = await cluster.ask('GET', `${path}/one`)
    expect(body.data).toEqual({ a: '2' })
    expect(body.metadata.uid).toBe(first.metadata.uid)
  })

  test('a write that changes nothing makes no new version', async () => {
    const ns = await namespace()
    const one = await cluster.apply('tester', config(ns, 'one', { a: '1' }))
    const again = await cluster.apply('tester', config(ns, 'one', { a: '1' }))
    expect([one.status, again.status]).toEqual([201, 200])
    expect(again.body.metadata.resourceVersion).toBe(one.body.metadata.resourceVersion)
  })

  test('a delete names the incarnation that is meant', async () => {
    const ns = await namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps/one`
    await cluster.api.writer.apply(config(ns, 'one'))
    const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace: ns, name: 'one' }
    await expect(
      cluster.api.writer.remove(ref, '00000000-0000-4000-8000-000000000000'),
    ).rejects.toMatchObject({
      code: 'api-refused',
      message: expect.stringContaining('Precondition failed: UID in precondition'),
    })
    const { body } = await cluster.ask('GET', path)
    await cluster.api.writer.remove(ref, body.metadata.uid)
    await cluster.api.writer.remove(ref, body.metadata.uid)
    expect(await cluster.api.reader.get(ref)).toBeUndefined()
  })

  test('finalizers hold a deleted object; nobody takes the deletion back', async () => {
    const ns = await namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps/held`
    await cluster.apply('tester', {
      ...config(ns, 'held'),
      metadata: { name: 'held', namespace: ns, finalizers: ['example.com/mine'] },
    })
    expect((await cluster.ask('DELETE', path)).body.metadata.deletionTimestamp).toMatch(/^\d{4}-.*:\d\dZ$/)
    const { body } = await cluster.ask('GET', path)
    const { deletionTimestamp: _, ...metadata } = body.metadata
    const put = await cluster.ask('PUT', path, { ...body, metadata })
    expect(put.body.metadata.deletionTimestamp).toBe(body.metadata.deletionTimestamp)
    await cluster.ask('PATCH', path, { metadata: { finalizers: null } }, 'application/merge-patch+json')
    expect((await cluster.ask('GET', path)).status).toBe(404)
  })

  test('merge patch: null removes, lists are whole; JSON patch: a test that fails changes nothing', async () => {
    const ns = await namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps/one`
    await cluster.apply('tester', config(ns, 'one', { a: '1', b: '2' }))
    const merged = await cluster.api.writer.patch(
      { apiVersion: 'v1', kind: 'ConfigMap', namespace: ns, name: 'one' },
      { data: { a: null, c: '3' } },
    )
    expect(merged.data).toEqual({ b: '2', c: '3' })
    const json = 'application/json-patch+json'
    const refused = await cluster.ask(
      'PATCH',
      path,
      [
        { op: 'remove', path: '/data/b' },
        { op: 'test', path: '/data/c', value: 'other' },
      ],
      json,
    )
    expect(refused).toMatchObject({ status: 422, body: { reason: 'Invalid' } })
    const patched = await cluster.ask('PATCH', path, [{ op: 'remove', path: '/data/b' }], json)
    expect(patched.body.data).toEqual({ c: '3' })
    expect((await cluster.ask('PATCH', path, {}, 'application/xml')).status).toBe(415)
  })

  test('strategic merge patch merges containers by name and obeys its directives', async () => {
    const ns = await namespace()
    const env = [
      { name: 'A', value: '1' },
      { name: 'B', value: '2' },
    ]
    await cluster.apply(
      't',
      deployment(ns, containers({ name: 'app', image: 'app:1', env }, { name: 'side' })),
    )
    const patch = {
      spec: {
        template: {
          spec: {
            '$setElementOrder/containers': [{ name: 'new' }, { name: 'app' }],
            containers: [
              { name: 'new', image: 'new:1' },
              { name: 'app', env: [{ $patch: 'delete', name: 'A' }] },
              { $patch: 'delete', name: 'side' },
            ],
          },
        },
      },
    }
    const { body } = await cluster.ask(
      'PATCH',
      `/apis/apps/v1/namespaces/${ns}/deployments/web`,
      patch,
      'application/strategic-merge-patch+json',
    )
    expect(body.spec.template.spec).toEqual({
      containers: [
        { name: 'new', image: 'new:1' },
        { name: 'app', image: 'app:1', env: [{ name: 'B', value: '2' }] },
      ],
    })
  })

  test('a status is written through its own resource only', async () => {
    const ns = await namespace()
    const path = `/apis/networking.k8s.io/v1/namespaces/${ns}/ingresses`
    const ingress = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: 'in' },
      spec: { ingressClassName: 'x' },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } },
    }
    expect((await cluster.ask('POST', path, ingress)).body.status).toBeUndefined()
    const merge = 'application/merge-patch+json'
    const main = await cluster.ask('PATCH', `${path}/in`, { status: { a: 1 } }, merge)
    expect(main.body.status).toBeUndefined()
    const own = await cluster.ask(
      'PATCH',
      `${path}/in/status`,
      { spec: { ingressClassName: 'y' }, status: { a: 1 } },
      merge,
    )
    expect(own.body).toMatchObject({ spec: { ingressClassName: 'x' }, status: { a: 1 } })
    expect(own.body.metadata.generation).toBe(1)
    expect((await cluster.ask('GET', `${path}/in/log`)).status).toBe(404)
  })

  test('labels make no new generation, the spec does', async () => {
    const ns = await namespace()
    const path = `/apis/apps/v1/namespaces/${ns}/deployments/web`
    await cluster.apply('t', deployment(ns, { replicas: 0, ...containers({ name: 'app' }) }))
    const merge = 'application/merge-patch+json'
    await cluster.ask('PATCH', path, { metadata: { labels: { a: 'b' } } }, merge)
    expect((await cluster.ask('GET', path)).body.metadata.generation).toBe(1)
    await cluster.ask('PATCH', path, { spec: { paused: true } }, merge)
    expect((await cluster.ask('GET', path)).body.metadata.generation).toBe(2)
  })

  test('a Secret’s stringData becomes data', async () => {
    const ns = await namespace()
    await cluster.api.writer.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's', namespace: ns },
      stringData: { key: 'value' },
    })
    const { body } = await cluster.ask('GET', `/api/v1/namespaces/${ns}/secrets/s`)
    expect(body.data).toEqual({ key: 'dmFsdWU=' })
    expect(body).not.toHaveProperty('stringData')
  })

  test('whose disk a volume is cannot be changed, nor whose volume a claim has', async () => {
    const ns = await namespace()
    const volume = (handle: string): KubernetesObject => ({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `pv-${ns}` },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'a',
        csi: { driver: 'd', volumeHandle: handle },
      },
    })
    await cluster.api.writer.apply(volume('one'))
    await expect(cluster.api.writer.apply(volume('two'))).rejects.toThrow(
      `PersistentVolume "pv-${ns}" is invalid: spec.persistentvolumesource: Forbidden`,
    )
    const claim = (volumeName: string | undefined, storage: string): KubernetesObject => ({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'c', namespace: ns },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'other',
        resources: { requests: { storage } },
        ...(volumeName ? { volumeName } : {}),
      },
    })
    await cluster.api.writer.apply(claim(undefined, '1Gi'))
    await expect(cluster.api.writer.apply(claim(undefined, '2Gi'))).rejects.toThrow('spec is immutable')
    await cluster.api.writer.apply(claim('pv-x', '1Gi'))
    await expect(cluster.api.writer.apply(claim('pv-y', '1Gi'))).rejects.toThrow('spec is immutable')
  })
})

describe('server-side apply', () => {
  test('a field of another manager is a conflict that names both; force takes it over', async () => {
    const ns = await namespace()
    const one = (replicas: number) => deployment(ns, { replicas, ...containers({ name: 'app', image: '1' }) })
    await cluster.apply('first', one(0))
    expect(await cluster.apply('second', one(2))).toMatchObject({
      status: 409,
      body: {
        reason: 'Conflict',
        message: 'Apply failed with 1 conflict: conflict with "first": .spec.replicas',
        details: {
          causes: [
            {
              reason: 'FieldManagerConflict',
              message: 'conflict with "first"',
              field: '.spec.replicas',
            },
          ],
        },
      },
    })
    await expect(cluster.api.writer.apply(one(2))).rejects.toMatchObject({
      code: 'field-conflict',
      message: expect.stringContaining('spec.replicas is managed by first'),
    })
    await cluster.api.writer.apply(one(2), { force: true })
    // It is ours now: the first one is refused in its turn, and names us.
    expect((await cluster.apply('first', one(0))).body.message).toContain('conflict with "recover"')
  })

  test('several conflicts are listed by manager, items of lists by their key', async () => {
    const ns = await namespace()
    await cluster.apply('first', deployment(ns, { replicas: 0, ...containers({ name: 'app', image: '1' }) }))
    await cluster.ask(
      'PATCH',
      `/apis/apps/v1/namespaces/${ns}/deployments/web?fieldManager=editor`,
      { spec: { replicas: 1 } },
      'application/merge-patch+json',
    )
    const refused = await cluster.apply(
      'second',
      deployment(ns, { replicas: 0, ...containers({ name: 'app', image: '2' }) }),
    )
    expect(refused.body.message).toBe(
      [
        'Apply failed with 2 conflicts: conflicts with "editor" using apps/v1:',
        '- .spec.replicas',
        'conflicts with "first":',
        '- .spec.template.spec.containers[name="app"].image',
      ].join('\n'),
    )
  })

  test('what a manager applies no longer goes, what another owns too stays', async () => {
    const ns = await namespace()
    await cluster.apply('first', config(ns, 'c', { mine: '1', shared: '1' }))
    await cluster.apply('second', config(ns, 'c', { shared: '1', theirs: '1' }))
    const { body } = await cluster.apply('first', config(ns, 'c', {}))
    expect(body.data).toEqual({ shared: '1', theirs: '1' })
    expect((await cluster.apply('second', config(ns, 'c', { theirs: '1' }))).body.data).toEqual({
      theirs: '1',
    })
  })

  test('containers, env and ports are merged by key, between two managers too', async () => {
    const ns = await namespace()
    await cluster.apply(
      'first',
      deployment(
        ns,
        containers(
          {
            name: 'app',
            image: 'app:1',
            env: [
              { name: 'A', value: '1' },
              { name: 'B', value: '2' },
            ],
            ports: [{ containerPort: 80, protocol: 'TCP' }],
          },
          { name: 'gone', image: 'gone:1' },
        ),
      ),
    )
    const both = await cluster.apply(
      'second',
      deployment(
        ns,
        containers({
          name: 'app',
          env: [{ name: 'C', value: '3' }],
          ports: [{ containerPort: 80, protocol: 'UDP' }],
        }),
      ),
    )
    expect(both.body.spec.template.spec.containers).toEqual([
      {
        name: 'app',
        image: 'app:1',
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '2' },
          { name: 'C', value: '3' },
        ],
        ports: [
          { containerPort: 80, protocol: 'TCP' },
          { containerPort: 80, protocol: 'UDP' },
        ],
      },
      { name: 'gone', image: 'gone:1' },
    ])
    const less = await cluster.apply(
      'first',
      deployment(ns, containers({ name: 'app', image: 'app:2', env: [{ name: 'A', value: '1' }] })),
    )
    expect(less.body.spec.template.spec.containers).toEqual([
      {
        name: 'app',
        image: 'app:2',
        env: [
          { name: 'A', value: '1' },
          { name: 'C', value: '3' },
        ],
        ports: [{ containerPort: 80, protocol: 'UDP' }],
      },
    ])
  })

  test('an item that somebody else has put something into stays, with its key', async () => {
    const ns = await namespace()
    await cluster.apply('first', deployment(ns, containers({ name: 'app', image: '1' }, { name: 'side' })))
    await cluster.ask(
      'PATCH',
      `/apis/apps/v1/namespaces/${ns}/deployments/web?fieldManager=editor`,
      { spec: { template: { spec: { containers: [{ name: 'side', image: 'by-hand' }] } } } },
      'application/strategic-merge-patch+json',
    )
    const { body } = await cluster.apply('first', deployment(ns, containers({ name: 'app', image: '1' })))
    expect(body.spec.template.spec.containers).toEqual([
      { name: 'app', image: '1' },
      { name: 'side', image: 'by-hand' },
    ])
  })

  test('finalizers are owned one by one', async () => {
    const ns = await namespace()
    const held = (...finalizers: string[]): KubernetesObject => ({
      ...config(ns, 'c'),
      metadata: { name: 'c', namespace: ns, finalizers },
    })
    await cluster.apply('first', held('example.com/first'))
    const two = await cluster.apply('second', held('example.com/second'))
    expect(two.body.metadata.finalizers).toEqual(['example.com/first', 'example.com/second'])
    const one = await cluster.apply('first', config(ns, 'c'))
    expect(one.body.metadata.finalizers).toEqual(['example.com/second'])
  })

  test('what only the server writes is left out of account, managed fields are refused', async () => {
    const ns = await namespace()
    const made = await cluster.apply('first', config(ns, 'c', { a: '1' }))
    const generated = config(ns, 'c', { a: '1' })
    generated.metadata.creationTimestamp = null
    const again = await cluster.apply('first', generated)
    expect(again.body.metadata.creationTimestamp).toBe(made.body.metadata.creationTimestamp)
    expect(again.body.metadata.resourceVersion).toBe(made.body.metadata.resourceVersion)
    generated.metadata.managedFields = []
    expect(await cluster.apply('first', generated)).toMatchObject({
      status: 400,
      body: { message: 'metadata.managedFields must be nil' },
    })
    generated.metadata = { name: 'c', namespace: ns, resourceVersion: '1' }
    expect((await cluster.apply('first', generated)).status).toBe(409)
    const unnamed = await cluster.ask(
      'PATCH',
      `/api/v1/namespaces/${ns}/configmaps/c`,
      config(ns, 'c'),
      'application/apply-patch+yaml',
    )
    expect(unnamed).toMatchObject({ status: 400, body: { reason: 'BadRequest' } })
  })

  test('YAML is taken, as its media type says', async () => {
    const ns = await namespace()
    const { body } = await cluster.ask(
      'PATCH',
      `/api/v1/namespaces/${ns}/configmaps/y?fieldManager=t`,
      `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: y }\ndata:\n  text: |\n    two\n    lines\n`,
      'application/apply-patch+yaml',
    )
    expect(body.data).toEqual({ text: 'two\nlines\n' })
  })
})

test('with dryRun=All nothing changes and nothing is counted', async () => {
  const ns = await namespace()
  const path = `/api/v1/namespaces/${ns}/configmaps`
  await cluster.apply('t', config(ns, 'there', { a: '1' }))
  const { body: before } = await cluster.ask('GET', path)
  const count = cluster.world.mutations.kubernetes
  const dry = 'dryRun=All'
  expect((await cluster.ask('POST', `${path}?${dry}`, config(ns, 'new'))).status).toBe(201)
  expect((await cluster.apply('t', config(ns, 'applied'), `&${dry}`)).status).toBe(201)
  expect((await cluster.apply('t', config(ns, 'there', { a: '2' }), `&${dry}`)).body.data).toEqual({ a: '2' })
  const merge = 'application/merge-patch+json'
  const patched = await cluster.ask('PATCH', `${path}/there?${dry}`, { data: { b: '1' } }, merge)
  expect(patched.body.data).toEqual({ a: '1', b: '1' })
  await cluster.ask('PUT', `${path}/there?${dry}`, config(ns, 'there', { c: '1' }))
  await cluster.ask('DELETE', `${path}/there?${dry}`)
  // kubectl delete --dry-run=server says it in the body.
  await cluster.ask('DELETE', `${path}/there`, { dryRun: ['All'] })
  expect((await cluster.ask('GET', path)).body).toEqual(before)
  expect(cluster.world.mutations.kubernetes).toBe(count)
  await cluster.ask('DELETE', `${path}/there`)
  expect(cluster.world.mutations.kubernetes).toBe(count + 1)
})

describe('watches', () => {
  const seen = (events: { type: string; object: KubernetesObject }[]) =>
    events.map(e => `${e.type} ${e.object.metadata.name}`)

  test('tell what is added, changed and deleted, and of nothing else', async () => {
    const ns = await namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps`
    await cluster.apply('t', config(ns, 'old'))
    const watch = await cluster.watch(`${path}?watch=true`)
    await cluster.apply('t', config(ns, 'new', { a: '1' }))
    await cluster.apply('t', config('default', 'elsewhere'))
    await cluster.apply('t', config(ns, 'new', { a: '2' }))
    await cluster.ask('DELETE', `${path}/new`)
    await eventually('four events', () => watch.events.length >= 4 || undefined)
    expect(seen(watch.events)).toEqual(['ADDED old', 'ADDED new', 'MODIFIED new', 'DELETED new'])
    watch.stop()
    await watch.ended
  })

  test('go on from a version without a gap, deletions included', async () => {
    const ns = await namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps`
    await cluster.apply('t', config(ns, 'a', { v: '1' }))
    await cluster.apply('t', config(ns, 'b'))
    const { body } = await cluster.ask('GET', path)
    await cluster.apply('t', config(ns, 'a', { v: '2' }))
    await cluster.ask('DELETE', `${path}/b`)
    const watch = await cluster.watch(`${path}?watch=1&resourceVersion=${body.metadata.resourceVersion}`)
    await cluster.apply('t', config(ns, 'c'))
    await eventually('three events', () => watch.events.length >= 3 || undefined)
    expect(seen(watch.events)).toEqual(['MODIFIED a', 'DELETED b', 'ADDED c'])
    watch.stop()
  })

  test('from a version of another cluster they say so and end', async () => {
    const watch = await cluster.watch('/api/v1/configmaps?watch=1&resourceVersion=9999999')
    await watch.ended
    expect(watch.events).toMatchObject([
      { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } },
    ])
  })

  test('a change of labels moves an object into and out of a selection', async () => {
    const ns = await namespace()
    const labelled = (app: string): KubernetesObject => ({
      ...config(ns, 'x'),
      metadata: { name: 'x', namespace: ns, labels: { app } },
    })
    const watch = await cluster.watch(`/api/v1/namespaces/${ns}/configmaps?watch=1&labelSelector=app%3Dweb`)
    for (const app of ['db', 'web', 'db']) await cluster.apply('t', labelled(app))
    await eventually('two events', () => watch.events.length >= 2 || undefined)
    expect(seen(watch.events)).toEqual(['ADDED x', 'DELETED x'])
    watch.stop()
  })

  test('end by themselves after timeoutSeconds', async () => {
    const ns = await namespace()
    const watch = await cluster.watch(`/api/v1/namespaces/${ns}/configmaps?watch=1&timeoutSeconds=1`)
    await watch.ended
    await cluster.apply('t', config(ns, 'later'))
    expect(watch.events).toEqual([])
  })
})

test('selectors choose by labels and fields', async () => {
  const ns = await namespace()
  const path = `/api/v1/namespaces/${ns}/configmaps`
  for (const [name, labels] of Object.entries({ a: { app: 'web', tier: 'front' }, b: { app: 'db' }, c: {} }))
    await cluster.apply('t', { ...config(ns, name), metadata: { name, namespace: ns, labels } })
  const chosen = async (selector: Record<string, string>) => {
    const { status, body } = await cluster.ask('GET', `${path}?${new URLSearchParams(selector)}`)
    return status === 200 ? body.items.map((o: KubernetesObject) => o.metadata.name).join('') : status
  }
  expect(await chosen({ labelSelector: 'app=web' })).toBe('a')
  expect(await chosen({ labelSelector: 'app==web,tier=front' })).toBe('a')
  expect(await chosen({ labelSelector: 'app!=web' })).toBe('bc')
  expect(await chosen({ labelSelector: 'app' })).toBe('ab')
  expect(await chosen({ labelSelector: '!app' })).toBe('c')
  expect(await chosen({ labelSelector: 'app in (web, db),!tier' })).toBe('b')
  expect(await chosen({ labelSelector: 'app notin (web)' })).toBe('bc')
  expect(await chosen({ fieldSelector: 'metadata.name=b' })).toBe('b')
  expect(await chosen({ fieldSelector: 'metadata.name!=b' })).toBe('ac')
  expect(await chosen({ labelSelector: 'app in web' })).toBe(400)
})

describe('definitions', () => {
  const definition: KubernetesObject = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [{ name: 'v1', served: true, storage: true }],
    },
  }
  const widget: KubernetesObject = {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name: 'w', namespace: 'default' },
    spec: { containers: [{ name: 'a' }] },
  }

  test('bring a kind and take it, and everything of it, away', async () => {
    const { writer, reader } = cluster.api
    await expect(writer.apply(widget)).rejects.toMatchObject({ code: 'kind-not-served', transient: true })
    const made = await writer.apply(definition)
    await eventually('the definition to be established', async () => {
      const { body } = await cluster.ask(
        'GET',
        '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com',
      )
      const conditions: { type: string; status: string }[] = body.status?.conditions ?? []
      return conditions.some(c => c.type === 'Established' && c.status === 'True') || undefined
    })
    await writer.apply(widget)
    expect(await reader.list(widget)).toHaveLength(1)
    // A list of a custom resource has no keys that the server knows of.
    const other = { ...widget, spec: { containers: [{ name: 'b' }] } }
    expect((await writer.apply(other)).spec).toEqual(other.spec)
    const strategic = 'application/strategic-merge-patch+json'
    const path = '/apis/example.com/v1/namespaces/default/widgets/w'
    expect((await cluster.ask('PATCH', path, {}, strategic)).status).toBe(415)

    await writer.remove({ ...definition, name: 'widgets.example.com' }, made.metadata.uid ?? '')
    expect((await cluster.ask('GET', '/apis/example.com/v1')).status).toBe(404)
    expect((await cluster.ask('GET', path)).status).toBe(404)
    await writer.apply(definition)
    expect((await cluster.ask('GET', '/apis/example.com/v1/widgets')).body.items).toEqual([])
  })

  test('that define nothing are refused', async () => {
    const { spec: _, ...empty } = definition
    expect((await cluster.apply('t', empty as KubernetesObject)).status).toBe(422)
    const misnamed = { ...definition, metadata: { name: 'gadgets.example.com' } }
    expect((await cluster.apply('t', misnamed)).body.message).toContain('must be spec.names.plural')
  })
})

describe('who may, and when', () => {
  test('nobody without a certificate, except to ask whether it is well', async () => {
    const { server, ca } = credentials(await adminKubeconfig())
    const stranger = new Agent({ connect: { ca } })
    const status = async (path: string, headers = {}) => {
      const response = await request(`${server}${path}`, { dispatcher: stranger, headers })
      await response.body.dump()
      return response.statusCode
    }
    expect(await status('/readyz')).toBe(200)
    expect(await status('/version')).toBe(200)
    expect(await status('/api/v1/secrets')).toBe(401)
    expect(await status('/apis')).toBe(401)
    expect(await status('/api/v1/secrets', { authorization: 'Bearer made-up' })).toBe(401)
    await stranger.destroy()
  })

  test('a client that trusts another authority does not connect', async () => {
    const { server } = credentials(await adminKubeconfig())
    const stranger = new Agent()
    await expect(request(`${server}/readyz`, { dispatcher: stranger })).rejects.toThrow(/certificate/)
    await stranger.destroy()
  })

  function adminKubeconfig(): Promise<string> {
    return onMachine(cluster.endpoints, 'lithium', sudo => sudo('/opt/bin/k0s kubeconfig admin'))
  }
})

describe('the life of a control plane', () => {
  test('while it is down nobody answers, and watches end', async () => {
    const own = await startCluster()
    try {
      const watch = await own.watch('/api/v1/namespaces?watch=1')
      await eventually('the namespaces', () => watch.events.length >= 4 || undefined)
      await onMachine(own.endpoints, 'lithium', sudo => sudo('systemctl stop k0scontroller'))
      await watch.ended
      expect((await own.api.reader.ready()).ready).toBe(false)
      await expect(own.api.reader.list({ apiVersion: 'v1', kind: 'Namespace' })).rejects.toMatchObject({
        code: 'api-unreachable',
        transient: true,
      })
      await onMachine(own.endpoints, 'lithium', sudo => sudo('systemctl start k0scontroller'))
      expect(await own.api.reader.ready()).toEqual({ ready: true, why: 'ok' })
    } finally {
      await own.close()
    }
  })

  test('a control plane without its data is an empty cluster with another identity', async () => {
    const own = await startCluster()
    try {
      const system = { apiVersion: 'v1', kind: 'Namespace', name: 'kube-system' }
      const before = await own.api.reader.get(system)
      await own.apply('t', config('default', 'mine'))
      await onMachine(own.endpoints, 'lithium', async sudo => {
        await expect(sudo('/opt/bin/k0s reset')).rejects.toThrow('running')
        await sudo('systemctl stop k0scontroller')
        await sudo('/opt/bin/k0s reset')
        await expect(sudo('/opt/bin/k0s kubeconfig admin')).rejects.toThrow('no such file')
        await sudo('/opt/bin/k0s install controller --enable-worker=true')
        await sudo('systemctl start k0scontroller')
      })
      const after = await own.api.reader.get(system)
      expect(after?.metadata.uid).not.toBe(before?.metadata.uid)
      expect((await own.ask('GET', '/api/v1/namespaces/default/configmaps/mine')).status).toBe(404)
    } finally {
      await own.close()
    }
  })

  test('what was told is there after a restart, a torn last line is not', async () => {
    const own = await startCluster()
    await own.apply('t', config('default', 'kept', { a: '1' }))
    const { body } = await own.ask('GET', '/api/v1/namespaces/default/configmaps/kept')
    await own.close()
    const folder = join(own.world.dir, 'kubernetes')
    const [file = ''] = readdirSync(folder).filter(name => name.endsWith('.ndjson'))
    // As a kill in the middle of a write leaves it, with a brace at its end by bad luck.
    appendFileSync(join(folder, file), '{"key":"/configmaps/default/torn","version":99999,"object":{}')
    const world = World.open(own.world.dir)
    const again = await openCluster(world, await startLab(world))
    try {
      const kept = await again.ask('GET', '/api/v1/namespaces/default/configmaps/kept')
      expect(kept.body).toEqual(body)
      expect((await again.ask('GET', '/api/v1/namespaces/default/configmaps/torn')).status).toBe(404)
      const next = await again.apply('t', config('default', 'next'))
      expect(Number(next.body.metadata.resourceVersion)).toBeGreaterThan(
        Number(body.metadata.resourceVersion),
      )
      // Events from before the restart are forgotten: a watch from there has to begin anew, never silently miss some.
      const watch = await again.watch('/api/v1/configmaps?watch=1&resourceVersion=2')
      await watch.ended
      expect(watch.events[0]).toMatchObject({ type: 'ERROR', object: { code: 410 } })
    } finally {
      await again.close()
    }
  })

  test('our client waits for a kubeconfig and names one that is broken', async () => {
    const path = cluster.world.path('nobody.kubeconfig')
    const { reader, close } = connectApi({ kubeconfig: path })
    expect(await reader.ready()).toEqual({ ready: false, why: 'there is no kubeconfig yet' })
    writeFileSync(path, '{')
    await expect(reader.version()).rejects.toMatchObject({ code: 'kubeconfig-unreadable' })
    await close()
  })
})
