import { existsSync } from 'node:fs'
import { judge } from './judge.ts'
import { child, Place, type Rehearsed } from './place.ts'
import type { ComparableWorld } from './world.ts'

/** A run that nothing broke off: every point that it met, and the world that it left. */
export interface Golden {
  what: Rehearsed | undefined
  points: string[]
  /** Those of them at which a crash leaves something behind that a crash at no other one does. */
  distinct: string[]
  world: ComparableWorld
}

/** Rehearses once without a crash. Throws when that run itself is not well, since nothing can be compared with it. */
export async function rehearseWhole(what?: Rehearsed): Promise<Golden> {
  if (!existsSync(child)) throw new Error('the test needs the build: npm run setup')
  const place = new Place(what)
  try {
    const end = await place.live('rehearse')
    if (end !== 0) throw new Error(`the run without a crash ended with ${end}: ${place.complaints}`)
    const golden = { what, points: place.points, distinct: distinctOf(place), world: place.world }
    const wrong = judge(place, golden.world)
    if (wrong.length > 0) throw new Error(`the run without a crash is wrong: ${wrong.join('; ')}`)
    return golden
  } finally {
    place.remove()
  }
}

/**
 * Only records and effects leave something behind; looking does not. Right before an effect all is as it was right after
 * the record of its intent, and right before a record as it was after the record or the effect before it: so it is
 * enough to die after each record, after each effect, and before there is any record.
 */
function distinctOf({ points }: Place): string[] {
  const distinct = points.filter(point => /^after/.test(point) || point === 'before record 1')
  // A step whose effect is met and not its record would have gone unseen.
  const effects = (when: string) => points.filter(p => p.startsWith(`${when}-effect `)).length
  if (effects('before') !== effects('after')) throw new Error('an effect was begun and not ended')
  return distinct
}

/**
 * A fresh run that is killed at a point, resumed by a new process, and compared. Says what is wrong; `unmet` when steps
 * that run side by side took a note less than the golden run and ended before that point.
 */
export async function crash(
  golden: Golden,
  point: string,
  meanwhile?: (place: Place) => Promise<string[]>,
): Promise<{ unmet: boolean; wrong: string[] }> {
  const place = new Place(golden.what)
  try {
    const end = await place.live('rehearse', point)
    if (end === 0) return { unmet: true, wrong: judge(place, golden.world) }
    if (end !== 'SIGKILL')
      return { unmet: false, wrong: [`the first process ended with ${end}: ${place.complaints}`] }
    const looked = (await meanwhile?.(place)) ?? []
    const last = await place.toTheEnd()
    const wrong =
      last === 0
        ? judge(place, golden.world)
        : [`the process that resumed ended with ${last}: ${place.complaints}`]
    return { unmet: false, wrong: [...looked, ...wrong] }
  } finally {
    place.remove()
  }
}

/** Does something with each thing, a few at a time. */
export async function forEach<T>(
  things: readonly T[],
  atOnce: number,
  action: (thing: T) => Promise<void>,
): Promise<void> {
  const queue = [...things]
  const worker = async () => {
    for (let thing = queue.shift(); thing !== undefined; thing = queue.shift()) await action(thing)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
