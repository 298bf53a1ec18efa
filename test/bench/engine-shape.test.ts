import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { fromScratch } from '../../runbooks/from-scratch.ts'
import { lookAtClaims } from '../../runbooks/sync/look-at-claims.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { makePlan } from '../../src/runbook/make-plan.ts'
import { phase, runbook } from '../../src/runbook/runbook.ts'
import { type AnyStep, blocked, done, due, kit } from '../../src/runbook/step.ts'
import { runPart, scratch } from '../runbook/harness.ts'
import { madeUp, Reader, Writer } from './made-up-steps.ts'
import { homeOf } from './volume-home.ts'

// What the measurements rest on, as far as it can be seen without a clock.

const never = new AbortController().signal

function world() {
  const made = new Set<number>()
  return { made, readers: { world: new Reader(made) }, writers: { world: new Writer(made) } }
}

test('a checkpoint and the intent that follows it share one flush, and no effect comes before its intent', async () => {
  const { readers, writers } = world()
  const points: string[] = []
  const { state } = await runPart(
    join(scratch('flush'), 'journal.ndjson'),
    madeUp({ needs: [[], [0], [1]] }),
    readers,
    writers,
    {
      journalOptions: { onPoint: (point, { seq }) => points.push(`${point} ${seq}`) },
      onPoint: (point, step) => points.push(`${point} ${step}`),
    },
  )
  expect(state).toBe('finished')
  // 1 begins; 2 and 3 are the first step's intent and checkpoint, 4 and 5 the second's, 6 and 7 the third's; 8 ends.
  expect(points).toEqual([
    'before 1',
    'after 1',
    'before 2',
    'after 2',
    'before-effect all/step-0',
    'after-effect all/step-0',
    'before 3',
    'before 4',
    'after 3',
    'after 4',
    'before-effect all/step-1',
    'after-effect all/step-1',
    'before 5',
    'before 6',
    'after 5',
    'after 6',
    'before-effect all/step-2',
    'after-effect all/step-2',
    'before 7',
    'after 7',
    'before 8',
    'after 8',
  ])
})

test('a bounded resource is never held by more than its bound, and nobody who waits for it is forgotten', async () => {
  let holders = 0
  let most = 0
  const { made, readers } = world()
  class Counting extends Writer {
    override async make(step: number): Promise<void> {
      holders += 1
      most = Math.max(most, holders)
      await super.make(step, 1)
      holders -= 1
    }
  }
  const { state } = await runPart(
    join(scratch('bound'), 'journal.ndjson'),
    madeUp({ needs: Array.from({ length: 40 }, () => []), uses: 'place' }),
    readers,
    { world: new Counting(made) },
    { limits: { place: 7 } },
  )
  expect(state).toBe('finished')
  expect(most).toBe(7)
})

test('fifty steps at once that all wait are no leak of listeners', async () => {
  const warnings: string[] = []
  const onWarning = (warning: Error) => warnings.push(warning.message)
  process.on('warning', onWarning)
  const { step } = kit<object, object>()
  const ready = new Set<number>()
  const steps = Array.from({ length: 50 }, (_, i) =>
    step({
      id: `all/wait-${i}`,
      title: `Wait ${i}`,
      danger: 'changes',
      bounds: { expected: '1s', limit: '1m' },
      output: z.strictObject({}),
      observe: async () => (ready.has(i) ? done({}, 'it came') : due('wait')),
      async apply({ wait }) {
        let looks = 0
        await wait('it to come', async () => ((looks += 1) > 2 ? ready.add(i) : undefined))
      },
    }),
  )
  const book = runbook('waits', 'Waits', [phase('all', 'All', steps)])
  const { state } = await runPart(join(scratch('listeners'), 'journal.ndjson'), book, {}, {})
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', onWarning)
  expect(state).toBe('finished')
  expect(warnings).toEqual([])
})

test('the time that a person takes to answer does not count against a step, and its effect is bounded all the same', async () => {
  const { step } = kit<object, object>()
  let wiped = false
  const wipe = (ms: number, limit: '1s' | '100ms') =>
    step({
      id: 'all/wipe',
      title: 'Wipe',
      danger: 'destroys',
      bounds: { expected: '10ms', limit },
      output: z.strictObject({}),
      observe: async () => (wiped ? done({}, 'it is empty') : due('wipe it')),
      victims: async () => [{ kind: 'disk', name: 'one', identity: { serial: '1' }, content: [] }],
      async apply() {
        await new Promise(resolve => setTimeout(resolve, ms))
        wiped = true
      },
    })
  const slowly = async () => {
    await new Promise(resolve => setTimeout(resolve, 1_200))
    return { by: 'tester', how: 'typed' as const }
  }
  const part = (ms: number, limit: '1s' | '100ms') =>
    runPart(
      join(scratch('slow-person'), 'journal.ndjson'),
      runbook('wipes', 'Wipes', [phase('all', 'All', [wipe(ms, limit)])]),
      {},
      {},
      { consent: slowly },
    )
  expect((await part(0, '1s')).state).toBe('finished')
  wiped = false
  const tooLong = await part(400, '100ms')
  expect(tooLong.failures.map(f => f.fault.code)).toEqual(['step-timed-out'])
})

