import { readFileSync } from 'node:fs'
import type { DoneHow, RunState } from './events.ts'
import { Fault, type FaultJson } from './fault.ts'
import { chain } from './journal.ts'
import type { Victim, Warning } from './step.ts'

/** What a record says, by kind. Nothing here may hold a secret. */
export type RecordBody =
  | {
      kind: 'run-began'
      run: string
      runbook: string
      runbookHash: string
      /** Phases that the run is about, when not about all of them. */
      only?: string[]
      /** What the person named when they began it. */
      asked?: { chosen: string[]; atOnce: boolean; kubeconfig?: string; context?: string }
      stepHashes: Record<string, string>
      /** Hash over the cluster file and every file that it names. */
      inputHash: string
      /** Where the input was read, so that `resume` finds it again. */
      input: string
      program: string
      by: string
      mode: string
    }
  | {
      kind: 'resumed'
      by: string
      program: string
      runbookHash: string
      inputHash: string
      accepted: string[]
    }
  | { kind: 'torn-tail'; bytes: number }
  | { kind: 'fan-out'; name: string; subjects: { key: string; subject: unknown }[] }
  | { kind: 'consent'; victims: Victim[]; by: string; how: 'typed' | 'plan' | 'rehearsed'; plan?: string }
  /** Durable before the effect that it announces. */
  | { kind: 'intent'; step: string; attempt: number; changes: string[]; victims?: Victim[] }
  /** Durable after the result was observed. */
  | {
      kind: 'checkpoint'
      step: string
      how: DoneHow
      output: unknown
      evidence: string
      tookMs: number
      warnings?: Warning[]
    }
  | { kind: 'failed'; step: string; fault: FaultJson; tookMs: number }
  | { kind: 'moved'; step: string; because: string }
  | { kind: 'note'; step: string; text: string }
  | { kind: 'ended'; state: RunState; failed: string[]; left: number; tookMs: number }

/** One line of the journal. `at` is for people; nothing depends on the machine's clock. */
export type JournalRecord = RecordBody & { seq: number; at: string; hash: string }

/** A journal read back. */
export interface Replay {
  records: JournalRecord[]
  /** The bytes after the last whole line, normal after a crash. */
  torn?: { offset: number; bytes: Buffer }
}

/** Reads and checks a journal: sequence, hash chain, whole lines. Throws Fault `journal-damaged` or `journal-missing`. */
export function readJournal(path: string): Replay {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    throw new Fault({
      code: 'journal-missing',
      blame: 'operator',
      message: `there is no journal to read at ${path}`,
      remedy: 'Run `recover runs` to see which runs there are',
      cause,
    })
  }
  return parseJournal(bytes, path)
}

/** {@link readJournal} on bytes at hand. */
export function parseJournal(bytes: Buffer, path: string): Replay {
  const records: JournalRecord[] = []
  let hash = ''
  let offset = 0
  while (offset < bytes.length) {
    const end = bytes.indexOf(10, offset)
    // A crash can leave a part of a line, or (after a power cut) zeros where the line's bytes never arrived.
    if (end === -1) return { records, torn: { offset, bytes: bytes.subarray(offset) } }
    const line = bytes.toString('utf8', offset, end)
    const number = records.length + 1
    const match = /^(\{.*),"hash":"([0-9a-f]{32})"\}$/s.exec(line)
    const text = match ? `${match[1]}}` : undefined
    if (text === undefined || match?.[2] !== chain(hash, text)) {
      const nothingAfter = bytes.indexOf(10, end + 1) === -1 && end + 1 >= bytes.length
      if (nothingAfter && match === null && !isWholeJson(line))
        return { records, torn: { offset, bytes: bytes.subarray(offset) } }
      throw damaged(path, number, 'its hash does not fit the lines before it and its own text')
    }
    const record = JSON.parse(line) as JournalRecord
    if (record.seq !== number) throw damaged(path, number, `it says it is record ${record.seq}`)
    hash = record.hash
    records.push(record)
    offset = end + 1
  }
  return { records }
}

function isWholeJson(line: string): boolean {
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}

function damaged(path: string, line: number, why: string): Fault {
  return new Fault({
    code: 'journal-damaged',
    blame: 'operator',
    message: `the journal is damaged at ${path}:${line}: ${why}`,
    remedy:
      'The journal was edited or its disk is failing. Keep a copy, restore it from a backup if there is one; otherwise start a new run: it looks at the world before it changes anything',
    at: `${path}:${line}`,
  })
}

/** What a journal claims of one step. */
export interface Claim {
  intents: number
  /** The victims of the last intent: content that is ours to overwrite from then on. */
  victims?: Victim[]
  checkpoint?: { output: unknown; evidence: string; how: DoneHow; warnings?: Warning[] }
}

/** The journal's claims, by step instance, and its decisions. */
export interface Claims {
  began: Extract<JournalRecord, { kind: 'run-began' }>
  steps: Map<string, Claim>
  fanOuts: Map<string, { key: string; subject: unknown }[]>
  consents: Victim[]
  ended?: Extract<JournalRecord, { kind: 'ended' }>
  /** Input and runbook that the run goes by now: those of its beginning, or what a person has accepted since. */
  goesBy: { inputHash: string; runbookHash: string }
  /** Milliseconds that earlier processes worked on this run, as they measured them. */
  earlierMs: number
}

/** Folds records into claims. Throws Fault `journal-damaged` when the first record is not the run's beginning. */
export function claims(replay: Replay, path: string): Claims {
  const [first] = replay.records
  if (first?.kind !== 'run-began') throw damaged(path, 1, 'it does not begin with the beginning of a run')
  const result: Claims = {
    began: first,
    steps: new Map(),
    fanOuts: new Map(),
    consents: [],
    goesBy: first,
    earlierMs: 0,
  }
  const claim = (step: string): Claim => {
    const known = result.steps.get(step) ?? { intents: 0 }
    result.steps.set(step, known)
    return known
  }
  for (const record of replay.records)
    switch (record.kind) {
      case 'intent': {
        const known = claim(record.step)
        known.intents += 1
        delete known.checkpoint
        if (record.victims) known.victims = record.victims
        break
      }
      case 'checkpoint':
        claim(record.step).checkpoint = {
          output: record.output,
          evidence: record.evidence,
          how: record.how,
          ...(record.warnings ? { warnings: record.warnings } : {}),
        }
        break
      case 'fan-out':
        result.fanOuts.set(record.name, record.subjects)
        break
      case 'consent':
        for (const victim of record.victims) {
          result.consents = result.consents.filter(v => v.kind !== victim.kind || v.name !== victim.name)
          result.consents.push(victim)
        }
        break
      case 'ended':
        result.ended = record
        result.earlierMs += record.tookMs
        break
      case 'resumed':
        delete result.ended
        result.goesBy = record
        break
    }
  return result
}
