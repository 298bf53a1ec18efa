import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { finalizeVolumes } from '../../runbooks/finalize-volumes.ts'
import type { Asked } from '../../runbooks/kit.ts'
import { planRun } from '../../runbooks/plan-run.ts'
import { whereaboutsOf } from '../../runbooks/rehearse.ts'
import { beginRun, resumeRun, type SessionOptions } from '../../runbooks/session.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { connectApi } from '../../src/kubernetes/api.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import { measureFolder } from '../../src/lab/nodes/job-programs.ts'
import { World } from '../../src/lab/world.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'
import { failuresOf, type Home, homeOf, labHere, recordsNow, rehearseAt, yes } from '../recovery/home.ts'
import { uuid, withPhotosOnNfs, withVolumeInGit } from '../recovery/nfs-home.ts'
import { judgeJournal } from './judge.ts'
import { Lives } from './lives.ts'

const never = new AbortController().signal

/** A home whose first run has finished, and `recover volumes finalize` for it. */
async function finishedHome(context: Parameters<typeof homeOf>[0], prepare: (home: Home) => void = () => {}) {
  const home = homeOf(context)
  prepare(home)
  const first = await rehearseAt(home)
  expect(failuresOf(first)).toEqual({})
  const folder = openRunFolder(stateFolder()).path
  const dir = join(folder, 'lab')
  const lab = await labHere(dir)
  const nas = () => World.open(dir).read<NasState>('nas')!
  const reach = async (cluster: Parameters<typeof whereaboutsOf>[1]) => whereaboutsOf(lab, cluster)
  const session: SessionOptions = {
    stop: never,
    now: never,
    sink() {},
    consent: async () => yes,
    lockTimeoutMs: 0,
    program: 'test',
  }
  return {
    home,
    folder,
    dir,
    lab,
    nas,
    finalize: (asked: Asked, change: Partial<SessionOptions> = {}) =>
      beginRun(home.file, reach, 'rehearsal', { ...session, ...change, book: finalizeVolumes.id, asked }),
    resume: () => resumeRun(undefined, () => reach, { ...session, accept: [], redo: [] }),
    async rows() {
      const cluster = loadCluster(home.file)
      const plan = await planRun(cluster, whereaboutsOf(lab, cluster), never, finalizeVolumes, undefined, {
        mode: 'rehearsal',
      })
      const listed = plan.entries.find(e => e.step === 'finalize/list-old')
      return listed?.state === 'done' ? (listed.table?.rows ?? []) : []
    },
  }
}

test('what a finished run left behind is listed, and only what is named and agreed to is deleted', async context => {
  const { home, dir, lab, nas, finalize, rows: listed } = await finishedHome(context)
  try {
    const old = World.open(dir).blueprint.nas.luns.find(l => l.claim === 'grafana/data')!
    const rows = await listed()
    expect(rows.filter(r => r[0] === 'LUN').map(r => r[1])).toEqual([old.uuid])
    // Each disk with data has a snapshot that was the way back; the adopted ones are no candidates themselves.
    expect(rows.filter(r => r[0] === 'snapshot')).toHaveLength(3)

    const before = nas()
    const contents = ({ luns }: NasState) =>
      luns.map(l => [l.uuid, measureFolder(World.open(dir).path('nas', 'luns', l.uuid))] as const)
    const contentsBefore = contents(before)
    const adopted = World.open(dir).blueprint.nas.luns.find(l => l.claim === 'photos/library')!
    for (const [asked, code] of [
      [{ chosen: [old.uuid], atOnce: false }, 'grace-period'],
      [{ chosen: [adopted.uuid], atOnce: true }, 'not-left-behind'],
    ] as const)
      expect(
        Object.values(failuresOf({ result: await finalize(asked), refused: undefined, events: [] })),
      ).toEqual([code])
    await expect(
      finalize({ chosen: [old.uuid], atOnce: true }, { consent: async () => undefined }),
    ).rejects.toMatchObject({ code: 'consent-missing' })
    expect(nas()).toEqual(before)

    // Killed right after each of its requests but the last, and then before anybody knew that it was through.
    const lives = new Lives(home, 'finalize', [old.uuid])
    const deletes = `finalize/delete[${old.uuid}]`
    for (const request of ['nas LUN unmap_target', 'nas LUN delete', 'nas Target delete'])
      expect(await lives.live([`after-change ${deletes} ${request}`]), lives.complaints).toBe('SIGKILL')
    expect(await lives.live([]), lives.complaints).toBe(0)
    expect(judgeJournal(recordsNow(), lives.events)).toEqual([])
    const after = nas()
    const uuids = ({ luns }: NasState) => luns.map(l => l.uuid).sort()
    expect(uuids(after)).toEqual(uuids(before).filter(uuid => uuid !== old.uuid))
    expect(after.targets).toHaveLength(before.targets.length - 1)
    expect(after.targets.every(t => t.mappings.length === 1)).toBe(true)
    expect(after.snapshots).toHaveLength(before.snapshots.length - 1)
    expect(contents(after)).toEqual(contentsBefore.filter(([uuid]) => uuid !== old.uuid))
  } finally {
    await lab.order('down')
  }
})

