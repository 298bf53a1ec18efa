import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyAll, applyOver } from '../../src/kubernetes/apply.ts'
import { orderForApply } from '../../src/kubernetes/apply-order.ts'
import type { ConflictPolicy } from '../../src/kubernetes/field-owners.ts'
import type { KubernetesObject, KubernetesWriter } from '../../src/kubernetes/kubernetes.ts'
import { refusal } from '../../src/kubernetes/refusal.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { Acting } from '../../src/runbook/step.ts'
import { type Cluster, eventually, startCluster } from '../lab/kubernetes/cluster.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.close())

let count = 0
/** A namespace that no other test has. */
function fresh(): string {
  count += 1
  return `apply-${count}`
}

/** Hands that look a few times and note what was said. */
function hands(times = 40): {
  notes: string[]
  wait: Acting['wait']
  note(text: string): void
  progress(): void
} {
  const notes: string[] = []
  return {
    notes,
    note: text => void notes.push(text),
    progress() {},
    async wait(what, probe) {
      let last: Fault | undefined
      for (let i = 0; i < times; i += 1) {
        try {
          const found = await probe()
          if (found !== undefined) return found
        } catch (thrown) {
          if (!(thrown instanceof Fault) || !thrown.transient) throw thrown
          last = thrown
        }
        await new Promise(resolve => setTimeout(resolve, 5))
      }
      throw new Fault({
        code: 'wait-timed-out',
        blame: 'network',
        message: `waited for ${what}`,
        remedy: 'none',
        ...(last ? { cause: last } : {}),
      })
    },
  }
}

const apply = (objects: KubernetesObject[], its = hands(), policy: ConflictPolicy = 'by-manager') =>
  applyAll(cluster.api.writer, objects, { policy, hands: its })

