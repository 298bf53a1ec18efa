import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { NasState } from '../../src/lab/nas/state.ts'
import { World } from '../../src/lab/world.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'
import { connectBy } from '../lab/kubernetes/cluster.ts'
import { damageOf, failuresOf, homeOf, rehearseAt } from '../recovery/home.ts'
import { withPhotosOnNfs, withVolumeInGit } from '../recovery/nfs-home.ts'
import { changesToDieAt, everyChange } from './changes-to-die-at.ts'
import { crash, dieAtEach, rehearseWhole } from './expedition.ts'
import type { Place } from './place.ts'
import { byStrategy, claims } from './strategy-home.ts'

// LUNs, targets and targets that are on at the end; a clone that a run measured from is never among them.
test.for([
  { strategy: 'adopt', luns: 4, on: 4, held: [] },
  { strategy: 'clone', luns: 7, on: 4, held: claims },
  { strategy: 'copy', luns: 7, on: 4, held: claims },
  { strategy: 'host-copy', luns: 7, on: 4, held: claims },
  // What is restored has nothing to do with the old disks: they stay as they are, whatever ails them.
  { strategy: 'restore', luns: 7, on: 7, held: claims },
])(
  'all volumes come back by $strategy, with no LUN left over',
  async ({ strategy, luns, on, held }, context) => {
    const home = homeOf(context)
    writeFileSync(home.file, byStrategy(readFileSync(home.file, 'utf8'), strategy))
    const run = await rehearseAt(home)
    expect(failuresOf(run)).toEqual({})
    expect(run.result?.state).toBe('finished')
    expect(damageOf(home, held)).toEqual([])
    const nas = World.open(join(openRunFolder(stateFolder()).path, 'lab')).read<NasState>('nas')!
    expect(nas.luns).toHaveLength(luns)
    expect(nas.targets.filter(t => t.enabled)).toHaveLength(on)
    expect(nas.targets).toHaveLength(luns)
    expect(nas.luns.filter(l => l.name.startsWith('k8s-csi-recover-'))).toEqual([])
    // No target leads to two LUNs, no LUN has two targets.
    expect(new Set(nas.targets.flatMap(t => t.mappings.map(m => m.lun))).size).toBe(luns)
  },
)

test('a class that makes disks only for pods that are there gets its pod', async context => {
  const home = homeOf(context)
  writeFileSync(home.file, byStrategy(readFileSync(home.file, 'utf8'), 'copy'))
  const storageClass = join(home.file, '../applications/synology-csi/storage-class.yaml')
  writeFileSync(
    storageClass,
    `${readFileSync(storageClass, 'utf8')}volumeBindingMode: WaitForFirstConsumer\n`,
  )
  const run = await rehearseAt(home)
  expect(failuresOf(run)).toEqual({})
  expect(damageOf(home, claims)).toEqual([])
})

/** Strategies whose files a Job of the cluster writes, in the id of a step. */
const byJob = /\/(?:copy|restore)\[/

/** Deletes the one Job of a namespace whose name begins so, with its pod; says what is wrong otherwise. */
async function sweepJob(place: Place, namespace: string, prefix: string): Promise<string[]> {
  const { api, ask, close } = connectBy(join(place.run.path, 'kubeconfig'))
  const jobs = await api.reader.list({ apiVersion: 'batch/v1', kind: 'Job', namespace })
  const names = jobs.map(j => j.metadata.name ?? '').filter(name => name.startsWith(prefix))
  for (const name of names)
    await ask('DELETE', `/apis/batch/v1/namespaces/${namespace}/jobs/${name}?propagationPolicy=Background`)
  const left = await api.reader.list({ apiVersion: 'batch/v1', kind: 'Job', namespace })
  await close()
  return names.length === 1 && !left.some(j => names.includes(j.metadata.name ?? ''))
    ? []
    : [`of the Jobs ${prefix} there were ${names.length}, and ${left.length} of all are left`]
}

// `own`: steps that only this strategy has, and at how many of their requests at least; all others are taken from scratch.
test.for([
  { strategy: 'clone', effects: 18, own: /^volumes\/clone/, least: 5 },
  { strategy: 'copy', effects: 18, own: /^$/, least: 0 },
  // The copying on a host besides.
  { strategy: 'host-copy', effects: 21, own: /^volumes\/(?:copy-on-host|host-copy)/, least: 15 },
  // The restoring and its Job's end, of three volumes.
  { strategy: 'restore', effects: 6, own: /^volumes\/(?:drop-)?restore/, least: 3 },
])(
  'killed in the middle and right after each change for the sake of a volume, they come back by $strategy all the same',
  async ({ strategy, effects, own, least }, context) => {
    const { file } = homeOf(context)
    writeFileSync(file, byStrategy(readFileSync(file, 'utf8'), strategy))
    const golden = await rehearseWhole({ home: join(file, '..') })
    const ends = golden.points.filter(
      p => /^after-effect (?:protect|volumes)\//.test(p) && !p.includes('let-through'),
    )
    // Snapshot, fence, measuring, the way back, the proof and the clone's end, of three volumes.
    expect(ends).toHaveLength(effects)
    const inside = changesToDieAt(golden.changes, everyChange ? /^(?:volumes|protect)\// : own)
    expect(inside.length).toBeGreaterThanOrEqual(least)
    const points = [...ends, ...inside]
    // Whose Job is gone before anybody has seen what it proved.
    const swept = ends.filter(p => p === `after-effect volumes/${strategy}[photos/library]` && byJob.test(p))
    expect(swept).toHaveLength(byJob.test(`/${strategy}[`) ? 1 : 0)
    const { wrong, unmet, runs } = await dieAtEach(points, 3, those => crash(golden, those), {
      points: swept,
      die: those => crash(golden, those, place => sweepJob(place, 'photos', `recover-${strategy}-`)),
    })
    process.stdout.write(
      `${strategy}: killed with SIGKILL at ${points.length - unmet.length} points and resumed, in ${runs} runs\n`,
    )
    expect({ wrong, unmet }).toEqual({ wrong: {}, unmet: [] })
  },
)

test('killed in the middle and right after each change for the sake of a claim on a share, it comes back as a clone all the same', async context => {
  const home = homeOf(context)
  withPhotosOnNfs(home)
  withVolumeInGit(home, { own: false })
  writeFileSync(
    home.file,
    readFileSync(home.file, 'utf8').replace('cache: new', 'cache: new\n  photos/library: clone'),
  )
  const golden = await rehearseWhole({ home: join(home.file, '..') })
  const ends = golden.points.filter(p => /^after-effect .*photos\/library/.test(p))
  // Snapshot, rules, measuring, the clone, the proof and the measured clone's end.
  expect(ends).toHaveLength(6)
  const inside = changesToDieAt(golden.changes, /photos\/library/)
  expect(inside.length).toBeGreaterThan(8)
  const points = [...ends, ...inside]
  const { wrong, unmet } = await dieAtEach(points, 3, those => crash(golden, those))
  expect({ wrong, unmet }).toEqual({ wrong: {}, unmet: [] })
})
