import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConsentDesk } from '../../src/runbook/consent.ts'
import type { RunEvent } from '../../src/runbook/events.ts'
import { type ExecuteOptions, type Execution, execute } from '../../src/runbook/execute.ts'
import { createJournal, type Journal, type JournalOptions, reopenJournal } from '../../src/runbook/journal.ts'
import { claims, readJournal } from '../../src/runbook/replay.ts'
import type { Runbook } from '../../src/runbook/runbook.ts'
import type { Victim } from '../../src/runbook/step.ts'

export const agree: ConsentDesk = async () => ({ by: 'tester', how: 'typed' })

export function scratch(name: string): string {
  return mkdtempSync(join(tmpdir(), `recover-${name}-`))
}

export interface PartOptions<R extends object, W extends R> extends Partial<ExecuteOptions<R, W>> {
  journalOptions?: JournalOptions
  /** Stands between the engine and the journal. */
  wrapJournal?: (journal: Journal) => Journal
  /** Victims that a person agreed to before this part began. */
  agreedBefore?: Victim[]
}

/** One process's part of a run, as the program does it: begins the journal or goes on with it. */
export async function runPart<R extends object, W extends R>(
  path: string,
  book: Runbook,
  readers: R,
  writers: W,
  options: PartOptions<R, W> = {},
): Promise<Execution & { events: RunEvent[] }> {
  const events: RunEvent[] = []
  const resumed = existsSync(path)
  if (!resumed) {
    const begun = createJournal(
      path,
      {
        kind: 'run-began',
        run: 'test',
        runbook: book.id,
        runbookHash: book.hash,
        stepHashes: book.stepHashes,
        inputHash: 'none',
        input: 'none',
        program: 'test',
        by: 'tester',
        mode: 'test',
      },
      options.journalOptions,
    )
    await begun.close()
  }
  const reopened = reopenJournal(path, options.journalOptions)
  const { journal } = reopened
  if (resumed)
    await journal.append({
      kind: 'resumed',
      by: 'tester',
      program: 'test',
      runbookHash: book.hash,
      inputHash: 'none',
      accepted: [],
    })
  if (options.agreedBefore)
    await journal.append({ kind: 'consent', victims: options.agreedBefore, by: 'tester', how: 'typed' })
  const never = new AbortController().signal
  try {
    const execution = await execute({
      run: 'test',
      runbook: book,
      readers,
      writers,
      journal: options.wrapJournal?.(journal) ?? journal,
      claims: claims(readJournal(path), path),
      resumed,
      consent: agree,
      sink: e => events.push(e),
      stop: never,
      now: never,
      pace: 0.001,
      ...options,
    })
    return { ...execution, events }
  } finally {
    await journal.close()
  }
}
