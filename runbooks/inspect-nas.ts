import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadCluster } from '../src/cluster/load.ts'
import type { NasAnswer } from '../src/nas/nas.ts'
import { Fault } from '../src/runbook/fault.ts'
import { clusterFileIn } from './cluster-file.ts'
import { inspectNas, nameOfNas } from './connect-nas.ts'
import { inEarnest } from './in-earnest.ts'
import { inOwnLab } from './rehearse.ts'
import type { Whereabouts } from './whereabouts.ts'

export interface InspectQuestion {
  /** recover.yaml or its folder. */
  where: string
  /** The NAS of a lab of its own in place of the real one. */
  lab: boolean
  /** Folder to which what it said is written, without anybody's names; nothing is written without it. */
  record?: string | undefined
  now: AbortSignal
}

export interface Inspected {
  nas: string
  answers: NasAnswer[]
  /** The file that was written. */
  recording?: string
}

/** Looks at the NAS of a cluster file, by reading only. Throws Fault `recording-exists` and what the NAS refuses. */
export async function inspect(question: InspectQuestion): Promise<Inspected> {
  const file = question.record === undefined ? undefined : join(question.record, 'nas.json')
  if (file !== undefined && existsSync(file)) throw exists(file)
  const cluster = loadCluster(clusterFileIn(question.where))
  const look = async ({ nas }: Whereabouts): Promise<Inspected> => {
    if (file !== undefined && !('url' in nas)) throw nothingToRecord()
    const { answers, anonymous } = await inspectNas(nas, question.now)
    if (file !== undefined) record(file, anonymous)
    return { nas: nameOfNas(nas), answers, ...(file === undefined ? {} : { recording: file }) }
  }
  if (question.lab) return inOwnLab(cluster, look)
  return look(await inEarnest(cluster, { run: 'inspect', path: '', journal: '' }))
}

function record(file: string, exchanges: unknown): void {
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ format: 1, exchanges }, undefined, 1)}\n`, { flag: 'wx' })
}

function nothingToRecord(): Fault {
  return new Fault({
    code: 'recording-of-synology-alone',
    blame: 'operator',
    message:
      'only what a Synology says can be recorded: a plain Linux box is asked by one script, whose answer is its own',
    remedy: 'Leave --record away',
  })
}

function exists(file: string): Fault {
  return new Fault({
    code: 'recording-exists',
    blame: 'operator',
    message: `${file} is there already`,
    remedy: 'Name another folder with --record, or remove the old recording first',
  })
}
