import { expect, test } from 'vitest'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { heritage, judgeMove, livingClaim, together, type WantedVolume } from '../../src/volumes/moves.ts'
import { claimsMountedBy, isStopped, isUp, startPatch, stopPatch } from '../../src/volumes/workloads.ts'

const gib = 2 ** 30
const pv: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: 'pvc-1' },
  spec: { csi: { driver: 'csi.san.synology.com', volumeHandle: 'lun-1' } },
}
function claim(change: { spec?: object; metadata?: object; phase?: string } = {}): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace: 'photos', uid: 'u1', ...change.metadata },
    spec: {
      volumeName: 'pvc-1',
      storageClassName: 'iscsi',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '10Gi' } },
      ...change.spec,
    },
    status: { phase: change.phase ?? 'Bound', capacity: { storage: '10Gi' } },
  }
}
const byName = (...all: KubernetesObject[]) => new Map(all.map(one => [one.metadata.name, one]))
const wanted: WantedVolume = {
  id: 'photos/data',
  sizeBytes: 10 * gib,
  storageClass: 'iscsi',
  accessModes: ['ReadWriteOnce'],
  strategy: 'copy',
}
const judge = (
  change: Partial<WantedVolume> = {},
  live: KubernetesObject | undefined = claim(),
  named = false,
  any = named,
) =>
  judgeMove({ ...wanted, ...change }, live && livingClaim(live, byName(pv)), {
    named,
    any,
    disk: { lun: {} },
  })

test('only what no living claim can be changed to moves a claim, or a person’s word', () => {
  expect(judge()).toMatchObject({ move: false, says: 'is as Git wants it' })
  expect(judge({ sizeBytes: 20 * gib })).toMatchObject({ move: false })
  expect(judge({ storageClass: undefined })).toMatchObject({ move: false })
  expect(judge({ storageClass: 'nfs' }).says).toBe(
    'is copied to a new disk: Git wants the class nfs, it has iscsi',
  )
  expect(judge({ sizeBytes: 5 * gib }).says).toBe('is copied to a new disk: Git wants 5 GiB, it has 10 GiB')
  expect(judge({ accessModes: ['ReadWriteMany'] })).toMatchObject({ move: true })
  expect(judge({}, claim(), true)).toMatchObject({
    move: true,
    says: 'is copied to a new disk: you named it',
  })
  expect(judge({ strategy: 'clone' }, claim(), true).says).toBe('gets a clone of its disk: you named it')
  // Where some are named, the others stay, different or not.
  expect(judge({ storageClass: 'nfs' }, claim(), false, true)).toMatchObject({ move: false })
})

test('what recover.yaml keeps in its place stays, and the plan says that Git wants otherwise', () => {
  const stays = judge({ strategy: 'adopt', storageClass: 'nfs' })
  expect(stays).toMatchObject({ move: false, differs: ['Git wants the class nfs, it has iscsi'] })
  expect(stays.obstacle).toBeUndefined()
  expect(judge({ strategy: 'adopt' }, claim(), true).obstacle).toBe('stays where it is (adopt)')
})

test.for([
  ['is not in the cluster', undefined],
  ['is not bound to a volume', claim({ phase: 'Pending' })],
  [
    'is on no LUN and no shared folder of this NAS, so that it cannot be snapshot and cloned',
    claim({ spec: { volumeName: 'pvc-2' } }),
  ],
  ['is a block device: there are no files to compare', claim({ spec: { volumeMode: 'Block' } })],
  [
    'is kept by Cluster main, which makes a claim that goes anew by itself',
    claim({ metadata: { ownerReferences: [{ kind: 'Cluster', name: 'main' }] } }),
  ],
] as const)('a claim that %s is not moved', ([obstacle, live]) => {
  const other = { ...pv, metadata: { name: 'pvc-2' }, spec: { csi: { volumeHandle: 'share-1' } } }
  const verdict = judgeMove(wanted, live && livingClaim(live, byName(pv, other)), {
    named: true,
    any: true,
    disk: live?.spec && (live.spec as { volumeName: string }).volumeName === 'pvc-1' ? { lun: {} } : {},
  })
  expect(verdict).toMatchObject({ move: false, obstacle })
})

const name = 'k8s-csi-pvc-1'
const share = { uuid: 'share-1', name, location: '/volume1', snapshots: true, protocol: 'nfs' }
const attributes = {
  protocol: 'nfs',
  dsm: '192.0.2.17',
  source: `//192.0.2.17/${name}`,
  baseDir: `/volume1/${name}`,
}
const onShare = (change: object = {}, like: object = {}, how: Partial<WantedVolume> = {}) => {
  const csi = { volumeHandle: 'share-1', volumeAttributes: { ...attributes, ...change } }
  const live = livingClaim(claim(), byName({ ...pv, spec: { csi } }))
  const disk = { share: { ...share, ...like } }
  return judgeMove({ ...wanted, ...how }, live, { named: true, any: true, disk })
}

