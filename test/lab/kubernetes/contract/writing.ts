import { describe, expect, test } from 'vitest'
import { type Connected, eventually, type Json } from '../cluster.ts'
import { config, secret } from './objects.ts'

/** One object’s life: making, reading, changing, deleting. */
export function writing(cluster: Connected, namespace: () => Promise<string>): void {
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
      const list = await cluster.ask('GET', `${path}?fieldSelector=metadata.name%3Done`)
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

    test('a pod with a node is given its time to end, which can only be shortened; one without goes at once', async () => {
      const ns = await namespace()
      const path = `/api/v1/namespaces/${ns}/pods`
      const make = async (name: string, spec: object) => {
        const containers = [{ name: 'c', image: 'example.net/c:1' }]
        const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers, ...spec } }
        // Its namespace's service account comes a moment after the namespace.
        await eventually('the pod to be taken', async () => {
          const { status } = await cluster.ask('POST', path, pod)
          return status === 201 || undefined
        })
      }
      const remove = async (name: string, options: object = {}) => {
        const { status, body } = await cluster.ask('DELETE', `${path}/${name}`, options)
        return [status, body.kind, body.metadata.deletionGracePeriodSeconds]
      }
      await make('placed', { nodeName: 'nowhere' })
      expect(await remove('placed')).toEqual([200, 'Pod', 30])
      const { body } = await cluster.ask('GET', `${path}/placed`)
      const { creationTimestamp, deletionTimestamp } = body.metadata
      expect(Date.parse(deletionTimestamp) - Date.parse(creationTimestamp)).toBeGreaterThanOrEqual(30_000)
      expect(await remove('placed', { gracePeriodSeconds: 60 })).toEqual([200, 'Pod', 30])
      expect(await remove('placed', { gracePeriodSeconds: 5 })).toEqual([200, 'Pod', 5])
      expect((await remove('placed', { gracePeriodSeconds: 0 })).slice(0, 2)).toEqual([200, 'Pod'])
      expect((await cluster.ask('GET', `${path}/placed`)).status).toBe(404)

      await make('hasty', { nodeName: 'nowhere', terminationGracePeriodSeconds: 7 })
      expect(await remove('hasty')).toEqual([200, 'Pod', 7])
      await make('nowhere-yet', {})
      expect((await remove('nowhere-yet')).slice(0, 2)).toEqual([200, 'Pod'])
      expect((await cluster.ask('GET', `${path}/nowhere-yet`)).status).toBe(404)
      await remove('hasty', { gracePeriodSeconds: 0 })
    })

    test('generateName makes a name; no name at all is invalid, and so is a wrong one', async () => {
      const ns = await namespace()
      const path = `/api/v1/namespaces/${ns}/configmaps`
      const made = await cluster.ask('POST', path, {
        ...config(ns, 'x'),
        metadata: { generateName: 'pre-', namespace: ns },
      })
      expect(made.body.metadata).toMatchObject({
        name: expect.stringMatching(/^pre-.{5}$/),
        generateName: 'pre-',
      })
      expect(await cluster.ask('POST', path, { ...config(ns, 'x'), metadata: {} })).toMatchObject({
        status: 422,
        body: {
          message: 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
          reason: 'Invalid',
          details: {
            kind: 'ConfigMap',
            causes: [
              {
                reason: 'FieldValueRequired',
                message: 'Required value: name or generateName is required',
                field: 'metadata.name',
              },
            ],
          },
        },
      })
      expect(await cluster.ask('POST', path, config(ns, 'Not_a_name'))).toMatchObject({
        status: 422,
        body: {
          message: expect.stringMatching(
            /^ConfigMap "Not_a_name" is invalid: metadata\.name: Invalid value: "Not_a_name": a lowercase RFC 1123 subdomain .* regex used for validation is '.*'\)$/,
          ),
          details: { name: 'Not_a_name', causes: [{ reason: 'FieldValueInvalid', field: 'metadata.name' }] },
        },
      })
    })

    test('what does not belong where it is sent is refused', async () => {
      const ns = await namespace()
      const path = `/api/v1/namespaces/${ns}/configmaps`
      const bad = (message: string) => ({ status: 400, body: { reason: 'BadRequest', message } })
      expect(await cluster.ask('POST', path, { ...config(ns, 'x'), kind: 'Secret' })).toMatchObject(
        bad(expect.stringMatching(/^Secret in version "v1" cannot be handled as a ConfigMap/)),
      )
      expect(await cluster.ask('POST', path, config('elsewhere', 'x'))).toMatchObject(
        bad('the namespace of the provided object does not match the namespace sent on the request'),
      )
      await cluster.apply('t', config(ns, 'x'))
      expect(await cluster.ask('PUT', `${path}/x`, config(ns, 'y'))).toMatchObject(
        bad('the name of the object (y) does not match the name on the URL (x)'),
      )
      expect((await cluster.ask('PUT', `${path}/y`, config(ns, 'y'))).status).toBe(404)
      expect((await cluster.ask('POST', path, '{no JSON')).status).toBe(400)
      expect((await cluster.ask('POST', `${path}/x`, config(ns, 'x'))).body).toMatchObject({
        code: 405,
        reason: 'MethodNotAllowed',
        message: 'the server does not allow this method on the requested resource',
      })
    })

    test('lists come in pages, and go on where they left off', async () => {
      const ns = await namespace()
      const path = `/api/v1/namespaces/${ns}/secrets`
      for (const name of ['a', 'b', 'c']) await cluster.apply('t', secret(ns, name))
      const first = await cluster.ask('GET', `${path}?limit=2`)
      const names = (list: Json) => list.items.map((o: Json) => o.metadata.name)
      expect(names(first.body)).toEqual(['a', 'b'])
      expect(first.body.metadata.remainingItemCount).toBe(1)
      // Of the kinds that the server was made with, the list says once what its items are.
      expect(first.body.items[0]).not.toHaveProperty('kind')
      // Made in between, it is not on a later page: the pages are of one moment.
      await cluster.apply('t', secret(ns, 'd'))
      const next = new URLSearchParams({ limit: '2', continue: first.body.metadata.continue })
      const second = await cluster.ask('GET', `${path}?${next}`)
      expect(names(second.body)).toEqual(['c'])
      expect(second.body.metadata).not.toHaveProperty('continue')
      expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion)
      expect(await cluster.ask('GET', `${path}?limit=2&continue=nonsense`)).toMatchObject({
        status: 400,
        body: { reason: 'BadRequest', message: expect.stringContaining('continue key is not valid') },
      })
    })

    test('all of a selection can be deleted at once', async () => {
      const ns = await namespace()
      const path = `/api/v1/namespaces/${ns}/secrets`
      await cluster.apply('t', {
        ...secret(ns, 'a'),
        metadata: { name: 'a', namespace: ns, labels: { x: 'y' } },
      })
      await cluster.apply('t', secret(ns, 'b'))
      const gone = await cluster.ask('DELETE', `${path}?labelSelector=x%3Dy`)
      expect(gone).toMatchObject({
        status: 200,
        body: { kind: 'SecretList', items: [{ metadata: { name: 'a' } }] },
      })
      expect((await cluster.ask('GET', path)).body.items).toMatchObject([{ metadata: { name: 'b' } }])
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

    test('a namespace is marked by its name, and has an account and the authority’s certificate', async () => {
      const ns = await namespace()
      const { body } = await cluster.ask('GET', `/api/v1/namespaces/${ns}`)
      expect(body).toMatchObject({
        metadata: { labels: { 'kubernetes.io/metadata.name': ns } },
        spec: { finalizers: ['kubernetes'] },
        status: { phase: 'Active' },
      })
      for (const path of ['serviceaccounts/default', 'configmaps/kube-root-ca.crt'])
        await eventually(path, async () => {
          const { status } = await cluster.ask('GET', `/api/v1/namespaces/${ns}/${path}`)
          return status === 200 || undefined
        })
    })

    test('a namespace that goes takes nothing new, and waits for what is held', async () => {
      const ns = await namespace()
      const metadata = { name: 'held', namespace: ns, finalizers: ['example.com/mine'] }
      await cluster.apply('t', { ...config(ns, 'held'), metadata })
      const gone = await cluster.ask('DELETE', `/api/v1/namespaces/${ns}`)
      expect(gone.body).toMatchObject({
        metadata: { deletionTimestamp: expect.any(String) },
        status: { phase: 'Terminating' },
      })
      const refused = {
        status: 403,
        body: {
          reason: 'Forbidden',
          message: `configmaps "new" is forbidden: unable to create new content in namespace ${ns} because it is being terminated`,
          details: { causes: [{ reason: 'NamespaceTerminating', field: 'metadata.namespace' }] },
        },
      }
      expect(await cluster.apply('t', config(ns, 'new'))).toMatchObject(refused)
      expect(
        await cluster.ask('POST', `/api/v1/namespaces/${ns}/configmaps`, config(ns, 'new')),
      ).toMatchObject(refused)
      // To apply it does not bring it back.
      const again = await cluster.apply('t', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: ns },
      })
      expect(again).toMatchObject({ status: 200, body: { status: { phase: 'Terminating' } } })
      const held = `/api/v1/namespaces/${ns}/configmaps/held`
      await cluster.ask('PATCH', held, { metadata: { finalizers: null } }, 'application/merge-patch+json')
      await eventually('the namespace to be gone', async () => {
        const { status } = await cluster.ask('GET', `/api/v1/namespaces/${ns}`)
        return status === 404 || undefined
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
      expect((await cluster.ask('PATCH', `${path}/one`, late, 'application/merge-patch+json')).status).toBe(
        409,
      )
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
        // Another incarnation will be another one at the next try, too.
        transient: false,
        message: expect.stringMatching(
          /Operation cannot be fulfilled on ConfigMap "one": the UID in the precondition \(0{8}.*\) does not match the UID in record/,
        ),
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
  })
}
