import { readFile } from 'node:fs/promises'
import { dirname, extname } from 'node:path'
import { Fault } from '../../runbook/fault.ts'
import type { Danger } from '../butane/dangers.ts'
import type { ButaneMessage, IgnitionSpec } from '../butane/messages.ts'
import { butaneFailed, placeOf } from './butane-failed.ts'
import { butaneProgram } from './butane-program.ts'
import { type IgnitionConfig, parseIgnition } from './config.ts'
import { type Lookup, substitute } from './substitute.ts'

/** Where a host's config comes from, and what its variables are. */
export interface IgnitionSource {
  /** Absolute path: a Butane file (`.bu`, `.fcc`), or a ready-made config (`.ign`, `.json`). */
  file: string
  /** The path as the person wrote it, for messages. */
  shown: string
  /** Where `local:` files of a Butane file lie; its own folder by default. */
  filesDir?: string | undefined
  /** The experimental spec that the target image accepts, as far as that is known. */
  spec?: IgnitionSpec | undefined
  /** Program that compiles Butane files instead of the built-in compiler. */
  program?: string | undefined
  /** Bound on that program, milliseconds. */
  programTimeoutMs?: number | undefined
  /** What `${NAME}` in a Butane file stands for. */
  lookup: Lookup
  /** Takes secrets out of a text: a compiler quotes the lines that it complains about. */
  conceal(text: string): string
}

/** A host's config, ready to be checked and to get this run's marks. May hold secrets: never printed, kept 0600. */
export interface CompiledIgnition {
  /** The config as JSON. */
  text: string
  config: IgnitionConfig
  /** The file as the person wrote its path, for messages. */
  shown: string
  /** What Butane warned of; never the text of a value. */
  warnings: ButaneMessage[]
  /** What no compiler warns of: files that a checkout elsewhere lacks, secrets in the text; never a secret itself. */
  dangers: Danger[]
  /** Files below `filesDir` that went into it; empty for a program, which does not tell. */
  localFiles: string[]
  /** What compiled it. */
  by: 'ready-made' | 'built-in' | 'program'
}

/** Whether a file is Butane's, by its name. */
export function isButane(file: string): boolean {
  return ['.bu', '.fcc', '.butane', '.yaml', '.yml'].includes(extname(file))
}

/**
 * Reads a host's config. A Butane file gets the values of its variables and is compiled; a ready-made config is taken
 * as it is. Faults: those of `substitute`, `ignition-unreadable`, `ignition-invalid`,
 * `butane-failed`, and those of the program.
 */
export async function hostIgnition(source: IgnitionSource, signal: AbortSignal): Promise<CompiledIgnition> {
  const { file, shown } = source
  const text = await readFile(file, 'utf8').catch(cause => {
    throw new Fault({
      code: 'ignition-unreadable',
      blame: 'operator',
      message: `${shown} cannot be read`,
      remedy: 'Correct hosts.….ignition in recover.yaml',
      at: shown,
      cause,
    })
  })
  if (!isButane(file))
    return {
      text,
      config: parseIgnition(text, shown),
      shown,
      warnings: [],
      dangers: [],
      localFiles: [],
      by: 'ready-made',
    }
  const filled = await substitute(text, shown, source.lookup)
  const filesDir = source.filesDir ?? dirname(file)
  if (source.program !== undefined) {
    const compiled = await butaneProgram(source.program, filled, {
      filesDir,
      shown,
      conceal: source.conceal,
      signal,
      timeoutMs: source.programTimeoutMs,
    })
    return {
      ...compiled,
      config: parseIgnition(compiled.text, shown),
      shown,
      dangers: [],
      localFiles: [],
      by: 'program',
    }
  }
  const { compileButane } = await import('../butane/compile.ts')
  const result = compileButane(filled, {
    source: shown,
    filesDir,
    ...(source.spec === undefined ? {} : { spec: source.spec }),
  })
  const { dangersOf } = await import('../butane/dangers.ts')
  // Of the text as it is written: what the secret sources gave is no secret in it.
  const dangers = dangersOf(text, result, { source: shown, filesDir })
  const warnings = result.messages.filter(m => m.severity === 'warning')
  if (result.exitCode === 0 && result.config)
    return {
      text: result.text,
      config: parseIgnition(result.text, shown),
      shown,
      warnings: warnings.map(w => ({ ...w, text: source.conceal(w.text) })),
      dangers: dangers.filter(d => d.kind === 'local-not-in-git' || d.kind === 'secret-inline'),
      localFiles: result.localFiles,
      by: 'built-in',
    }
  const errors = result.messages.filter(m => m.severity === 'error')
  throw butaneFailed(
    shown,
    source.conceal(errors.map(e => `${placeOf(e, shown)} ${e.path}: ${e.text}`).join('\n') || result.report),
    errors[0] && placeOf(errors[0], shown),
  )
}
