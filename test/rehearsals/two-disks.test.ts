import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planRun } from '../../runbooks/plan-run.ts'
import { whereaboutsOf } from '../../runbooks/rehearse.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { World } from '../../src/lab/world.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'
import { homeOf, labHere, rehearseAt, yes } from '../recovery/home.ts'

test('a new run after one that died with a copy made says which disk is which, and how it goes on', async context => {
  const home = homeOf(context)
  const stop = new AbortController()
  const { result } = await rehearseAt(home, {
    consent: async () => yes,
    stop: stop.signal,
    sink(event) {
      if (event.code === 'step-done' && event.step === 'volumes/copy[grafana/data]') stop.abort()
    },
  })
  expect(result?.state).toBe('stopped')
  const dir = join(openRunFolder(stateFolder()).path, 'lab')
  const lab = await labHere(dir)
  const planned = async () => {
    const cluster = loadCluster(home.file)
    const plan = await planRun(cluster, whereaboutsOf(lab, cluster), new AbortController().signal)
    return plan.entries.find(e => e.step === 'evidence/map-volumes')
  }
  const old = World.open(dir).blueprint.nas.luns.find(l => l.claim === 'grafana/data')!.uuid
  expect(await planned()).toMatchObject({
    state: 'blocked',
    fault: {
      code: 'volume-map-contradiction',
      message: expect.stringMatching(
        new RegExp(
          `^grafana/data is .*${old} \\(\\S+\\) according to nas, which run ${result?.run} took for the source`,
        ),
      ),
      remedy: expect.stringMatching(
        new RegExp(`\`recover resume ${result?.run}\` goes on.*luns: \\{ grafana/data: UUID \\}`),
      ),
    },
  })
  appendFileSync(home.file, `luns: { grafana/data: ${old} }\n`)
  // The machines that knew the others are wiped: what the first run kept of them is the second source.
  expect(await planned()).toMatchObject({
    state: 'blocked',
    fault: {
      code: 'volume-one-source',
      message: expect.stringMatching(
        /miniflux\/data-postgres-0: only nas says.*photos\/library: only nas says/,
      ),
      remedy: expect.stringMatching(/luns: \{ miniflux\/data-postgres-0: \S+, photos\/library: \S+ \}/),
    },
  })
  const kept = join(openRunFolder(stateFolder()).path, 'evidence/hydrogen/var/lib/k0s/kubelet')
  appendFileSync(home.file, `evidence: ['kubelet:${kept}']\n`)
  expect(await planned()).toMatchObject({ state: 'done' })
  await lab.order('down')
})
