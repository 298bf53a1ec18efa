import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import type { KubernetesObject } from '../kubernetes/kubernetes.ts'
import { Fault } from '../runbook/fault.ts'

/** Whether Git repositories can be read from here. */
export interface GitReader {
  /** Why a repository cannot be read now, in git's words; undefined when it can, or must not be asked. */
  refusal(url: string, signal: AbortSignal): Promise<string | undefined>
}

/** @param mayAsk false in a rehearsal, from which nothing of the real home is asked */
export function connectGit(mayAsk: boolean): GitReader {
  return {
    async refusal(url, signal) {
      if (!mayAsk) return undefined
      const { exitCode, said } = await git(['ls-remote', '--exit-code', url, 'HEAD'], signal, 20_000)
      return exitCode === 0 ? undefined : said || 'it does not answer'
    },
  }
}

/** The repositories that applications are read from, each once: Argo CD's sources that are no charts, Flux's sources. */
export function repositoriesOf(objects: readonly KubernetesObject[]): string[] {
  const urls = objects.flatMap(({ spec }) => {
    const { source, sources, url } = (spec ?? {}) as {
      source?: { repoURL?: string; chart?: string }
      sources?: { repoURL?: string; chart?: string }[]
      url?: string
    }
    return [...[source, ...(sources ?? [])].map(s => (s?.chart === undefined ? s?.repoURL : undefined)), url]
  })
  return [...new Set(urls.filter(url => url !== undefined))]
}

/** Where in a kit the mirror of a repository lies. */
export function mirrorIn(kit: string, repository: string): string {
  return join(kit, 'mirror', `${basename(repository) || 'repository'}.git`)
}

/** What a mirror stands at, as a person compares it: `1a2b3c4 of 2026-11-28`. */
export async function mirrorCommit(path: string, signal: AbortSignal): Promise<string> {
  const { exitCode, stdout, said } = await git(
    ['-C', path, 'log', '-1', '--format=%h of %cs'],
    signal,
    20_000,
  )
  return exitCode === 0 ? stdout : `that cannot be told (${said})`
}

/**
 * Keeps a bare mirror of a repository in the kit: all of its commits, none of what is not committed. Made beside its place
 * and renamed, and brought up to date ever after. Fault `mirror-failed`.
 * @returns the commit that it stands at; undefined where the folder is in no Git repository
 */
export async function keepMirror(
  repository: string,
  kit: string,
  signal: AbortSignal,
): Promise<{ path: string; commit: string } | undefined> {
  const top = await git(['-C', repository, 'rev-parse', '--show-toplevel'], signal, 20_000)
  if (top.exitCode !== 0) return undefined
  const path = mirrorIn(kit, top.stdout)
  const must = async (args: string[]) => {
    const { exitCode, stdout, said } = await git(args, signal, 10 * 60_000)
    if (exitCode === 0) return stdout
    throw new Fault({
      code: 'mirror-failed',
      blame: 'operator',
      message: `${top.stdout} could not be mirrored to ${path}: ${said}`,
      remedy: 'Mend what git says, or delete that folder: it is made anew',
    })
  }
  if (existsSync(path)) await must(['-C', path, 'fetch', '--quiet', '--prune', 'origin', '+refs/*:refs/*'])
  else {
    mkdirSync(join(kit, 'mirror'), { recursive: true })
    const beside = mkdtempSync(join(kit, 'mirror', '.new-'))
    try {
      // Without hard links: it must be whole on a stick of its own.
      await must(['clone', '--quiet', '--mirror', '--no-hardlinks', top.stdout, join(beside, 'git')])
      renameSync(join(beside, 'git'), path)
    } finally {
      rmSync(beside, { recursive: true, force: true })
    }
  }
  return { path, commit: await must(['-C', path, 'rev-parse', 'HEAD']) }
}

async function git(
  args: string[],
  signal: AbortSignal,
  timeout: number,
): Promise<{ exitCode: number; stdout: string; said: string }> {
  const { exitCode, stdout, stderr } = await execa('git', args, {
    cancelSignal: signal,
    timeout,
    reject: false,
    stdin: 'ignore',
    // Nobody is there to type a password, or to look at a host key.
    env: { GIT_TERMINAL_PROMPT: '0', GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o ConnectTimeout=10' },
  })
  if (signal.aborted) throw signal.reason
  // A URL may hold a password, and git repeats it.
  const said = String(stderr)
    .replaceAll(/(\w+:\/\/)[^/@\s]+@/g, '$1')
    .trim()
    .split('\n')
    .slice(-2)
    .join(' / ')
  return { exitCode: exitCode ?? 1, stdout: String(stdout).trim(), said }
}
