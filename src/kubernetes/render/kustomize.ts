import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { Fault } from '../../runbook/fault.ts'
import type { KubernetesObject } from '../kubernetes.ts'
import { showRemote } from './kit.ts'
import { parseManifests } from './manifests.ts'
import { findHelm, findKustomize } from './programs.ts'
import { fromNetwork, type Stage, stage } from './stage.ts'

/** A kustomization, rendered. */
export interface Rendering {
  objects: KubernetesObject[]
  /** SHA-256 over the objects, in hex: two renderings with the same are the same, whatever the program's spelling. */
  sha256: string
  /** The programs that made it. */
  tools: string[]
  /** What it took from elsewhere, and where that was found. */
  remote: { what: string; from: 'repository' | 'kit' | 'network' }[]
}

export interface RenderOptions {
  /** The repository; what lies outside of it is not seen. */
  root: string
  /** Folder with remote bases and charts, for when the network is gone. */
  kit?: string | undefined
  /** Refuse whatever the kit does not hold, instead of asking the network for it. */
  offline?: boolean
  /** kustomize or kubectl, instead of what PATH has. */
  program?: string | undefined
  /** Where what is rendered is named, when that is no file of the kustomization's own. */
  namedAt?: string
  signal: AbortSignal
  /** Sees the stage after it was rendered, before it is gone: charts that were fetched lie in it. */
  harvest?: (staged: Stage) => Promise<void>
}

const limitMs = 5 * 60_000

/**
 * Renders a kustomization as a person would, with kustomize or kubectl, in a private copy of the repository. Throws Fault
 * `render-tool-missing`, `render-unpinned`, `render-unreachable` (naming what the kit lacks) or `render-failed`.
 */
export async function renderKustomization(folder: string, options: RenderOptions): Promise<Rendering> {
  const { signal, root, kit } = options
  const scratch = mkdtempSync(join(tmpdir(), 'recover-render-'))
  try {
    const staged = stage(folder, root, join(scratch, 'repository'), kit)
    const lacking = fromNetwork(staged, options.namedAt)
    const shown = options.namedAt ?? folder
    if (options.offline && lacking.length > 0) throw unreachable(shown, lacking, kit)
    const kustomize = await findKustomize(signal, options.program)
    const tools = [kustomize.version, ...(staged.charts ? [await findHelm(signal)] : [])]
    const result = await execa(kustomize.command, [...kustomize.args, staged.folder], {
      cancelSignal: signal,
      timeout: limitMs,
      reject: false,
      stdin: 'ignore',
    })
    if (signal.aborted) throw signal.reason
    if (result.exitCode !== 0) {
      const said = withoutScratch(String(result.stderr), scratch).trim().split('\n').slice(-3).join(' / ')
      if (lacking.length > 0 && isNetwork(said)) throw unreachable(shown, lacking, kit, said)
      throw new Fault({
        code: 'render-failed',
        blame: 'operator',
        message: `${kustomize.command} could not render ${shown}: ${said || `it ended with ${result.exitCode ?? 'a time-out'}`}`,
        remedy: 'Mend what it names; `recover render` tries it again without touching anything else',
      })
    }
    await options.harvest?.(staged)
    const objects = parseManifests(result.stdout, folder)
    return {
      objects,
      sha256: hashOf(objects),
      tools,
      remote: staged.remote.map(r => ({ what: showRemote(r.part), from: r.from })),
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** SHA-256 of objects, whatever order their keys stand in. */
export function hashOf(objects: readonly object[]): string {
  return createHash('sha256').update(JSON.stringify(objects, sortedKeys)).digest('hex')
}

function sortedKeys(_: string, value: unknown): unknown {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value
}

function isNetwork(said: string): boolean {
  return /dial tcp|no such host|lookup |timeout|timed out|Could not resolve|connection refused|unable to access|proxyconnect|TLS handshake|failed to (pull|download)|looks like .* is not a valid chart repository|status code/i.test(
    said,
  )
}

function withoutScratch(text: string, scratch: string): string {
  return text.replaceAll(join(scratch, 'repository'), '').replaceAll(scratch, '')
}

function unreachable(what: string, lacking: string[], kit: string | undefined, said?: string): Fault {
  return new Fault({
    code: 'render-unreachable',
    blame: 'network',
    message: `${what} cannot be rendered without ${lacking.join(', ')}${said === undefined ? '' : `: ${said}`}`,
    remedy: `While the network is there, run \`recover render --fill-kit\`: it keeps them in ${kit ?? 'the folder that recover.yaml names (kit)'}`,
  })
}
