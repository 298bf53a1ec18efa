import { describe, expect, test } from 'vitest'
import type { KubernetesObject } from '../../../../src/kubernetes/kubernetes.ts'
import { type Connected, eventually, type Json } from '../cluster.ts'

const volume = (name: string, claim: string, ns: string, uid?: string): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name },
  spec: {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Retain',
    storageClassName: 'synology',
    claimRef: { namespace: ns, name: claim, ...(uid === undefined ? {} : { uid }) },
    csi: { driver: 'csi.san.synology.com', volumeHandle: `handle-of-${name}`, fsType: 'btrfs' },
  },
})

const claim = (ns: string, name: string, volumeName: string): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace: ns },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'synology',
    volumeName,
    resources: { requests: { storage: '1Gi' } },
  },
})

/** Volumes that wait for their claims: how a disk comes back to its owner. */
export function volumes(cluster: Connected, namespace: () => Promise<string>): void {
  const read = async (path: string): Promise<Json> => (await cluster.ask('GET', path)).body
  const reaches = (path: string, phase: string) =>
    eventually(`${path} to be ${phase}`, async () => (await read(path)).status?.phase === phase || undefined)

  describe('volumes', () => {
    test('are bound to the claim that they were promised to, and know it by its uid then', async () => {
      const ns = await namespace()
      const pv = `/api/v1/persistentvolumes/pv-${ns}`
      const pvc = `/api/v1/namespaces/${ns}/persistentvolumeclaims/data`
      await cluster.apply('recover', volume(`pv-${ns}`, 'data', ns))
      await reaches(pv, 'Available')
      await cluster.apply('recover', claim(ns, 'data', `pv-${ns}`))
      await reaches(pvc, 'Bound')
      await reaches(pv, 'Bound')
      const bound = await read(pvc)
      expect((await read(pv)).spec.claimRef).toMatchObject({ name: 'data', uid: bound.metadata.uid })
      expect(bound).toMatchObject({
        metadata: { annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } },
        status: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } },
      })
    })

    test('whose claim went are Released, until their uid is taken out', async () => {
      const ns = await namespace()
      const pv = `/api/v1/persistentvolumes/pv-${ns}`
      const pvc = `/api/v1/namespaces/${ns}/persistentvolumeclaims/data`
      await cluster.apply('recover', volume(`pv-${ns}`, 'data', ns))
      await cluster.apply('recover', claim(ns, 'data', `pv-${ns}`))
      await reaches(pvc, 'Bound')
      await cluster.ask('DELETE', pvc)
      await reaches(pv, 'Released')
      await cluster.apply('recover', claim(ns, 'data', `pv-${ns}`))
      await reaches(pvc, 'Pending')
      const patch = ['uid', 'resourceVersion'].map(field => ({
        op: 'remove',
        path: `/spec/claimRef/${field}`,
      }))
      await cluster.ask('PATCH', pv, patch, 'application/json-patch+json')
      await reaches(pvc, 'Bound')
      await reaches(pv, 'Bound')
    })

    test('that are in use outlive their deletion until the claim is gone', async () => {
      const ns = await namespace()
      const pv = `/api/v1/persistentvolumes/pv-${ns}`
      const pvc = `/api/v1/namespaces/${ns}/persistentvolumeclaims/data`
      await cluster.apply('recover', volume(`pv-${ns}`, 'data', ns))
      await cluster.apply('recover', claim(ns, 'data', `pv-${ns}`))
      await reaches(pvc, 'Bound')
      expect((await read(pv)).metadata.finalizers).toEqual(['kubernetes.io/pv-protection'])
      expect((await cluster.ask('DELETE', pv)).body.metadata.deletionTimestamp).toBeDefined()
      expect((await read(pvc)).status.phase).toBe('Bound')
      await cluster.ask('DELETE', pvc)
      await eventually('the volume to be gone', async () => {
        const { status } = await cluster.ask('GET', pv)
        return status === 404 || undefined
      })
    })
  })
}
