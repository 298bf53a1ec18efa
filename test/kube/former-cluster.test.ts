import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readNamed } from '../../runbooks/volume-sources.ts'
import { connectBy, eventually } from '../lab/kubernetes/cluster.ts'
import { scratch } from '../runbook/harness.ts'
import { startControlPlane } from './harness/control-plane.ts'
import { describeKube } from './harness/describe-kube.ts'

const now = new AbortController().signal
const claims = ['grafana/data', 'miniflux/data-postgres-0', 'photos/library', 'scratch/cache']

describeKube('a real cluster that is dead', {}, () => {
  test('says who it was from kine’s database, as it said itself', async () => {
    const controlPlane = await startControlPlane()
    const { ask, close, kubeconfig } = connectBy(controlPlane.kubeconfig)
    const make = async (path: string, object: object) => {
      const { status, body } = await ask('POST', path, object)
      expect(status, JSON.stringify(body)).toBe(201)
    }
    const { body: system } = await ask('GET', '/api/v1/namespaces/kube-system')
    for (const name of ['lithium', 'hydrogen', 'helium']) {
      await make('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name } })
      const status = {
        nodeInfo: { kubeletVersion: 'v1.34.1+k0s', bootID: `boot-${name}` },
        conditions: [{ type: 'Ready', status: 'True' }],
      }
      await ask('PATCH', `/api/v1/nodes/${name}/status`, { status }, 'application/merge-patch+json')
    }
    for (const [i, claim] of claims.entries()) {
      const [namespace = '', name = ''] = claim.split('/')
      await make('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
      const spec = { accessModes: ['ReadWriteOnce'], storageClassName: 'synology-iscsi' }
      await make('/api/v1/persistentvolumes', {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: `pvc-old-${i}` },
        spec: {
          ...spec,
          capacity: { storage: '1Gi' },
          persistentVolumeReclaimPolicy: 'Retain',
          claimRef: { namespace, name },
          csi: { driver: 'csi.san.synology.com', volumeHandle: `00000000-0000-4000-8000-00000000000${i}` },
        },
      })
      await make(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`, {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name },
        spec: { ...spec, volumeName: `pvc-old-${i}`, resources: { requests: { storage: '1Gi' } } },
      })
      await eventually(`${claim} to be bound`, async () => {
        const { body } = await ask('GET', `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}`)
        return body.status?.phase === 'Bound' || undefined
      })
    }
    expect((await readNamed(`kubeconfig:${kubeconfig}`, now)).clusterUid).toBe(system.metadata.uid)
    await close()

    const folder = scratch('former-cluster')
    // As it lay on the disk of a machine that lost its power.
    for (const part of ['kube-apiserver', 'kine']) await controlPlane.processes.end(part, 'SIGKILL')
    for (const name of ['state.db', 'state.db-wal'].filter(n => existsSync(join(controlPlane.folder, n))))
      copyFileSync(join(controlPlane.folder, name), join(folder, name))
    const kine = await readNamed(`kine:${join(folder, 'state.db')}`, now)
    expect(kine.clusterUid).toBe(system.metadata.uid)
    expect(kine.testimonies.map(t => [t.claim, t.lun])).toEqual(
      claims.map((claim, i) => [claim, `00000000-0000-4000-8000-00000000000${i}`]),
    )
    await controlPlane.close()
  })
})
