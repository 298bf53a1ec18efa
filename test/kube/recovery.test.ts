import { expect, test } from 'vitest'
import { describeKube } from './harness/describe-kube.ts'
import { type End, endOf } from './harness/end.ts'
import { type Lived, live, startHome } from './harness/recovery.ts'

const parts = ['kustomize', 'argocd', 'cilium'] as const

/** A recovery in as many processes as it has records and effects: each is killed as soon as it has come one further. */
async function inPieces(): Promise<{ end: End; deaths: string[]; last: Lived; stumbles: string[] }> {
  const home = await startHome()
  try {
    const deaths: string[] = []
    let lived = await live(home, 'begin', { death: 'first' })
    while (lived.end === 'SIGKILL') {
      deaths.push(lived.death ?? 'nowhere')
      if (deaths.length > 400) throw new Error(`it does not come further: ${deaths.slice(-10).join(', ')}`)
      lived = await live(home, 'resume', { death: 'first' })
    }
    return { end: await endOf(home), deaths, last: lived, stumbles: home.operators.stumbles }
  } finally {
    await home.close()
  }
}

async function atOnce(): Promise<{ end: End; lived: Lived; stumbles: string[] }> {
  const home = await startHome()
  try {
    const lived = await live(home, 'begin')
    return { end: await endOf(home), lived, stumbles: home.operators.stumbles }
  } finally {
    await home.close()
  }
}

describeKube(
  'a recovery on a real control plane',
  { parts: [...parts], programs: ['git', 'helm', 'redis-server'] },
  () => {
    test('ends with healthy applications on bound claims, and ends the same when it is killed at every record', {
      timeout: 15 * 60_000,
    }, async () => {
      const [whole, pieces] = await Promise.all([atOnce(), inPieces()])
      expect(whole.lived.faults).toEqual([])
      expect(whole.lived.end).toBe(0)
      expect(whole.stumbles).toEqual([])
      const names = ['grafana', 'miniflux', 'photos', 'root', 'scratch', 'synology-csi']
      expect(whole.end.applications).toEqual(Object.fromEntries(names.map(name => [name, 'Synced, Healthy'])))
      expect(whole.end.claims).toEqual(
        Object.fromEntries(
          ['grafana/data', 'miniflux/data-postgres-0', 'photos/library', 'scratch/cache'].map(c => [
            c,
            'Bound',
          ]),
        ),
      )

      expect(pieces.last.faults).toEqual([])
      expect(pieces.last.end).toBe(0)
      expect(pieces.end).toEqual(whole.end)
      // Dozens of processes took part, each of which came one effect or one record further.
      expect(pieces.deaths.length).toBeGreaterThan(40)
    })
  },
)
