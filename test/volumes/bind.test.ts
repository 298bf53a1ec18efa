import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Readers } from '../../runbooks/kit.ts'
import { bindTo } from '../../runbooks/volumes/bind.ts'
import { bindingOf } from '../../runbooks/volumes/binding.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import { persistentVolume, persistentVolumeClaim } from '../../src/volumes/objects.ts'
import { type Cluster, eventually, startCluster } from '../lab/kubernetes/cluster.ts'

let lab: Cluster
beforeAll(async () => {
  lab = await startCluster()
})
afterAll(() => lab.close())

const gib = 2 ** 30
const lun = (uuid: string) => ({ uuid, name: `k8s-csi-pvc-${uuid}`, sizeBytes: 2 * gib })
const volume = (name: string): MappedVolume => ({
  claim: `photos/${name}`,
  strategy: 'adopt',
  sizeBytes: 4 * gib,
  storageClass: 'nas',
  sources: [],
})

/** Binds as a run does, to a cluster of which Git says nothing more than its claims' labels. */
function bind(name: string, to = lun(name)): Promise<void> {
  const claims = [
    { id: `photos/${name}`, accessModes: [], labels: { app: name }, annotations: { 'a/b': 'c' } },
  ]
  const cluster = { inventory: { claims, storageClasses: [], volumes: [] } } as unknown as Readers['cluster']
  return bindTo(volume(name), to, {
    cluster,
    run: { id: '20261123-030000-cd34' } as Readers['run'],
    kubernetes: lab.api.writer,
    wait: (what, probe) => eventually(what, probe),
  })
}

const disk = (handle: string) => ({
  driver: 'csi.san.synology.com',
  handle,
  fsType: 'btrfs',
  sizeBytes: 2 * gib,
  attributes: {},
})
const options = { storageClass: 'nas', accessModes: ['ReadWriteOnce'] }
const pvOf = (name: string) => lab.api.reader.get({ apiVersion: 'v1', kind: 'PersistentVolume', name })
const claimOf = (name: string) =>
  lab.api.reader.get({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'photos', name })
const code = (wanted: string) => expect.objectContaining({ code: wanted })

test('a claim is bound to exactly that disk, with what its owner needs, and never asks for more than there is', async () => {
  await bind('one')
  expect(await bindingOf(lab.api.reader, 'photos/one')).toEqual({
    state: 'bound',
    pv: 'pvc-one',
    handle: 'one',
  })
  expect((await pvOf('pvc-one'))?.spec).toMatchObject({
    persistentVolumeReclaimPolicy: 'Retain',
    capacity: { storage: '2Gi' },
  })
  expect(await claimOf('one')).toMatchObject({
    metadata: { labels: { app: 'one' }, annotations: { 'a/b': 'c' } },
    spec: { volumeName: 'pvc-one', resources: { requests: { storage: '2Gi' } } },
  })
  // Again, as after a crash: nothing is made twice.
  await bind('one')
})

test('a volume that an older incarnation of the claim left behind is freed of it', async () => {
  await bind('two')
  const first = (await claimOf('two')) as KubernetesObject
  await lab.api.writer.remove(
    { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'photos', name: 'two' },
    first.metadata.uid ?? '',
  )
  await eventually(
    'Released',
    async () => (await pvOf('pvc-two'))?.status && phaseOf(await pvOf('pvc-two')) === 'Released',
  )
  await bind('two')
  expect(await bindingOf(lab.api.reader, 'photos/two')).toMatchObject({ state: 'bound', handle: 'two' })
  expect((await claimOf('two'))?.metadata.uid).not.toBe(first.metadata.uid)
})

test('a volume that leads to the disk under another name is taken, and none is made beside it', async () => {
  await lab.api.writer.apply(
    persistentVolume('by-hand', { namespace: 'photos', name: 'three' }, disk('three'), options),
  )
  await bind('three')
  expect(await bindingOf(lab.api.reader, 'photos/three')).toMatchObject({ pv: 'by-hand', handle: 'three' })
  expect(await pvOf('pvc-three')).toBeUndefined()
})

test('a disk that is somebody else’s, and a name that leads elsewhere, are refused before anything is made', async () => {
  await lab.api.writer.apply(
    persistentVolume('theirs', { namespace: 'mail', name: 'box' }, disk('four'), options),
  )
  await expect(bind('four')).rejects.toEqual(code('disk-in-use'))
  await lab.api.writer.apply(
    persistentVolume('pvc-five', { namespace: 'photos', name: 'five' }, disk('another'), options),
  )
  await expect(bind('five')).rejects.toEqual(code('volume-name-taken'))
  expect([await claimOf('four'), await claimOf('five')]).toEqual([undefined, undefined])
})

test('a claim that is bound to another disk is told; what is not ours is left as it is', async () => {
  await lab.api.writer.apply(
    persistentVolume('empty', { namespace: 'photos', name: 'six' }, disk('empty'), options),
  )
  const claim = { namespace: 'photos', name: 'six' }
  await lab.api.writer.apply(
    persistentVolumeClaim(claim, { ...options, sizeBytes: gib, volumeName: 'empty' }),
  )
  await eventually('bound', async () => (await bindingOf(lab.api.reader, 'photos/six')).state === 'bound')
  await expect(bind('six')).rejects.toEqual(code('claim-bound-to-another'))
  expect(await bindingOf(lab.api.reader, 'photos/six')).toMatchObject({ pv: 'empty', handle: 'empty' })
})

test('what this run had bound to the wrong disk is taken away again, by uid', async () => {
  // Between the volume's making and the binding somebody put another in its place.
  const writer = lab.api.writer
  const meddled: typeof writer = {
    ...writer,
    async apply(object, how) {
      const there = await writer.apply(object, how)
      if (object.kind !== 'PersistentVolume') return there
      await writer.remove(
        { apiVersion: 'v1', kind: 'PersistentVolume', name: 'pvc-seven' },
        there.metadata.uid ?? '',
      )
      const labels = object.metadata.labels ?? {}
      return writer.apply(
        persistentVolume('pvc-seven', { namespace: 'photos', name: 'seven' }, disk('wrong'), {
          ...options,
          labels,
        }),
      )
    },
  }
  const cluster = {
    inventory: { claims: [], storageClasses: [], volumes: [] },
  } as unknown as Readers['cluster']
  const binding = bindTo(volume('seven'), lun('seven'), {
    cluster,
    run: { id: '20261123-030000-cd34' } as Readers['run'],
    kubernetes: meddled,
    wait: (what, probe) => eventually(what, probe),
  })
  await expect(binding).rejects.toMatchObject({
    code: 'claim-bound-to-another',
    message: expect.stringContaining(
      'taken away again (PersistentVolumeClaim seven, PersistentVolume pvc-seven)',
    ),
  })
  await eventually('gone', async () => (await claimOf('seven')) === undefined)
})

function phaseOf(object: KubernetesObject | undefined): string | undefined {
  return (object?.status as { phase?: string } | undefined)?.phase
}
