import { describe, expect, test } from 'vitest'
import type { KubernetesObject } from '../../../../src/kubernetes/kubernetes.ts'
import { type Answer, type Connected, eventually, type Json } from '../cluster.ts'
import { config, secret } from './objects.ts'

/** Watches, selections, and what a dry run shows. */
export function watching(cluster: Connected, namespace: () => Promise<string>): void {
  test('with dryRun=All nothing changes', async () => {
    const ns = await namespace()
    const path = `/api/v1/namespaces/${ns}/configmaps`
    await cluster.apply('t', config(ns, 'there', { a: '1' }))
    // Others are at work in every namespace; what the test is about is its own.
    const of = ({ body }: Answer<Json>) =>
      body.items.filter((o: Json) => o.metadata.name !== 'kube-root-ca.crt')
    const before = of(await cluster.ask('GET', path))
    const dry = 'dryRun=All'
    expect((await cluster.ask('POST', `${path}?${dry}`, config(ns, 'new'))).status).toBe(201)
    expect((await cluster.apply('t', config(ns, 'applied'), `&${dry}`)).status).toBe(201)
    expect((await cluster.apply('t', config(ns, 'there', { a: '2' }), `&${dry}`)).body.data).toEqual({
      a: '2',
    })
    const merge = 'application/merge-patch+json'
    const patched = await cluster.ask('PATCH', `${path}/there?${dry}`, { data: { b: '1' } }, merge)
    expect(patched.body.data).toEqual({ a: '1', b: '1' })
    await cluster.ask('PUT', `${path}/there?${dry}`, config(ns, 'there', { c: '1' }))
    await cluster.ask('DELETE', `${path}/there?${dry}`)
    // kubectl delete --dry-run=server says it in the body.
    await cluster.ask('DELETE', `${path}/there`, { dryRun: ['All'] })
    expect(of(await cluster.ask('GET', path))).toEqual(before)
    expect(await cluster.ask('POST', `${path}?dryRun=Some`, config(ns, 'new'))).toMatchObject({
      status: 422,
      body: {
        message: expect.stringContaining('dryRun: Unsupported value: ["Some"]: supported values: "All"'),
      },
    })
  })

  describe('watches', () => {
    const seen = (events: { type: string; object: KubernetesObject }[]) =>
      events.map(e => `${e.type} ${e.object.metadata.name}`)

    test('tell what is added, changed and deleted, and of nothing else', async () => {
      const ns = await namespace()
      const path = `/api/v1/namespaces/${ns}/secrets`
      await cluster.apply('t', secret(ns, 'old'))
      const watch = await cluster.watch(`${path}?watch=true`)
      await cluster.apply('t', secret(ns, 'new', { a: '1' }))
      await cluster.apply('t', secret('default', 'elsewhere'))
      await cluster.apply('t', secret(ns, 'new', { a: '2' }))
      await cluster.ask('DELETE', `${path}/new`)
      await eventually('four events', () => watch.events.length >= 4 || undefined)
      expect(seen(watch.events)).toEqual(['ADDED old', 'ADDED new', 'MODIFIED new', 'DELETED new'])
      watch.stop()
      await watch.ended
    })

    test('go on from a version without a gap, deletions included', async () => {
      const ns = await namespace()
      const path = `/api/v1/namespaces/${ns}/secrets`
      await cluster.apply('t', secret(ns, 'a', { v: '1' }))
      await cluster.apply('t', secret(ns, 'b'))
      const { body } = await cluster.ask('GET', path)
      await cluster.apply('t', secret(ns, 'a', { v: '2' }))
      await cluster.ask('DELETE', `${path}/b`)
      const watch = await cluster.watch(`${path}?watch=1&resourceVersion=${body.metadata.resourceVersion}`)
      await cluster.apply('t', secret(ns, 'c'))
      await eventually('three events', () => watch.events.length >= 3 || undefined)
      expect(seen(watch.events)).toEqual(['MODIFIED a', 'DELETED b', 'ADDED c'])
      watch.stop()
    })

    test('from too long ago they say so and end', async () => {
      const watch = await cluster.watch('/api/v1/secrets?watch=1&resourceVersion=1')
      await watch.ended
      expect(watch.events).toMatchObject([
        { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } },
      ])
    })

    test('a change of labels moves an object into and out of a selection', async () => {
      const ns = await namespace()
      const labelled = (app: string): KubernetesObject => ({
        ...secret(ns, 'x'),
        metadata: { name: 'x', namespace: ns, labels: { app } },
      })
      const watch = await cluster.watch(`/api/v1/namespaces/${ns}/secrets?watch=1&labelSelector=app%3Dweb`)
      for (const app of ['db', 'web', 'db']) await cluster.apply('t', labelled(app))
      await eventually('two events', () => watch.events.length >= 2 || undefined)
      expect(seen(watch.events)).toEqual(['ADDED x', 'DELETED x'])
      watch.stop()
    })

    test('end by themselves after timeoutSeconds', async () => {
      const ns = await namespace()
      const watch = await cluster.watch(`/api/v1/namespaces/${ns}/secrets?watch=1&timeoutSeconds=1`)
      await watch.ended
      await cluster.apply('t', secret(ns, 'later'))
      expect(watch.events).toEqual([])
    })

    test('with initial events tell when all that is there was told', async () => {
      const ns = await namespace()
      await cluster.apply('t', secret(ns, 'there'))
      const query = 'sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan'
      const watch = await cluster.watch(`/api/v1/namespaces/${ns}/secrets?watch=1&${query}&resourceVersion=`)
      await eventually('two events', () => watch.events.length >= 2 || undefined)
      expect(watch.events).toMatchObject([
        { type: 'ADDED', object: { kind: 'Secret', metadata: { name: 'there' } } },
        { type: 'BOOKMARK', object: { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } } },
      ])
      watch.stop()
    })
  })

  test('selectors choose by labels and fields', async () => {
    const ns = await namespace()
    const path = `/api/v1/namespaces/${ns}/secrets`
    for (const [name, labels] of Object.entries({
      a: { app: 'web', tier: 'front' },
      b: { app: 'db' },
      c: {},
    }))
      await cluster.apply('t', { ...secret(ns, name), metadata: { name, namespace: ns, labels } })
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
}
