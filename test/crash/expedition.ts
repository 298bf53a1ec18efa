import { existsSync } from 'node:fs'
import { judge } from './judge.ts'
import { child, type End, isOfChange, Place, type Rehearsed } from './place.ts'
import type { ComparableWorld } from './world.ts'

/** A run that nothing broke off: every point that it met, and the world that it left. */
export interface Golden {
  what: Rehearsed | undefined
  points: string[]
  /** Those of them at which a crash leaves something behind that a crash at no other one does. */
  distinct: string[]
  /** The points in the middle of effects: around each request that changes something. */
  changes: string[]
  world: ComparableWorld
}

/** Rehearses once without a crash. Throws when that run itself is not well, since nothing can be compared with it. */
export async function rehearseWhole(what?: Rehearsed): Promise<Golden> {
  if (!existsSync(child)) throw new Error('the test needs the build: npm run setup')
  const place = new Place(what)
  try {
    const end = await place.live('rehearse')
    if (end !== 0) throw new Error(`the run without a crash ended with ${end}: ${place.complaints}`)
    const golden = {
      what,
      points: place.points,
      distinct: distinctOf(place),
      changes: place.met.filter(isOfChange),
      world: place.world,
    }
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
  const distinct = points.filter(point => /^after/.test(point) || point === 'before run-began')
  // A step whose effect is met and not its record would have gone unseen.
  const effects = (when: string) => points.filter(p => p.startsWith(`${when}-effect `)).length
  if (effects('before') !== effects('after')) throw new Error('an effect was begun and not ended')
  return distinct
}

/** What came of a run that was to die at some points: what is wrong with it, and which of them it did not meet. */
export interface Died {
  wrong: string[]
  unmet: string[]
}

/**
 * A fresh run that is killed at each of the points, resumed by a new process each time, and compared at its end. It does
 * not meet a point when steps that run side by side took a note less than the golden run, or were past it when the
 * process before was killed.
 */
export async function crash(
  golden: Golden,
  points: readonly string[],
  meanwhile?: (place: Place) => Promise<string[]>,
): Promise<Died> {
  const place = new Place(golden.what)
  const looked: string[] = []
  try {
    const { end, unmet } = await dieInTurn(points, {
      begin: ahead => place.live('rehearse', ahead),
      async goOn(ahead) {
        looked.push(...((await meanwhile?.(place)) ?? []))
        return place.goOn(ahead)
      },
      met: () => place.met,
    })
    const wrong =
      end === 0 ? judge(place, golden.world) : [`a process ended with ${end}: ${place.complaints}`]
    return { unmet, wrong: [...looked, ...wrong] }
  } finally {
    place.remove()
  }
}

/** The processes of one run, each of which dies at the first that it meets of the points still ahead; how the last ended. */
export async function dieInTurn(
  points: readonly string[],
  run: {
    begin(ahead: Iterable<string>): Promise<End>
    goOn(ahead: Iterable<string>): Promise<End>
    /** What all of them met, in order. */
    met(): string[]
  },
): Promise<{ end: End; unmet: string[] }> {
  const ahead = new Set(points)
  let end = await run.begin(ahead)
  // A process that something else has killed did not die at any of them.
  while (end === 'SIGKILL' && ahead.delete(run.met().at(-1) ?? '')) end = await run.goOn(ahead)
  return { end, unmet: [...ahead] }
}

/** In how many of its points one run dies at most, unless they are taken alone; 1 takes every point alone. */
const deathsOfOneRun = Number(process.env.RECOVER_DEATHS_OF_ONE_RUN ?? 8)

/**
 * Dies at every one of the points. Most of what a death costs is the way there and the way to the end, so one run dies at
 * several, far from each other, and is judged at its end. Nothing is hidden by that:
 *
 * - What a death leaves is on the disk and in the world; nothing else outlives SIGKILL. A process that goes on knows no
 *   more of the deaths before than of the steps before.
 * - A later process cannot quietly mend what an earlier one left wrong: a step with a checkpoint that is due again is
 *   journaled as `moved`, a step that fails as `failed`, and the judge reads the records of all processes.
 * - What a run did not meet, and every point of a run that ended wrong, is taken once more with a fresh run of its own.
 *
 * `alone` are points among them that get such a run from the beginning.
 */
export async function dieAtEach(
  points: readonly string[],
  atOnce: number,
  die: (points: readonly string[]) => Promise<Died>,
  alone: { points: readonly string[]; die: (points: readonly string[]) => Promise<Died> } = {
    points: [],
    die,
  },
): Promise<{ wrong: Record<string, string[]>; unmet: string[]; runs: number }> {
  const wrong: Record<string, string[]> = {}
  const unmet: string[] = []
  let runs = 0
  const take = async (those: readonly string[], dies = die) => {
    runs += 1
    const died = await dies(those)
    if (died.wrong.length > 0) wrong[those.join(', then ')] = died.wrong
    if (those.length === 1) unmet.push(...died.unmet)
    else for (const point of died.wrong.length > 0 ? those : died.unmet) await take([point])
  }
  const together = points.filter(point => !alone.points.includes(point))
  const groups: string[][] = Array.from({ length: Math.ceil(together.length / deathsOfOneRun) }, () => [])
  for (const [i, point] of together.entries()) groups[i % groups.length]?.push(point)
  await forEach(
    [...alone.points.map(point => () => take([point], alone.die)), ...groups.map(group => () => take(group))],
    atOnce,
    takes => takes(),
  )
  return { wrong, unmet, runs }
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