test('a plan names what must come first even where the graph has more ways through it than could be walked', async () => {
  const { step } = kit<object, object>()
  const common = { bounds: { expected: '1s', limit: '1m' }, output: z.strictObject({}) } as const
  const make = (id: string, needs: AnyStep[], observation: () => ReturnType<typeof due>) =>
    step({
      ...common,
      id,
      title: id,
      danger: 'changes',
      needs,
      observe: async () => observation(),
      async apply() {},
    })
  const first = make('all/first', [], () => due('begin'))
  const steps: AnyStep[] = [first]
  let layer: AnyStep[] = [first]
  for (let i = 0; i < 60; i += 1) {
    layer = ['a', 'b'].map(side => make(`all/${side}${i}`, layer, () => done({}, 'done') as never))
    steps.push(...layer)
  }
  steps.push(make('all/last', layer, () => blocked('in-the-way', 'something is in the way', 'Mend it')))
  const plan = await makePlan({
    runbook: runbook('ladder', 'Ladder', [phase('all', 'All', steps)]),
    readers: {},
    now: never,
  })
  expect(plan.entries.at(-1)).toMatchObject({ step: 'all/last', state: 'unknown', until: 'all/first' })
})

/** Counts what is read of some lists. */
function counter() {
  let read = 0
  const counted = <T>(list: T[]) =>
    new Proxy(list, {
      get(of, key, self) {
        if (typeof key === 'string' && /^\d+$/.test(key)) read += 1
        return Reflect.get(of, key, self) as unknown
      },
    })
  return { counted, read: () => read }
}

test('of twice as many volumes a plan reads twice as much of every list, and no more', async () => {
  const readFor = async (count: number) => {
    const { counted, read } = counter()
    const readers = homeOf(count, scratch('volumes'), counted)
    const { entries } = await makePlan({ runbook: fromScratch, readers, now: never })
    expect(entries.filter(e => e.step.startsWith('volumes/adopt[') && e.state === 'due')).toHaveLength(count)
    return read()
  }
  const few = await readFor(50)
  expect(few).toBeGreaterThan(4 * 50)
  expect(await readFor(100)).toBeLessThan(2.2 * few)
})

test('of twice as many claims in a living cluster twice as much of every list is read, too', async () => {
  const readFor = async (count: number) => {
    const { counted, read } = counter()
    const { cluster, ...readers } = homeOf(count, scratch('claims'), counted)
    const { claims, volumes } = cluster.inventory
    const object = (kind: string, name: string, rest: object): KubernetesObject => ({
      apiVersion: 'v1',
      kind,
      metadata: { namespace: 'home', name },
      ...rest,
    })
    const lists: Record<string, KubernetesObject[]> = {
      PersistentVolume: volumes.map(v =>
        object('PersistentVolume', v.name, { spec: { csi: { driver: v.driver, volumeHandle: v.handle } } }),
      ),
      PersistentVolumeClaim: claims.map((c, i) =>
        object('PersistentVolumeClaim', c.name, {
          spec: { volumeName: volumes[i]?.name, storageClassName: 'another', accessModes: c.accessModes },
          status: { phase: 'Bound', capacity: { storage: '1Gi' } },
        }),
      ),
      Deployment: claims.map(c =>
        object('Deployment', c.name, {
          spec: { template: { spec: { volumes: [{ persistentVolumeClaim: { claimName: c.name } }] } } },
        }),
      ),
    }
    const found = await lookAtClaims.observe({
      ...readers,
      cluster: { ...cluster, strategy: () => 'copy' },
      kubernetes: {
        get: async () => undefined,
        list: async ({ kind }: { kind: string }) => counted(lists[kind] ?? []),
      },
      asked: { chosen: [] },
      output: () => ({ clusterUid: '' }),
    })
    expect(found).toMatchObject({ state: 'done', output: { volumes: { length: count } } })
    return read()
  }
  const few = await readFor(50)
  expect(few).toBeGreaterThan(4 * 50)
  expect(await readFor(100)).toBeLessThan(2.2 * few)
})
