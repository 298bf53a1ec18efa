import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { NasState } from '../../src/lab/nas/state.ts'
import { mayWrite, shareCloneName } from '../../src/nas/nas.ts'
import type { Fault } from '../../src/runbook/fault.ts'
import { connectedNas } from './connected-nas.ts'

const uuid = '77f97c58-1111-4222-8333-444455556666'
const run = '20261129-030000-cd34'
const clients = ['192.0.2.11', '192.0.2.12']
const name = shareCloneName(run, '0a1b2c3d')

/** The lab's NAS with one share of NFS, as the CSI driver made it. */
async function nasWithShare() {
  const nas = await connectedNas(({ nas }) => {
    nas.shares = [
      {
        uuid,
        pv: 'pvc-77f97c58-db4d-4205-8a11-444455556666',
        claim: 'photos/library',
        sizeBytes: 2 ** 30,
        clients,
        files: { letter: 'of then' },
      },
    ]
  })
  const state = () => (nas.emulator as unknown as { store: { state: NasState } }).store.state
  return { ...nas, state, folder: (of: string) => nas.world.path('nas', 'shares', of) }
}

/** Snapshot, fence and clone: all that a share's proof asks of a NAS. */
async function everything({ writer }: Pick<Awaited<ReturnType<typeof nasWithShare>>, 'writer'>) {
  const snapshot = await writer.snapshotShare(uuid, `recover-${run}`)
  await writer.closeShare(uuid)
  return writer.cloneShare(
    { share: uuid, snapshot: snapshot.time },
    { name, description: `recover run ${run}` },
  )
}

test('a share is snapshot, closed and cloned once, and its clone holds what the snapshot held', async () => {
  const nas = await nasWithShare()
  const { reader, writer, world, folder } = nas
  const [before] = await reader.shares()
  expect(before).toMatchObject({ uuid, protocol: 'nfs', snapshots: true, sizeBytes: 2 ** 30 })
  expect(mayWrite(before)).toEqual(clients)
  expect(await reader.shareSnapshots(uuid)).toEqual([])
  expect(world.mutations.nas).toBe(0)

  await writer.snapshotShare(uuid, `recover-${run}`)
  writeFileSync(join(folder(uuid), 'letter'), 'of now')
  const clone = await everything(nas)
  expect(readFileSync(join(folder(clone.uuid), 'letter'), 'utf8')).toBe('of then')
  const first = world.mutations.nas
  expect(await everything(nas)).toEqual(clone)
  // What is there already is only looked at.
  expect(world.mutations.nas).toBe(first)

  expect(await reader.shareSnapshots(uuid)).toMatchObject([{ description: `recover-${run}`, locked: true }])
  const shares = await reader.shares()
  expect(shares.map(s => [s.name, s.sizeBytes])).toEqual([
    ['k8s-csi-pvc-77f97c58-db4d-4205-8', 2 ** 30],
    [name, 2 ** 30],
  ])
  // Nobody is let in, and by its rules the driver still takes it for one of NFS.
  for (const { clients: rules, protocol } of shares) {
    expect(protocol).toBe('nfs')
    expect(rules).toEqual(clients.map(client => ({ client, may: 'nothing' })))
  }
})

test('a clone is dropped by name and description, and no other share is', async () => {
  const nas = await nasWithShare()
  const { writer } = nas
  const clone = await everything(nas)
  await expect(writer.dropOwnShareClone({ uuid, name, run })).rejects.toMatchObject({ code: 'not-our-clone' })
  const another = { uuid: clone.uuid, name, run: '20261130-030000-ef56' }
  await expect(writer.dropOwnShareClone(another)).rejects.toMatchObject({
    code: 'not-our-clone',
    message: expect.stringContaining('its description does not name the run'),
  })
  const ours = { uuid: clone.uuid, name, run }
  await writer.dropOwnShareClone(ours)
  await writer.dropOwnShareClone(ours)
  expect((await writer.shares()).map(s => s.uuid)).toEqual([uuid])
})

test('a share that has the clone’s name and is none is left alone', async () => {
  const nas = await nasWithShare()
  const snapshot = await nas.writer.snapshotShare(uuid, `recover-${run}`)
  const as = (description: string) =>
    nas.writer.cloneShare({ share: uuid, snapshot: snapshot.time }, { name, description })
  await as('photos/library')
  await expect(as('grafana/data')).rejects.toMatchObject({ code: 'nas-name-taken' })
  expect((await nas.writer.shares()).map(s => s.description)).toContain('photos/library')
})

test('what was done and not answered is found when it is tried again', async () => {
  const nas = await nasWithShare()
  // Each changing request's answer is lost once: the snapshot, the rules, the clone, its rules.
  const ordinary = nas.world.strikes.bind(nas.world)
  const lost = new Set<number>()
  nas.world.strikes = (fault, target) => {
    if (fault !== 'nas-reply-lost') return ordinary(fault, target)
    const nth = nas.world.mutations.nas
    if (lost.has(nth)) return false
    lost.add(nth)
    return true
  }
  for (let attempt = 0; ; attempt += 1)
    try {
      await everything(nas)
      break
    } catch (thrown) {
      expect([(thrown as Fault).code, attempt < 9]).toEqual(['nas-unreachable', true])
    }
  expect(lost.size).toBe(4)
  const { shares = [] } = nas.world.read<NasState>('nas')!
  expect(shares.map(s => [s.snapshots.length, s.quota, s.rules.length])).toEqual([
    [1, 1024, 2],
    [0, 1024, 2],
  ])
})

