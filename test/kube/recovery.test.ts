import { expect, test } from 'vitest'
import { describeKube } from './harness/describe-kube.ts'
import { type End, endOf } from './harness/end.ts'
import { recordsOfRun } from './harness/records.ts'
import { type Death, type Lived, live, type RealHome, startHome } from './harness/recovery.ts'

const parts = ['kustomize', 'argocd', 'cilium'] as const

/** What there is to say of a recovery that is over. */
interface Told {
  end: End
  last: Lived
  /** Each once, in the order in which they were first written. */
  records: string[]
  stumbles: string[]
}

async function toldBy(home: RealHome, last: Lived): Promise<Told> {
  const records = [...new Set(recordsOfRun(home.state))].filter(record => record !== '')
  return { end: await endOf(home), last, records, stumbles: home.operators.stumbles }
}

/** A recovery in as many processes as it has records and effects: each is killed as soon as it has come one further. */
async function inPieces(): Promise<Told & { deaths: Death[] }> {
  const home = await startHome()
  try {
    const deaths: Death[] = []
    let lived = await live(home, 'begin', { death: 'first' })
    while (lived.end === 'SIGKILL') {
      deaths.push(lived.death!)
      const last = deaths.slice(-10).map(d => d.point)
      if (deaths.length > 400) throw new Error(`it does not come further: ${last.join(', ')}`)
      lived = await live(home, 'resume', { death: 'first' })
    }
    return { ...(await toldBy(home, lived)), deaths }
  } finally {
    await home.close()
  }
}

async function atOnce(): Promise<Told> {
  const home = await startHome()
  try {
    return await toldBy(home, await live(home, 'begin'))
  } finally {
    await home.close()
  }
}

describeKube(
  'a recovery on a real control plane',
  { parts: [...parts], programs: ['git', 'helm', 'redis-server'] },
  () => {
    test('ends with healthy applications on bound claims, and ends the same when it is killed at every record', {
      timeout: 40 * 60_000,
    }, async () => {
      const [whole, pieces] = await Promise.all([atOnce(), inPieces()])
      expect(whole.last.faults).toEqual([])
      expect(whole.last.end).toBe(0)
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
      // No record of these phases was written at which the process did not die, and no effect made.
      const diedAt = new Set(pieces.deaths.flatMap(d => d.records))
      expect(pieces.records.filter(record => !diedAt.has(record))).toEqual([])
      const of = (records: string[], kind: string) => records.filter(r => r.startsWith(`${kind} `)).sort()
      for (const kind of ['fan-out', 'checkpoint'])
        expect(of(pieces.records, kind)).toEqual(of(whole.records, kind))
      // What only waits may find that it need not, after so many deaths; everything else was begun in both.
      const begun = of(whole.records, 'intent').filter(
        record => !record.startsWith('intent applications/settle'),
      )
      expect(of(pieces.records, 'intent')).toEqual(expect.arrayContaining(begun))
      const effects = pieces.deaths.filter(d => d.point.startsWith('after-effect'))
      process.stdout.write(
        `a real control plane: killed ${pieces.deaths.length} times, at each of ${pieces.records.length} records and after ${effects.length} effects; an unbroken run has ${whole.records.length}\n`,
      )
      expect(pieces.deaths.length).toBeGreaterThan(40)
    })
  },
)
