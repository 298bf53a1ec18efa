import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { Fault, type FaultJson } from '../runbook/fault.ts'
import { claims, type JournalRecord, parseJournal, type Replay } from '../runbook/replay.ts'
import type { RunFolder } from '../runbook/run-folder.ts'

/** What a report needs of a saved plan; the rest of the file may change without harm. */
const savedPlan = z.object({
  phases: z.array(z.object({ id: z.string(), title: z.string() })),
  entries: z.array(
    z.object({ step: z.string(), phase: z.string(), title: z.string(), needs: z.array(z.string()) }),
  ),
})

/** The plan that was made before a run began: its titles, and what was to come. */
export type SavedPlan = z.infer<typeof savedPlan>

/** Where a journal stopped being one. */
export interface Damage {
  /** Line of the journal, counted from 1. */
  line: number
  /** Lines from there on, that one included: none of them is believed. */
  linesLost: number
  fault: FaultJson
}

/** What a run left behind, as far as it can be read. */
export interface RunRecords {
  run: string
  folder: string
  /** Everything before the damage, if there is any. */
  records: JournalRecord[]
  /** Bytes after the last whole line: normal after a crash, and while a record is being written. */
  tornBytes: number
  damage?: Damage
  plan?: SavedPlan
  /** Why there are no titles from the plan although there is a file of it. */
  planProblem?: string
}

/**
 * Reads a run's journal and plan. Damage to either is part of the answer: what lies before it still tells most of the
 * story, and that is when a person needs it. Throws Fault `journal-missing` when there is nothing to read.
 */
export function readRun(folder: RunFolder): RunRecords {
  let bytes: Buffer
  try {
    bytes = readFileSync(folder.journal)
  } catch (cause) {
    throw new Fault({
      code: 'journal-missing',
      blame: 'operator',
      message: `there is no journal to read at ${folder.journal}`,
      remedy: 'Run `recover runs` to see which runs there are',
      cause,
    })
  }
  const { damage, ...replay } = readUntilDamage(bytes, folder.journal)
  return {
    run: folder.run,
    folder: folder.path,
    records: replay.records,
    tornBytes: replay.torn?.bytes.length ?? 0,
    ...(damage ? { damage } : {}),
    ...readPlan(join(folder.path, 'plan.json')),
  }
}

function readUntilDamage(bytes: Buffer, path: string): Replay & { damage?: Damage } {
  try {
    const replay = parseJournal(bytes, path)
    claims(replay, path)
    return replay
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.code !== 'journal-damaged') throw thrown
    const line = Number(thrown.at?.slice(thrown.at.lastIndexOf(':') + 1))
    let before = 0
    for (let n = 1; n < line; n += 1) before = bytes.indexOf(10, before) + 1
    const lost = bytes.subarray(before)
    const linesLost = lost.filter(b => b === 10).length + (lost.at(-1) === 10 || lost.length === 0 ? 0 : 1)
    return {
      ...parseJournal(bytes.subarray(0, before), path),
      damage: { line, linesLost, fault: thrown.toJSON() },
    }
  }
}

function readPlan(path: string): { plan?: SavedPlan; planProblem?: string } {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    return { planProblem: `${path} cannot be read (${(error as Error).message})` }
  }
  try {
    return { plan: savedPlan.parse(JSON.parse(text)) }
  } catch {
    return { planProblem: `${path} is not a plan of this program` }
  }
}
