import { readFile } from 'node:fs/promises'
import { dirname, extname } from 'node:path'
import { Fault } from '../../runbook/fault.ts'
import type { IgnitionSpec } from '../butane/messages.ts'
import { type IgnitionConfig, parseIgnition } from './config.ts'

/** Where a host's config comes from, and what its values are. */
export interface IgnitionSource {
  /** Absolute path: a Butane file (`.bu`, `.fcc`), or a ready-made config (`.ign`, `.json`). */
  file: string
  /** The path as the person wrote it, for messages. */
  shown: string
  /** Where `local:` files of a Butane file lie; its own folder by default. */
  filesDir?: string | undefined
  /** What the target image accepts, as far as that is known. */
  spec?: IgnitionSpec | undefined
}

/** A host's config, ready to be checked and to get this run's marks. May hold secrets: never printed, kept 0600. */
export interface CompiledIgnition {
  /** The config as JSON. */
  text: string
  config: IgnitionConfig
  source: IgnitionSource
  /** Files below `filesDir` that went into it. */
  localFiles: string[]
}

/** Whether a file is Butane's, by its name. */
export function isButane(file: string): boolean {
  return ['.bu', '.fcc', '.yaml', '.yml'].includes(extname(file))
}

/** Reads a host's config, and compiles it where it is a Butane file. */
export async function hostIgnition(source: IgnitionSource): Promise<CompiledIgnition> {
  const text = await readFile(source.file, 'utf8')
  if (isButane(source.file))
    throw new Fault({
      code: 'butane-failed',
      blame: 'operator',
      message: `${source.shown} is a Butane file, which cannot be compiled yet (its folder is ${dirname(source.file)})`,
      remedy: 'Compile it with butane and name the .ign file in recover.yaml',
      at: source.shown,
    })
  return { text, config: parseIgnition(text, source.shown), source, localFiles: [] }
}
