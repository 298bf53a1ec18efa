import { describe, expect, test } from 'vitest'
import type { KubernetesObject } from '../../../../src/kubernetes/kubernetes.ts'
import type { Connected } from '../cluster.ts'
import { config, containers, deployment } from './objects.ts'

/** Server-side apply: managers, conflicts, merging. */
export function apply(cluster: Connected, namespace: () => Promise<string>): void {
  describe('server-side apply', () => {
    test('a field of another manager is a conflict that names both; force takes it over', async () => {
      const ns = await namespace()
      const one = (replicas: number) =>
        deployment(ns, { replicas, ...containers({ name: 'app', image: '1' }) })
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
      await cluster.apply(
        'first',
        deployment(ns, { replicas: 0, ...containers({ name: 'app', image: '1' }) }),
      )
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
      expect(both.body.spec.template.spec.containers).toMatchObject([
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
      expect(less.body.spec.template.spec.containers).toMatchObject([
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

    test('an item goes with whoever has its key, whatever somebody else has put into it', async () => {
      const ns = await namespace()
      await cluster.apply(
        'first',
        deployment(ns, containers({ name: 'app', image: '1' }, { name: 'side', image: '1' })),
      )
      await cluster.ask(
        'PATCH',
        `/apis/apps/v1/namespaces/${ns}/deployments/web?fieldManager=editor`,
        { spec: { template: { spec: { containers: [{ name: 'side', image: 'by-hand' }] } } } },
        'application/strategic-merge-patch+json',
      )
      const { body } = await cluster.apply('first', deployment(ns, containers({ name: 'app', image: '1' })))
      expect(body.spec.template.spec.containers).toMatchObject([{ name: 'app', image: '1' }])
    })

    test('finalizers are owned one by one', async () => {
      const ns = await namespace()
      const held = (...finalizers: string[]): KubernetesObject => ({
        ...config(ns, 'c', { a: '1' }),
        metadata: { name: 'c', namespace: ns, finalizers },
      })
      await cluster.apply('first', held('example.com/first'))
      const two = await cluster.apply('second', held('example.com/second'))
      expect(two.body.metadata.finalizers).toEqual(['example.com/first', 'example.com/second'])
      const one = await cluster.apply('first', config(ns, 'c', { a: '1' }))
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
      expect(unnamed).toMatchObject({
        status: 422,
        body: {
          message:
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        },
      })
    })

    test('a field that a kind does not have is a mistake, whoever sends it', async () => {
      const ns = await namespace()
      const slip = { ...config(ns, 'slip'), dta: { a: '1' } }
      // The server says 500 and gives no reason: neither its fault nor a passing one.
      expect(await cluster.apply('t', slip)).toMatchObject({
        status: 500,
        body: {
          message: `failed to create typed patch object (${ns}/slip; /v1, Kind=ConfigMap): .dta: field not declared in schema`,
        },
      })
      const path = `/api/v1/namespaces/${ns}/configmaps`
      expect(await cluster.ask('POST', `${path}?fieldValidation=Strict`, slip)).toMatchObject({
        status: 400,
        body: { message: expect.stringContaining('strict decoding error: unknown field "dta"') },
      })
      const made = await cluster.ask('POST', path, slip)
      expect(made.status).toBe(201)
      expect(made.body).not.toHaveProperty('dta')
    })

    test('YAML is taken, as its media type says', async () => {
      const ns = await namespace()
      const { body } = await cluster.ask(
        'PATCH',
        `/api/v1/namespaces/${ns}/configmaps/yaml?fieldManager=t`,
        `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: yaml }\ndata:\n  text: |\n    two\n    lines\n`,
        'application/apply-patch+yaml',
      )
      expect(body.data).toEqual({ text: 'two\nlines\n' })
    })
  })
}
