import { execa } from 'execa'
import { Fault } from '../../runbook/fault.ts'

/** A program that renders, as it was found. */
export interface RenderProgram {
  command: string
  /** What stands before the folder. */
  args: readonly string[]
  /** For the record beside what was rendered: `kustomize v5.8.1`, `kubectl v1.36.3 with kustomize v5.8.1`. */
  version: string
}

/**
 * kustomize, or kubectl which has it inside. Fault `render-tool-missing` when neither is on PATH.
 * @param program name or path to use instead of what PATH has
 */
export async function findKustomize(signal: AbortSignal, program?: string): Promise<RenderProgram> {
  for (const command of program === undefined ? ['kustomize', 'kubectl'] : [program]) {
    const own = await ask(command, ['version'], signal)
    if (own !== undefined && /^v?\d/.test(own))
      return { command, args: ['build', '--enable-helm'], version: `kustomize ${own}` }
    const client = await ask(command, ['version', '--client'], signal)
    const [, version] = /Client Version: (\S+)/.exec(client ?? '') ?? []
    const [, inside] = /Kustomize Version: (\S+)/.exec(client ?? '') ?? []
    if (version !== undefined)
      return {
        command,
        args: ['kustomize', '--enable-helm'],
        version: `kubectl ${version} with kustomize ${inside ?? 'of an unknown version'}`,
      }
  }
  throw new Fault({
    code: 'render-tool-missing',
    blame: 'operator',
    message:
      program === undefined
        ? 'a kustomization must be rendered, and neither kustomize nor kubectl is on PATH'
        : `a kustomization must be rendered, and ${program} is neither kustomize nor kubectl, or cannot be run`,
    remedy:
      'Install kustomize and helm, or render it once and name the files in recover.yaml (gitops.bootstrap: [{ name, rendered }])',
  })
}

/** Helm's version, which kustomize calls for charts. Fault `render-tool-missing` when it is not there. */
export async function findHelm(signal: AbortSignal): Promise<string> {
  const version = await ask('helm', ['version', '--short'], signal)
  if (version !== undefined) return `helm ${version}`
  throw new Fault({
    code: 'render-tool-missing',
    blame: 'operator',
    message: 'a kustomization has Helm charts, and helm is not on PATH',
    remedy:
      'Install helm, or render it once and name the files in recover.yaml (gitops.bootstrap: [{ name, rendered }])',
  })
}

async function ask(command: string, args: string[], signal: AbortSignal): Promise<string | undefined> {
  const result = await execa(command, args, {
    cancelSignal: signal,
    timeout: 20_000,
    reject: false,
    stdin: 'ignore',
  })
  if (signal.aborted) throw signal.reason
  return result.exitCode === 0 ? String(result.stdout).trim() : undefined
}
