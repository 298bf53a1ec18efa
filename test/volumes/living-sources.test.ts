import { afterAll, beforeAll, expect, test } from 'vitest'
import { fromNas, nasNow, readNamed } from '../../runbooks/volume-sources.ts'
import { openSession } from '../../src/nas/synology/session.ts'
import { listVolumes } from '../../src/volumes/listing.ts'
import { testimoniesOf } from '../../src/volumes/sources/cluster-objects.ts'
import { resolveTargets } from '../../src/volumes/sources/iscsi-records.ts'
import { type Cluster, eventually, startCluster } from '../lab/kubernetes/cluster.ts'
import { connectedNas } from '../nas/connected-nas.ts'

const now = new AbortController().signal
let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.close())

test('a cluster that answers says which claim is which volume, and which Deployment mounts it', async () => {
  const { writer } = cluster.api
  await writer.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'photos' } })
  await writer.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'pv-photos' },
    spec: {
      capacity: { storage: '2Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: '',
      claimRef: { namespace: 'photos', name: 'library' },
      csi: { driver: 'csi.san.synology.com', volumeHandle: 'lun-1' },
    },
  })
  await writer.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'library', namespace: 'photos' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: '',
      volumeName: 'pv-photos',
      resources: { requests: { storage: '2Gi' } },
    },
  })
  await writer.apply({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'photos' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          containers: [{ name: 'web', image: 'web' }],
          volumes: [{ name: 'library', persistentVolumeClaim: { claimName: 'library' } }],
        },
      },
    },
  })
  await eventually('a pod of the Deployment', async () =>
    (await writer.list({ apiVersion: 'v1', kind: 'Pod', namespace: 'photos' })).length > 0 ? true : undefined,
  )
  const named = `kubeconfig:${cluster.kubeconfig}`
  expect((await readNamed(named, now)).testimonies).toEqual([
    {
      source: named,
      claim: 'photos/library',
      lun: 'lun-1',
      volume: 'pv-photos',
      driver: 'csi.san.synology.com',
      sizeBytes: 2 * 2 ** 30,
      storageClass: '',
      owner: 'Deployment photos/web',
    },
  ])
})

test('the NAS tells of LUNs by description and name, of shares by uuid and how they are reached, and what an initiator’s record leads to', async () => {
  const { reader, lun, port, emulator } = await connectedNas(b => {
    b.nas.luns.push({ ...b.nas.luns[0]!, uuid: 'lun-2', pv: 'pvc-2', described: false })
  })
  const session = openSession({
    url: `https://127.0.0.1:${port}`,
    fingerprint: emulator.fingerprint,
    account: async () => 'recover',
    password: async () => 'correct horse battery',
  })
  const share = (name: string, desc: string, share_quota: number) =>
    session.call('SYNO.Core.Share', 'create', 1, {
      name,
      shareinfo: [{ name, desc, vol_path: '/volume1', share_quota }][0] as never,
    })
  await share('k8s-csi-pvc-77f97c58-db4d-4205-8', 'Created by Synology K8s CSI', 1024)
  await share('films', 'a/b', 0)
  const rule = [
    { client: '192.0.2.11', privilege: 'rw' },
    { client: '192.0.2.0/24', privilege: 'ro' },
    { client: 'old.example', privilege: 'no' },
  ]
  await session.call('SYNO.Core.FileServ.NFS.SharePrivilege', 'save', 1, {
    share_name: 'k8s-csi-pvc-77f97c58-db4d-4205-8',
    rule: rule as never,
  })
  await session.close()
  const shares = await reader.shares()
  const [csi, films] = shares.map(s => s.uuid)
  expect(shares).toMatchObject([
    {
      protocol: 'nfs',
      clients: [
        { client: '192.0.2.11', may: 'write' },
        { client: '192.0.2.0/24', may: 'read' },
        { client: 'old.example', may: 'nothing' },
      ],
    },
    { protocol: 'smb', clients: [] },
  ])
  const seen = await nasNow(reader)
  const source = fromNas(seen)
  const sizes = { sizeBytes: lun.sizeBytes, usedBytes: lun.sizeBytes }
  expect(source.testimonies).toEqual([
    { source: 'nas', claim: 'photos/library', lun: lun.uuid, volume: lun.pv, protocol: 'iscsi', ...sizes },
    { source: 'nas', claim: '', lun: 'lun-2', volume: 'pvc-2', protocol: 'iscsi', ...sizes },
    { source: 'nas', claim: '', lun: csi, protocol: 'nfs', sizeBytes: 2 ** 30, usedBytes: 0 },
    { source: 'nas', claim: 'a/b', lun: films, protocol: 'smb', usedBytes: 0 },
  ])
  const iqn = seen.targets.find(t => t.mappings.some(m => m.lun === 'lun-2'))?.iqn ?? ''
  const records = resolveTargets(
    {
      name: 'iscsi:lithium',
      remarks: [],
      testimonies: [iqn, 'iqn.2000-01.com.synology:other.pvc-9'].map(lun => ({
        source: 'iscsi:lithium',
        claim: '',
        lun,
        volume: 'pvc-2',
        repeats: 'nas',
      })),
    },
    seen.targets,
  )
  expect(records).toMatchObject({
    testimonies: [{ lun: 'lun-2' }],
    remarks: ['the NAS has no target iqn.2000-01.com.synology:other.pvc-9'],
  })
  expect(listVolumes([source, records]).find(v => v.volume === 'pvc-2')).toMatchObject({
    verdict: 'no-claim',
    luns: [{ lun: 'lun-2', sources: ['nas', 'iscsi:lithium'] }],
  })
})

test('of a dead cluster’s pods, a ReplicaSet’s belong to its Deployment, and a database’s to its Cluster', () => {
  const object = (kind: string, name: string, rest: object, owner?: [string, string]) => ({
    deleted: false,
    object: {
      apiVersion: 'v1',
      kind,
      metadata: {
        name,
        namespace: 'a',
        ...(owner ? { ownerReferences: [{ kind: owner[0], name: owner[1], controller: true }] } : {}),
      },
      ...rest,
    },
  })
  const volume = (claim: string) =>
    object('PersistentVolume', `pv-${claim}`, {
      spec: { claimRef: { namespace: 'a', name: claim }, csi: { driver: 'd', volumeHandle: claim } },
    })
  const mounting = (claim: string) => ({
    spec: { volumes: [{ persistentVolumeClaim: { claimName: claim } }] },
  })
  const said = testimoniesOf('kine:x', [
    ...['web', 'db', 'alone', 'nobody'].map(volume),
    object('ReplicaSet', 'web-1', {}, ['Deployment', 'web']),
    object('Pod', 'web-1-x', mounting('web'), ['ReplicaSet', 'web-1']),
    object('PersistentVolumeClaim', 'db', { spec: { volumeName: 'pv-db' } }, ['Cluster', 'db']),
    object('Pod', 'alone', mounting('alone')),
  ])
  expect(said.map(t => [t.claim, t.owner])).toEqual([
    ['a/web', 'Deployment a/web'],
    ['a/db', 'Cluster a/db'],
    ['a/alone', 'Pod a/alone'],
    ['a/nobody', undefined],
  ])
})
