import type { RunEvent } from '../../src/runbook/events.ts'
import type { JournalRecord } from '../../src/runbook/replay.ts'
import type { Place } from './place.ts'
import type { ComparableWorld } from './world.ts'

const install = 'hosts/install-flatcar'

/**
 * What is wrong with a run that was broken off and resumed, compared with one that never was. Empty: nothing.
 * With `mayFail` steps may have failed on the way, because the world itself went away under them.
 */
export function judge(place: Place, goal: ComparableWorld, { mayFail = false } = {}): string[] {
  const { world, records, events } = place
  return [
    ...differences('hosts', world.hosts, goal.hosts),
    ...differences('nas', world.nas, goal.nas),
    ...differences('kubernetes', world.kubernetes, goal.kubernetes),
    ...world.unwell.map(name => `${name} is not Synced and Healthy`),
    ...judgeWrites(world, records, events),
    ...judgeJournal(mayFail ? records.filter(r => r.kind !== 'failed') : records, events),
  ]
}

/** A disk is written once; once more for each attempt that was announced and never seen to finish, if that was told. */
function judgeWrites(world: ComparableWorld, records: JournalRecord[], events: RunEvent[]): string[] {
  return Object.entries(world.writes).flatMap(([host, writes]) => {
    const step = `${install}[${host}]`
    const intents = records.filter(r => r.kind === 'intent' && r.step === step).length
    const told = events.filter(e => e.code === 'step-repeating' && e.step === step).length
    return writes >= 1 && writes <= Math.min(intents, told + 1)
      ? []
      : [`the disk of ${host} was written ${writes} times (${intents} intents)`]
  })
}

/** What the records of all processes of a run say that must not be; `events` are what they told meanwhile. */
export function judgeJournal(records: JournalRecord[], events: RunEvent[]): string[] {
  const wrong: string[] = []
  const begun = new Set<string>()
  const over = new Set<string>()
  for (const record of records)
    switch (record.kind) {
      case 'intent':
        if (over.has(record.step)) wrong.push(`${record.step} was begun again after its checkpoint`)
        if (begun.has(record.step) && !told(events, record.step))
          wrong.push(`${record.step} was begun again, and nobody was told`)
        begun.add(record.step)
        break
      case 'checkpoint':
        if (record.how === 'applied') over.add(record.step)
        break
      case 'failed':
        wrong.push(`${record.step} failed: ${record.fault.message}`)
        break
      case 'moved':
        wrong.push(`${record.step} was taken to have moved: ${record.because}`)
        break
      case 'torn-tail':
        wrong.push('a record was torn although every record is one write')
        break
    }
  const last = records.at(-1)
  if (last?.kind !== 'ended' || last.state !== 'finished') wrong.push(`the journal ends with ${last?.kind}`)
  return wrong
}

function told(events: RunEvent[], step: string): boolean {
  return events.some(e => (e.code === 'step-repeating' || e.code === 'step-retrying') && e.step === step)
}

/** The leaves in which two values differ, by their paths. */
function differences(path: string, found: unknown, wanted: unknown): string[] {
  if (isObject(found) && isObject(wanted))
    return [...new Set([...Object.keys(found), ...Object.keys(wanted)])].flatMap(key =>
      differences(`${path} › ${key}`, found[key], wanted[key]),
    )
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
  return a === b ? [] : [`${path}: is ${a}, should be ${b}`]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