test('codes of shares mean what they mean there, not what they mean at the login', async () => {
  const { writer, world } = await nasWithShare()
  const snapshot = { share: uuid, snapshot: 'GMT+00-1999.01.01-00.00.00' }
  await expect(writer.cloneShare(snapshot, { name, description: 'x' })).rejects.toMatchObject({
    message: expect.stringContaining('there is no such share or snapshot to clone (DSM code 3300)'),
  })
  expect(await writer.shares()).toHaveLength(1)
  expect(world.read<NasState>('nas')!.shares).toHaveLength(1)
})

test('a share that is deleted between being listed and being asked for its rules is not there', async () => {
  const nas = await nasWithShare()
  const clone = await everything(nas)
  // Asked with each request: right before the one for the clone's rules, the third, its own run has dropped it.
  const ordinary = nas.world.strikes.bind(nas.world)
  const { shares = [] } = nas.state()
  let asked = 0
  nas.world.strikes = (fault, target) => {
    if (fault === 'nas-session-expires') {
      asked += 1
      const at = shares.findIndex(s => s.uuid === clone.uuid)
      if (asked === 3) shares.splice(at, 1)
    }
    return ordinary(fault, target)
  }
  expect((await nas.reader.shares()).map(s => s.uuid)).toEqual([uuid])
  expect(asked).toBe(3)
})

test('a share’s description says whose it is, and nothing else of it is touched', async () => {
  const { reader, writer } = await nasWithShare()
  const before = await reader.shares()
  // Twice: a reply may be lost.
  for (const _ of [1, 2]) await writer.describeShare(uuid, 'photos/it’s the library')
  expect(await reader.shares()).toEqual(before.map(s => ({ ...s, description: 'photos/it’s the library' })))
})

test('of a description as much is written as DSM takes, however often it is tried', async () => {
  const nas = await nasWithShare()
  const { reader, writer } = nas
  const long = `a-namespace-with-a-long-name/${'and-a-claim-'.repeat(5)}`
  const { time } = await writer.snapshotShare(uuid, `recover-${run}`)
  const clone = () => writer.cloneShare({ share: uuid, snapshot: time }, { name, description: long })
  const made = await clone()
  await writer.describeShare(uuid, long)
  const first = nas.world.mutations.nas
  expect(await clone()).toEqual(made)
  await writer.describeShare(uuid, long)
  expect(nas.world.mutations.nas).toBe(first)
  expect((await reader.shares()).map(s => s.description)).toEqual([long.slice(0, 64), long.slice(0, 64)])
})

test('a share that was agreed to is deleted by uuid and name while its rules let nobody in, and its snapshot by its run', async () => {
  const { reader, writer } = await nasWithShare()
  const called = (await reader.shares())[0]?.name ?? ''
  await expect(writer.deleteShare({ uuid, name: called })).rejects.toMatchObject({
    code: 'share-in-use',
    message: expect.stringContaining(clients.join(', ')),
  })
  const { time } = await writer.snapshotShare(uuid, `recover-${run}`)
  const snapshot = { share: uuid, time, description: `recover-${run}` }
  for (const description of ['recover-another', ''])
    await expect(writer.deleteShareSnapshot({ ...snapshot, description })).rejects.toMatchObject({
      code: 'share-differs',
    })
  await writer.closeShare(uuid)
  await expect(writer.deleteShare({ uuid, name: `${called}x` })).rejects.toMatchObject({
    code: 'share-differs',
  })
  expect(await reader.shareSnapshots(uuid)).toHaveLength(1)
  // Twice: a reply may be lost.
  for (const _ of [1, 2]) await writer.deleteShareSnapshot(snapshot)
  expect(await reader.shareSnapshots(uuid)).toEqual([])
  for (const _ of [1, 2]) await writer.deleteShare({ uuid, name: called })
  expect(await reader.shares()).toEqual([])
})

test('the driver gives a share’s root folder a mode with each mount: a read-only one is refused where it has another', async () => {
  const { emulator, folder } = await nasWithShare()
  const share = { dsm: 'nas', protocol: 'nfs', source: '//nas/k8s-csi-pvc-77f97c58-db4d-4205-8' }
  const by = { ...share, baseDir: '/volume1/k8s-csi-pvc-77f97c58-db4d-4205-8' }
  const mount = (mountPermissions: string, readOnly: boolean) =>
    emulator.seam.mountShare({ ...by, mountPermissions }, clients, undefined, readOnly)
  const mode = () => (statSync(folder(uuid)).mode & 0o777).toString(8)
  chmodSync(folder(uuid), 0o700)
  expect(() => mount('', true)).toThrow(/chmod .*read-only file system/)
  expect(mount('0', true)).toEqual({ uuid })
  expect(mode()).toBe('700')
  mount('', false)
  expect(mode()).toBe('750')
  mount('', true)
  mount('0775', false)
  expect(mode()).toBe('775')
})