test('an old share and its snapshot are deleted like a LUN; one that a volume still leads to is not', async context => {
  const { folder, lab, nas, finalize, resume, rows } = await finishedHome(context, home => {
    withPhotosOnNfs(home)
    withVolumeInGit(home, { own: false })
    const text = readFileSync(home.file, 'utf8')
    writeFileSync(home.file, text.replace('cache: new', 'cache: new\n  photos/library: clone'))
  })
  class Killed extends Error {}
  const killed = {
    onPoint(point: string) {
      if (point.startsWith('after-effect finalize/delete')) throw new Killed()
    },
  }
  const api = connectApi({ kubeconfig: join(folder, 'kubeconfig') })
  try {
    const before = nas()
    const found = await rows()
    expect(found.filter(r => r[0] === 'share').map(r => r[1])).toEqual([uuid])
    const [snapshot] = found.filter(r => r[0] === 'snapshot of a share').map(r => r[1] ?? '')
    expect(snapshot).toMatch(new RegExp(`^${uuid}@GMT`))
    // By its name, as the driver finds what it mounts; the handle is another.
    const source = `//192.0.2.17/${before.shares?.find(s => s.uuid === uuid)?.name}`
    const leading = await api.writer.apply({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'by-hand' },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: 'synology-nfs',
        csi: { driver: 'csi.san.synology.com', volumeHandle: 'by-hand', volumeAttributes: { source } },
      },
    })
    const refused = await finalize({ chosen: [uuid], atOnce: true })
    expect(failuresOf({ result: refused, refused: undefined, events: [] })).toEqual({
      [`finalize/delete[${uuid}]`]: 'lun-in-use',
    })
    await api.writer.remove(
      { apiVersion: 'v1', kind: 'PersistentVolume', name: 'by-hand' },
      leading.metadata.uid ?? '',
    )
    for (const chosen of [snapshot ?? '', uuid]) {
      await finalize({ chosen: [chosen], atOnce: true }, killed).catch(() => undefined)
      const last = await resume()
      expect(failuresOf({ result: last, refused: undefined, events: [] })).toEqual({})
      expect(last.state).toBe('finished')
    }
    const others = ({ shares = [] }: NasState) => shares.filter(s => s.uuid !== uuid)
    expect(nas().shares).toEqual(others(before))
    expect(others(before)).toHaveLength(1)
    expect(nas().luns).toEqual(before.luns)
    expect((await rows()).filter(r => r[1]?.startsWith(uuid))).toEqual([])
  } finally {
    await api.close()
    await lab.order('down')
  }
})
