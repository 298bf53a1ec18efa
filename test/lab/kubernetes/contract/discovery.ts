import { describe, expect, test } from 'vitest'
import type { Connected } from '../cluster.ts'

/** What is served, and how a client learns it. */
export function discovery(cluster: Connected, _namespace: () => Promise<string>): void {
  describe('discovery', () => {
    test('our client finds kinds, versions and nothing where nothing is', async () => {
      const { reader } = cluster.api
      expect(await reader.ready()).toEqual({ ready: true, why: 'ok' })
      expect(await reader.version()).toMatch(/^v1\.\d+\.\d+/)
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
      expect(
        body.resources.find((r: { name: string }) => r.name === 'deployments/status'),
      ).not.toHaveProperty('shortNames')
      expect((await cluster.ask('GET', '/apis/nowhere.io')).status).toBe(404)
      expect((await cluster.ask('GET', '/api/v1/unicorns')).body).toMatchObject({
        kind: 'Status',
        reason: 'NotFound',
        message: 'the server could not find the requested resource',
      })
    })
  })
}