test('a claim on a shared folder of NFS is moved as one on a LUN is', () => {
  expect(onShare()).toMatchObject({ move: true, says: 'is copied to a new disk: you named it' })
  expect(onShare({}, {}, { strategy: 'clone', onShare: true })).toMatchObject({ move: true })
})

test.for([
  ['by SMB, and only those of NFS can be', { protocol: 'smb' }, { protocol: 'smb' }],
  // The driver mounts what the attributes name, whichever share the handle means: another one would be copied.
  ['its PersistentVolume pvc-1 gives source as "//192.0.2.17/other"', { source: '//192.0.2.17/other' }, {}],
  ['gives baseDir as "/volume1/other"', { baseDir: '/volume1/other' }, {}],
  ['the NAS can take no snapshot of it', {}, { snapshots: false }],
] as const)('a claim on a shared folder stays where it is: %s', ([obstacle, change, like]) => {
  expect(onShare(change, like)).toMatchObject({ move: false, obstacle: expect.stringContaining(obstacle) })
})

test('a clone is of the kind that its original is, whatever the class makes', () => {
  expect(onShare({}, {}, { strategy: 'clone', onShare: false }).obstacle).toBe(
    'is on a shared folder, a clone of which is one again, and its class makes LUNs: say copy for it in recover.yaml',
  )
  expect(judge({ strategy: 'clone', onShare: true }, claim(), true).obstacle).toContain('is on a LUN')
})

test('claims that share a workload stop together, also by way of a third', () => {
  const users = new Map([
    ['a/one', ['Deployment a/x']],
    ['a/two', ['Deployment a/y']],
    ['b/lonely', []],
    ['a/three', ['Deployment a/x', 'Deployment a/y']],
  ])
  expect(together(users)).toEqual([['a/one', 'a/three', 'a/two'], ['b/lonely']])
})

test('a successor has what owners and people wrote on a claim, and nothing of what Kubernetes notes', () => {
  expect(
    heritage({
      labels: { app: 'photos', 'recover.dev/run': 'r' },
      annotations: {
        'pv.kubernetes.io/bind-completed': 'yes',
        'volume.kubernetes.io/storage-provisioner': 'csi',
        'volume.beta.kubernetes.io/storage-provisioner': 'csi',
        'kubectl.kubernetes.io/last-applied-configuration': '{}',
        'backup.example.net/daily': 'true',
      },
    }),
  ).toEqual({ labels: { app: 'photos' }, annotations: { 'backup.example.net/daily': 'true' } })
})

function workload(kind: string, spec: object, annotations = {}): KubernetesObject {
  return { apiVersion: 'apps/v1', kind, metadata: { name: 'db', namespace: 'a', annotations }, spec }
}
const volumes = (name: string) => ({
  spec: { volumes: [{ persistentVolumeClaim: { claimName: name } }, {}] },
})

test('a workload mounts what its pods name, and a StatefulSet what it makes for each of them', () => {
  expect(claimsMountedBy(workload('Deployment', { template: volumes('one') }))).toEqual(['one'])
  expect(
    claimsMountedBy(workload('CronJob', { jobTemplate: { spec: { template: volumes('two') } } })),
  ).toEqual(['two'])
  const set = {
    replicas: 2,
    template: volumes('shared'),
    volumeClaimTemplates: [{ metadata: { name: 'data' } }],
  }
  expect(claimsMountedBy(workload('StatefulSet', set))).toEqual(['shared', 'data-db-0', 'data-db-1'])
  // Stopped by us, it would still have them.
  expect(
    claimsMountedBy(workload('StatefulSet', { ...set, replicas: 0 }, { 'recover.dev/stopped': 'run 2' })),
  ).toEqual(['shared', 'data-db-0', 'data-db-1'])
})

test('what is stopped starts again as it was, by the run that stopped it and by no other', () => {
  const live = workload('Deployment', { replicas: 3 })
  expect(isStopped(live)).toBe(false)
  expect(stopPatch(live, 'run-1')).toEqual({
    metadata: { annotations: { 'recover.dev/stopped': 'run-1 3' } },
    spec: { replicas: 0 },
  })
  const stopped = workload('Deployment', { replicas: 0 }, { 'recover.dev/stopped': 'run-1 3' })
  expect(stopPatch(stopped, 'run-1')).toBeUndefined()
  expect(startPatch(stopped, 'run-2')).toBeUndefined()
  expect(startPatch(stopped, 'run-1')).toEqual({
    metadata: { annotations: { 'recover.dev/stopped': null } },
    spec: { replicas: 3 },
  })
  // What a person had stopped before is not started.
  expect(startPatch(workload('Deployment', { replicas: 0 }), 'run-1')).toBeUndefined()
  const cron = workload('CronJob', {})
  expect(stopPatch(cron, 'run-1')).toMatchObject({ spec: { suspend: true } })
  expect(
    startPatch(workload('CronJob', { suspend: true }, { 'recover.dev/stopped': 'run-1 1' }), 'run-1'),
  ).toMatchObject({ spec: { suspend: false } })
  expect(isUp({ ...live, status: { readyReplicas: 2 } })).toBe(false)
  expect(isUp({ ...live, status: { readyReplicas: 3 } })).toBe(true)
})
