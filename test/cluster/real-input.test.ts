import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readInventory } from '../../src/cluster/inventory.ts'
import { readK0sctl } from '../../src/cluster/k0sctl-file.ts'

const root = fileURLToPath(new URL('../../../shared/inputs/materia-2025-02', import.meta.url))
const there = existsSync(root)
if (!there)
  process.stdout.write('skipped: a real repository is read as it is: it is not beside this checkout\n')

describe.skipIf(!there)('a real repository, as it is', () => {
  test('its hosts', () => {
    const k0sctl = readK0sctl(join(root, 'k0sctl.yaml'), {}, 'k0sctl.yaml')
    expect(k0sctl.hosts.map(h => [h.name, h.role, h.user, h.literal])).toEqual([
      ['lithium', 'controller+worker', 'core', false],
      ['hydrogen', 'worker', 'core', false],
    ])
    expect(k0sctl).toMatchObject({ name: 'materia-cluster', version: '1.32.1+k0s.0' })
    expect(k0sctl.sans).toContain('lithium.dns.ggrel.net')
    expect(k0sctl.kineDataSource).toContain('sqlite:///var/lib/k0s/db/state.db')
  })

  test('its seven claims, in namespaces that only the kustomizations name, each with its owner', () => {
    const { claims } = readInventory(root)
    expect(
      Object.fromEntries(
        claims.map(c => [c.id, [c.sizeBytes / 2 ** 30, c.storageClass, c.owners.length > 0]]),
      ),
    ).toEqual({
      'elasticsearch/data': [1, 'beryllium-iscsi', true],
      'grafana/data': [1, 'beryllium-iscsi', true],
      'influxdb/data': [1, 'beryllium-iscsi', true],
      'mastodon/redis-data': [1, 'beryllium-iscsi', true],
      'postgresql/data': [20, 'beryllium-iscsi', true],
      'prometheus/data': [20, 'beryllium-iscsi', true],
      'teamspeak/data': [5, 'beryllium-iscsi', true],
    })
  })

  test('what it takes from elsewhere, its NAS, its items', () => {
    const inventory = readInventory(root)
    expect(inventory.volumes).toEqual([])
    expect(inventory.applications).toEqual([])
    expect(inventory.storageClasses).toMatchObject([
      { provisioner: 'csi.san.synology.com', parameters: { dsm: '172.16.2.17' } },
    ])
    expect(inventory.remote.find(r => r.what === 'cilium 1.17.1')).toMatchObject({
      folder: 'system/cilium',
      repository: 'https://helm.cilium.io',
    })
    expect(inventory.items.every(i => i.path.startsWith('vaults/materia/items/'))).toBe(true)
    expect(inventory.missing.map(m => m.file)).toContain('bootstrap/1password-credentials.json')
    expect(inventory.folders.filter(f => f.startsWith('applications/'))).toHaveLength(16)
  })
})
