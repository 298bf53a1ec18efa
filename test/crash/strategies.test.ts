import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { NasState } from '../../src/lab/nas/store.ts'
import { World } from '../../src/lab/world.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'
import { damageOf, failuresOf, type Home, homeOf, rehearseAt } from '../recovery/home.ts'

/** Says for every claim of the home that has a disk how it comes back. */
function byStrategy(home: Home, strategy: string): void {
  const text = readFileSync(home.file, 'utf8')
  writeFileSync(
    home.file,
    text
      .replace('default: adopt', `default: ${strategy}`)
      .replace('grafana/data: copy', `grafana/data: ${strategy}`),
  )
}

const claims = ['grafana/data', 'miniflux/data-postgres-0', 'photos/library']

// LUNs, targets and targets that are on at the end; a clone that a run measured from is never among them.
test.for([
  { strategy: 'adopt', luns: 4, on: 4, held: [] },
  { strategy: 'clone', luns: 7, on: 4, held: claims },
  { strategy: 'copy', luns: 7, on: 4, held: claims },
])(
  'all volumes come back by $strategy, with no LUN left over',
  async ({ strategy, luns, on, held }, context) => {
    const home = homeOf(context)
    byStrategy(home, strategy)
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
