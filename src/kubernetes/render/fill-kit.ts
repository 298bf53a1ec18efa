import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { request } from 'undici'
import { Fault } from '../../runbook/fault.ts'
import { inKit, placeInKit, type RemotePart, showRemote } from './kit.ts'
import type { Stage } from './stage.ts'

/**
 * Puts every remote part of a rendered stage into the kit. Each is whole there or not at all: it is written beside its
 * place and renamed. Throws Fault `kit-fetch-failed`.
 * @returns what was new, as a person would call it
 */
export async function fillKit(kit: string, staged: Stage, signal: AbortSignal): Promise<string[]> {
  const fresh: string[] = []
  for (const { part, chartsIn } of staged.remote) {
    if (inKit(kit, part)) continue
    const place = join(kit, placeInKit(part))
    mkdirSync(dirname(place), { recursive: true })
    const beside = mkdtempSync(join(dirname(place), '.new-'))
    try {
      await fetchInto(part, join(beside, 'part'), chartsIn, signal)
      rmSync(place, { recursive: true, force: true })
      renameSync(join(beside, 'part'), place)
    } finally {
      rmSync(beside, { recursive: true, force: true })
    }
    fresh.push(showRemote(part))
  }
  return fresh
}

async function fetchInto(
  part: RemotePart,
  place: string,
  chartsIn: string,
  signal: AbortSignal,
): Promise<void> {
  switch (part.kind) {
    case 'chart': {
      // kustomize has just fetched it to render.
      const fetched = join(chartsIn, `${part.name}-${part.version}`, part.name)
      if (!existsSync(join(fetched, 'Chart.yaml')))
        throw failed(part, `kustomize left no chart at ${fetched}`)
      cpSync(fetched, place, { recursive: true })
      return
    }
    case 'file': {
      let text: string
      try {
        const limit = AbortSignal.any([signal, AbortSignal.timeout(60_000)])
        const answer = await redirected(part.url, limit, 5)
        if (answer.status !== 200) throw new Error(`it answered with ${answer.status}`)
        text = answer.text
      } catch (cause) {
        if (signal.aborted) throw signal.reason
        throw failed(part, (cause as Error).message, cause)
      }
      writeFileSync(place, text)
      return
    }
    case 'git': {
      // A branch, a tag or a commit: fetching it by name serves all three.
      const git = async (...args: string[]) => {
        const result = await execa('git', args, {
          cancelSignal: signal,
          timeout: 5 * 60_000,
          reject: false,
          stdin: 'ignore',
          env: { GIT_TERMINAL_PROMPT: '0' },
        })
        if (signal.aborted) throw signal.reason
        if (result.exitCode !== 0) throw failed(part, String(result.stderr).trim().split('\n').at(-1) ?? '')
      }
      await git('init', '-q', place)
      await git('-C', place, 'fetch', '-q', '--depth', '1', part.repository, part.ref)
      await git('-C', place, 'checkout', '-q', 'FETCH_HEAD')
      rmSync(join(place, '.git'), { recursive: true, force: true })
    }
  }
}

async function redirected(
  url: string,
  signal: AbortSignal,
  hops: number,
): Promise<{ status: number; text: string }> {
  const { statusCode, headers, body } = await request(url, { signal })
  const text = await body.text()
  const { location } = headers
  if (statusCode >= 300 && statusCode < 400 && typeof location === 'string' && hops > 0)
    return redirected(new URL(location, url).href, signal, hops - 1)
  return { status: statusCode, text }
}

function failed(part: RemotePart, why: string, cause?: unknown): Fault {
  return new Fault({
    code: 'kit-fetch-failed',
    blame: 'network',
    message: `${showRemote(part)} could not be put into the kit: ${why}`,
    remedy: 'Check the address and the network; what is in the kit already stays there',
    cause,
  })
}
