import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'
import { Fault } from '../runbook/fault.ts'

/** Files of machines that a run has kept before it wiped them. */
export interface EvidenceReader {
  /** Sizes by path on the machine; undefined when nothing of this machine was kept. */
  kept(host: string): Map<string, number> | undefined
  /** Where they are, as they lay on the machine; undefined when nothing of it was kept. */
  folder(host: string): string | undefined
}

export interface EvidenceWriter extends EvidenceReader {
  /** Keeps all of these, or none: 0600 each, below `evidence/HOST` of the run's folder. Fault `evidence-unwritable`. */
  keep(host: string, files: Map<string, Buffer>): void
}

/** The evidence in a run's folder; a plan has no folder, and has kept nothing. */
export function evidenceIn(runFolder: string | undefined): EvidenceWriter {
  const folder = (host: string) => join(runFolder ?? '', 'evidence', host)
  return {
    kept(host) {
      if (runFolder === undefined || !existsSync(folder(host))) return undefined
      return new Map([...filesBelow(folder(host), '')])
    },
    folder: host => (runFolder !== undefined && existsSync(folder(host)) ? folder(host) : undefined),
    keep(host, files) {
      const fresh = `${folder(host)}.new`
      try {
        rmSync(fresh, { recursive: true, force: true })
        writeBelow(fresh, files)
        rmSync(folder(host), { recursive: true, force: true })
        renameSync(fresh, folder(host))
      } catch (cause) {
        throw new Fault({
          code: 'evidence-unwritable',
          blame: 'operator',
          message: `what was saved from ${host} cannot be kept in ${folder(host)}; ${host} was not changed`,
          remedy: 'Make room on this computer’s disk or make that folder writable, then run `recover resume`',
          cause,
        })
      }
    },
  }
}

/** Puts files of a machine into a folder that only we can read, for `read` to look at, and removes it again. */
export function layOut<T>(files: Map<string, Buffer>, read: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'recover-evidence-'))
  try {
    writeBelow(folder, files)
    return read(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function writeBelow(folder: string, files: Map<string, Buffer>): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const [path, bytes] of files) {
    // The machine says which paths these are.
    if (!path.startsWith('/') || normalize(path) !== path) throw new Error(`${path} is no plain path`)
    mkdirSync(dirname(join(folder, path)), { recursive: true, mode: 0o700 })
    writeFileSync(join(folder, path), bytes, { mode: 0o600, flush: true })
    chmodSync(join(folder, path), 0o600)
  }
}

function* filesBelow(folder: string, path: string): Generator<[string, number]> {
  for (const entry of readdirSync(join(folder, path), { withFileTypes: true })) {
    const below = `${path}/${entry.name}`
    if (entry.isDirectory()) yield* filesBelow(folder, below)
    else yield [below, statSync(join(folder, below)).size]
  }
}
