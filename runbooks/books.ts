import { basename } from 'node:path'
import type { Cluster } from '../src/cluster/load.ts'
import { nearest } from '../src/cluster/nearest.ts'
import { readYaml } from '../src/cluster/yaml-file.ts'
import { milliseconds } from '../src/runbook/duration.ts'
import { Fault } from '../src/runbook/fault.ts'
import { onlyPhases } from '../src/runbook/only-phases.ts'
import type { Runbook } from '../src/runbook/runbook.ts'
import { finalizeVolumes } from './finalize-volumes.ts'
import { fromScratch } from './from-scratch.ts'
import { syncVolumes } from './sync-volumes.ts'

const books = [fromScratch, finalizeVolumes, syncVolumes]

/** A runbook (the main one where none is named), or some phases of it. Throws Fault `phase-unknown`. */
export function bookOf(only: string[] | undefined, id: string = fromScratch.id): Runbook {
  const book = books.find(b => b.id === id) ?? fromScratch
  return only === undefined ? book : onlyPhases(book, only)
}

/** The limits that recover.yaml changes, milliseconds by step id. Throws Fault `timeout-unknown` for what is no step of any runbook. */
export function limitsOf({ entry, file }: Pick<Cluster, 'entry' | 'file'>): Record<string, number> {
  const known = books.flatMap(book => book.steps.map(s => s.id))
  return Object.fromEntries(
    Object.entries(entry.timeouts ?? {}).map(([id, duration]) => {
      if (known.includes(id)) return [id, milliseconds(duration)]
      const meant = nearest(id, known)
      const [document] = readYaml(file, basename(file))
      throw new Fault({
        code: 'timeout-unknown',
        blame: 'operator',
        message: `${document?.at(['timeouts', id])}: a limit for ${id}, which is no step of a runbook${meant ? `; did you mean ${meant}?` : ''}`,
        remedy:
          'Name a step as a plan and the journal do; `recover runbook --json` lists those of the main runbook',
      })
    }),
  )
}

/** A run that began with another runbook than this program has: Fault `runbook-changed`, with what differs. */
export function runbookChanged(book: Runbook, then: Record<string, string>, run: string): Fault {
  const now = book.stepHashes
  const changed = Object.keys(now).filter(id => then[id] !== undefined && then[id] !== now[id])
  const added = Object.keys(now).filter(id => then[id] === undefined)
  const gone = Object.keys(then).filter(id => now[id] === undefined)
  const says = [
    ...(changed.length > 0 ? [`changed: ${changed.join(', ')}`] : []),
    ...(added.length > 0 ? [`new: ${added.join(', ')}`] : []),
    ...(gone.length > 0 ? [`gone: ${gone.join(', ')}`] : []),
  ]
  return new Fault({
    code: 'runbook-changed',
    blame: 'operator',
    message: `this version of recover has another runbook than run ${run} began with (${says.join('; ') || 'their order'})`,
    remedy: `Use the version that it began with, or go on with this one: recover resume ${run} --accept runbook`,
  })
}
