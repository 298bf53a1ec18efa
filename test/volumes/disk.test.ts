import { expect, test } from 'vitest'
import type { Readers } from '../../runbooks/kit.ts'
import { lunDisk } from '../../runbooks/volumes/disk.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import { persistentVolumeClaim } from '../../src/volumes/objects.ts'

const classes = {
  nas: { protocol: 'iscsi', fsType: 'btrfs', formatOptions: '--nodiscard' },
  shares: { protocol: 'nfs' },
}

/** What a PersistentVolume says of a LUN whose old volume, or nobody, says its file system. */
function said(strategy: MappedVolume['strategy'], storageClass: keyof typeof classes, fsType?: string) {
  const storageClasses = Object.entries(classes).map(([name, parameters]) => ({
    name,
    provisioner: 'csi.san.synology.com',
    parameters,
  }))
  const cluster = { inventory: { claims: [], volumes: [], storageClasses } } as unknown as Readers['cluster']
  const volume: MappedVolume = { claim: 'a/b', strategy, sizeBytes: 1, storageClass, sources: [] }
  return lunDisk(cluster, fsType ? { ...volume, fsType } : volume, { uuid: 'x', sizeBytes: 1 })
}

test('a LUN that comes back has the file system that is on it, and one that a machine fills that of its class', () => {
  for (const strategy of ['adopt', 'clone'] as const) {
    expect(said(strategy, 'nas', 'ext4').fsType).toBe('ext4')
    expect(said(strategy, 'nas').fsType).toBe('btrfs')
    // Where nobody says it, it is what those classes make that make LUNs.
    expect(said(strategy, 'shares').fsType).toBe('btrfs')
  }
  // The class's options are for the class's file system: mkfs.ext4 knows no --nodiscard.
  expect(said('host-copy', 'nas', 'ext4')).toMatchObject({
    fsType: 'btrfs',
    attributes: { formatOptions: '--nodiscard' },
  })
})

test('a claim that names no class is left to the cluster’s default one, unless it names its volume', () => {
  const specOf = (more: { volumeName?: string }) =>
    persistentVolumeClaim(
      { namespace: 'a', name: 'b' },
      { sizeBytes: 1, storageClass: '', accessModes: [], ...more },
    ).spec
  expect(specOf({})).not.toHaveProperty('storageClassName')
  expect(specOf({ volumeName: 'pv' })).toMatchObject({ storageClassName: '' })
})
