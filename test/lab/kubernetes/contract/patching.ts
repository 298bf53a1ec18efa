import { describe, expect, test } from 'vitest'
import type { KubernetesObject } from '../../../../src/kubernetes/kubernetes.ts'
import type { Answer, Connected, Json } from '../cluster.ts'
import { config, containers, deployment } from './objects.ts'

/** The patch types, the status, generations, what may not change. */
export function patching(cluster: Connected, namespace: () => Promise<string>): void {
  describe('patching', () => {
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
      expect(refused).toMatchObject({
        status: 422,
        body: {
          reason: 'Invalid',
          message: 'the server rejected our request due to an error in our request',
        },
      })
      const patched = await cluster.ask('PATCH', path, [{ op: 'remove', path: '/data/b' }], json)
      expect(patched.body.data).toEqual({ c: '3' })
      expect(await cluster.ask('PATCH', path, {}, 'application/xml')).toMatchObject({
        status: 415,
        body: { reason: 'UnsupportedMediaType' },
      })
    })

    test('strategic merge patch merges containers by name and obeys its directives', async () => {
      const ns = await namespace()
      const env = [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ]
      await cluster.apply(
        't',
        deployment(ns, containers({ name: 'app', image: 'app:1', env }, { name: 'side', image: 'side:1' })),
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
      expect(body.spec.template.spec.containers).toMatchObject([
        { name: 'new', image: 'new:1' },
        { name: 'app', image: 'app:1', env: [{ name: 'B', value: '2' }] },
      ])
    })

    test('a status is written through its own resource only', async () => {
      const ns = await namespace()
      const path = `/apis/networking.k8s.io/v1/namespaces/${ns}/ingresses`
      const ingress = {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        metadata: { name: 'in' },
        spec: { ingressClassName: 'x', rules: [{ host: 'x.example.net' }] },
        status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } },
      }
      const addressOf = ({ body }: Answer<Json>) => body.status?.loadBalancer?.ingress?.[0]?.ip
      expect(addressOf(await cluster.ask('POST', path, ingress))).toBeUndefined()
      const merge = 'application/merge-patch+json'
      const { status } = ingress
      expect(addressOf(await cluster.ask('PATCH', `${path}/in`, { status }, merge))).toBeUndefined()
      const own = await cluster.ask(
        'PATCH',
        `${path}/in/status`,
        { spec: { ingressClassName: 'y' }, status },
        merge,
      )
      expect(own.body).toMatchObject({ spec: { ingressClassName: 'x' } })
      expect(addressOf(own)).toBe('192.0.2.1')
      expect(own.body.metadata.generation).toBe(1)
      // Whoever applies a status owns it, and nothing else of what they send counts.
      const applied = await cluster.ask(
        'PATCH',
        `${path}/in/status?fieldManager=ingress&force=true`,
        {
          ...ingress,
          spec: { ingressClassName: 'z' },
          status: { loadBalancer: { ingress: [{ ip: '192.0.2.2' }] } },
        },
        'application/apply-patch+yaml',
      )
      expect(applied.body).toMatchObject({ spec: { ingressClassName: 'x' } })
      expect(addressOf(applied)).toBe('192.0.2.2')
      expect((await cluster.ask('GET', `${path}/in/log`)).status).toBe(404)
    })

    test('labels make no new generation, the spec does', async () => {
      const ns = await namespace()
      const path = `/apis/apps/v1/namespaces/${ns}/deployments/web`
      await cluster.apply(
        't',
        deployment(ns, { replicas: 0, ...containers({ name: 'app', image: 'app:1' }) }),
      )
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
}
