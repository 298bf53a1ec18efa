import { join } from 'node:path'
import { expect, test } from 'vitest'
import { finalizeVolumes } from '../../runbooks/finalize-volumes.ts'
import type { Asked } from '../../runbooks/kit.ts'
import { planRun } from '../../runbooks/plan-run.ts'
import { whereaboutsOf } from '../../runbooks/rehearse.ts'
import { beginRun, resumeRun, type SessionOptions } from '../../runbooks/session.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { measureFolder } from '../../src/lab/kubernetes/controllers/job-programs.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import { World } from '../../src/lab/world.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'
import { failuresOf, homeOf, labHere, rehearseAt, yes } from '../recovery/home.ts'

const never = new AbortController().signal

test('what a finished run left behind is listed, and only what is named and agreed to is deleted', async context => {
  const home = homeOf(context)
  const first = await rehearseAt(home)
  expect(failuresOf(first)).toEqual({})
  const dir = join(openRunFolder(stateFolder()).path, 'lab')
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
  const finalize = (asked: Asked, change: Partial<SessionOptions> = {}) =>
    beginRun(home.file, reach, 'rehearsal', { ...session, ...change, book: finalizeVolumes.id, asked })

  try {
    const cluster = loadCluster(home.file)
    const plan = await planRun(cluster, whereaboutsOf(lab, cluster), never, finalizeVolumes, undefined, {
      mode: 'rehearsal',
    })
    const old = World.open(dir).blueprint.nas.luns.find(l => l.claim === 'grafana/data')!
    const listed = plan.entries.find(e => e.step === 'finalize/list-old')
    const rows = listed?.state === 'done' ? (listed.table?.rows ?? []) : []
    expect(rows.filter(r => r[0] === 'lun').map(r => r[1])).toEqual([old.uuid])
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

    // Broken off right after the LUN was deleted, before anybody knew.
    class Killed extends Error {}
    const broken = finalize(
      { chosen: [old.uuid], atOnce: true },
      {
        onPoint(point) {
          if (point.startsWith('after-effect finalize/delete')) throw new Killed()
        },
      },
    )
    await broken.catch(() => undefined)
    expect(nas().luns.map(l => l.uuid)).not.toContain(old.uuid)
    const last = await resumeRun(undefined, () => reach, { ...session, accept: [], redo: [] })
    expect(last.state).toBe('finished')
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