const namespace = (name: string): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name },
})
const config = (ns: string, name: string, data: Record<string, string>): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: ns },
  data,
})
const definition = (kind: string): KubernetesObject => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${kind.toLowerCase()}s.example.net` },
  spec: {
    group: 'example.net',
    scope: 'Namespaced',
    names: { kind, plural: `${kind.toLowerCase()}s`, singular: kind.toLowerCase(), listKind: `${kind}List` },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
})
const custom = (ns: string, kind: string): KubernetesObject => ({
  apiVersion: 'example.net/v1',
  kind,
  metadata: { name: 'one', namespace: ns },
  spec: { size: 1 },
})

test('kinds in the order in which one needs the other', () => {
  const kinds = [
    'ValidatingWebhookConfiguration',
    'Deployment',
    'APIService',
    'ConfigMap',
    'Widget',
    'ClusterRoleBinding',
    'CustomResourceDefinition',
    'Service',
    'ServiceAccount',
    'Namespace',
  ]
  const objects = kinds.map(kind => ({ apiVersion: 'v1', kind, metadata: { name: 'x' } }))
  expect(orderForApply(objects).map(o => o.kind)).toEqual([
    'Namespace',
    'CustomResourceDefinition',
    'ClusterRoleBinding',
    'ServiceAccount',
    'ConfigMap',
    'Deployment',
    'Widget',
    'Service',
    'ValidatingWebhookConfiguration',
    'APIService',
  ])
})

test('whatever order they stand in, everything of one part comes in, and a second time nothing changes', async () => {
  const ns = fresh()
  const objects = [custom(ns, 'Widget'), config(ns, 'one', { a: '1' }), definition('Widget'), namespace(ns)]
  expect(await apply(objects)).toEqual([
    { object: `Namespace ${ns}`, how: 'created' },
    { object: 'CustomResourceDefinition widgets.example.net', how: 'created' },
    { object: `ConfigMap ${ns}/one`, how: 'created' },
    { object: `Widget ${ns}/one`, how: 'created' },
  ])
  expect((await apply(objects)).map(a => a.how)).toEqual(['as it was', 'as it was', 'as it was', 'as it was'])
})

test('a kind that an operator brings later is waited for; the rest is applied before', async () => {
  const ns = fresh()
  const its = hands(400)
  const going = apply([custom(ns, 'Gadget'), namespace(ns), config(ns, 'after', {})], its)
  await eventually('the rest', async () =>
    cluster.api.reader.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: ns, name: 'after' }),
  )
  await cluster.api.writer.apply(definition('Gadget'))
  expect((await going).map(a => a.object)).toEqual([
    `Namespace ${ns}`,
    `ConfigMap ${ns}/after`,
    `Gadget ${ns}/one`,
  ])
  expect(its.notes.join()).toContain('1 objects wait for kinds that an operator brings')
})

test('a kind that nobody brings is named, with who should', async () => {
  const ns = fresh()
  const operator = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'thing-operator', namespace: ns },
    spec: {
      selector: { matchLabels: { app: 'o' } },
      template: { metadata: { labels: { app: 'o' } }, spec: { containers: [{ name: 'o', image: 'o' }] } },
    },
  }
  await expect(apply([custom(ns, 'Thing'), namespace(ns), operator], hands(3))).rejects.toMatchObject({
    code: 'kind-not-brought',
    message: expect.stringMatching(
      new RegExp(
        `the kind Thing \\(example.net/v1\\), wanted for Thing ${ns}/one; .*Deployment ${ns}/thing-operator`,
      ),
    ),
  })
})

describe('a field that somebody else manages', () => {
  const wanted = (ns: string) => config(ns, 'one', { a: 'git', b: 'git' })
  const dataOf = async (ns: string) =>
    (await cluster.api.reader.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: ns, name: 'one' }))?.data
  const editedBy = async (manager: string) => {
    const ns = fresh()
    await apply([namespace(ns), wanted(ns)])
    await cluster.ask(
      'PATCH',
      `/api/v1/namespaces/${ns}/configmaps/one?fieldManager=${manager}`,
      { data: { a: 'theirs' } },
      'application/merge-patch+json',
    )
    return ns
  }

  test('is taken back from a person’s tool, with a word', async () => {
    const ns = await editedBy('kubectl-edit')
    const its = hands()
    expect(await apply([wanted(ns)], its)).toEqual([{ object: `ConfigMap ${ns}/one`, how: 'changed' }])
    expect(its.notes).toEqual([
      `ConfigMap ${ns}/one gets the manifest’s values back, by force: data.a is managed by kubectl-edit`,
    ])
    expect(await dataOf(ns)).toEqual({ a: 'git', b: 'git' })
  })

  test('is left to a controller, and is no difference any more', async () => {
    const ns = await editedBy('thing-operator')
    expect(await apply([wanted(ns)])).toEqual([{ object: `ConfigMap ${ns}/one`, how: 'as it was' }])
    const its = hands()
    const more = config(ns, 'one', { a: 'git', b: 'more' })
    expect(await apply([more], its)).toEqual([{ object: `ConfigMap ${ns}/one`, how: 'changed' }])
    expect(its.notes).toEqual([
      `ConfigMap ${ns}/one keeps what others look after: data.a is managed by thing-operator`,
    ])
    expect(await dataOf(ns)).toEqual({ a: 'theirs', b: 'more' })
    expect((await apply([more])).map(a => a.how)).toEqual(['as it was'])
  })

  test('is taken from whoever has it, left to whoever has it, or named, as recover.yaml says', async () => {
    const taken = await editedBy('thing-operator')
    await apply([wanted(taken)], hands(), 'take')
    expect(await dataOf(taken)).toEqual({ a: 'git', b: 'git' })
    const left = await editedBy('kubectl-edit')
    await apply([wanted(left)], hands(), 'leave')
    expect(await dataOf(left)).toEqual({ a: 'theirs', b: 'git' })
    const named = await editedBy('thing-operator')
    await expect(apply([wanted(named)], hands(), 'stop')).rejects.toMatchObject({
      code: 'field-conflict',
      message: expect.stringContaining('data.a is managed by thing-operator'),
    })
    expect(await dataOf(named)).toEqual({ a: 'theirs', b: 'git' })
  })
})

test('one object that is refused keeps none of its group back; all that were are named', async () => {
  const ns = fresh()
  const bad = (name: string) => config(ns, name, {})
  await expect(
    apply([namespace(ns), bad('Not_a_name'), config(ns, 'good', { a: '1' }), config('nowhere', 'lost', {})]),
  ).rejects.toMatchObject({
    code: 'objects-refused',
    message: expect.stringMatching(/2 objects were refused: .*Not_a_name.*; .*no namespace nowhere/),
  })
  expect(
    await cluster.api.reader.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: ns, name: 'good' }),
  ).toBeDefined()
})

test('a webhook that is away is waited for with the first objects that it keeps out; every one is named', async () => {
  const ns = fresh()
  await apply([namespace(ns)])
  const away = `Internal error occurred: failed calling webhook "rules.example.net": connection refused`
  const { writer } = cluster.api
  const kubernetes: KubernetesWriter = {
    ...writer,
    apply: (object, ...rest) =>
      object.metadata.name?.startsWith('kept-out')
        ? Promise.reject(refusal(`apply ${object.metadata.name}`, { status: 500, value: { message: away } }))
        : writer.apply(object, ...rest),
  }
  const limits: unknown[] = []
  const its = hands(2)
  const wait: Acting['wait'] = (what, probe, options) => {
    limits.push(options?.limit)
    return its.wait(what, probe, options)
  }
  const keptOut = Array.from({ length: 10 }, (_, i) => `kept-out-${i}`)
  const objects = [...keptOut, 'let-in'].map(name => config(ns, name, {}))
  await expect(
    applyAll(kubernetes, objects, { policy: 'by-manager', hands: { ...its, wait } }),
  ).rejects.toMatchObject({
    code: 'objects-refused',
    // It was waited for; the step would wait as long once more.
    transient: false,
    message: expect.stringMatching(
      /10 objects.* apply kept-out-0, since the admission webhook rules\.example\.net .* apply kept-out-9, since/,
    ),
  })
  // Eight at a time: those that were asked for together wait together, and the others no more.
  expect(limits).toEqual([...Array(8).fill('10m'), '1s', '1s', '1s'])
  expect(
    await writer.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: ns, name: 'let-in' }),
  ).toBeDefined()
})

test('a server that throttles is waited for as long as it says; one that drops connections is asked again', async () => {
  const ns = fresh()
  cluster.world.arm('api-throttled', 'kubernetes', 1)
  const before = performance.now()
  await apply([namespace(ns)])
  expect(performance.now() - before).toBeGreaterThan(900)
  cluster.world.arm('api-away', 'kubernetes', 6)
  expect(await apply([config(ns, 'one', { a: '1' })])).toMatchObject([{ how: 'created' }])
})

test('what the runbook is right about is taken from whoever else manages it, and that is told; nothing is forced before', async () => {
  const ns = fresh()
  await cluster.api.writer.apply(namespace(ns))
  const its = hands()
  const own = config(ns, 'mark', { hold: 'true', other: 'x' })
  await applyOver(cluster.api.writer, own, its.note)
  expect(its.notes).toEqual([])
  await cluster.ask(
    'PATCH',
    `/api/v1/namespaces/${ns}/configmaps/mark?fieldManager=kubectl-edit`,
    { data: { hold: 'false' } },
    'application/merge-patch+json',
  )
  await applyOver(cluster.api.writer, own, its.note)
  expect(its.notes).toEqual([
    `ConfigMap ${ns}/mark gets the manifest’s values back, by force: data.hold is managed by kubectl-edit`,
  ])
  expect(
    (await cluster.api.reader.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: ns, name: 'mark' }))
      ?.data,
  ).toEqual({ hold: 'true', other: 'x' })
  await applyOver(cluster.api.writer, own, its.note)
  expect(its.notes).toHaveLength(1)
})
