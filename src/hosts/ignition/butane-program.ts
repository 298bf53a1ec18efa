import { Fault } from '../../runbook/fault.ts'
import type { ButaneMessage } from '../butane/messages.ts'
import { butaneFailed } from './butane-failed.ts'

/**
 * Compiles with a program butane. The text goes in by its standard input and comes out by its standard output: with
 * secrets in it, it is in no argument and in no file. Faults `butane-missing`, `butane-failed`, `butane-silent`,
 * `butane-strange`.
 */
export async function butaneProgram(
  program: string,
  text: string,
  options: {
    filesDir: string
    shown: string
    conceal(text: string): string
    signal: AbortSignal
    /** Bound on the whole; a minute by default. */
    timeoutMs?: number | undefined
  },
): Promise<{ text: string; warnings: ButaneMessage[] }> {
  const { execa } = await import('execa')
  const { signal, shown, timeoutMs = 60_000 } = options
  const result = await execa(program, ['--files-dir', options.filesDir], {
    input: text,
    env: { PATH: process.env.PATH },
    extendEnv: false,
    cancelSignal: signal,
    reject: false,
    timeout: timeoutMs,
    forceKillAfterDelay: 2_000,
    stripFinalNewline: false,
    verbose: 'none',
  })
  if (signal.aborted) throw signal.reason
  if (result.code === 'ENOENT' || result.code === 'EACCES')
    throw new Fault({
      code: 'butane-missing',
      blame: 'operator',
      message: `there is no program ${program} that could be run`,
      remedy: 'Install it, or take tools.butane out of recover.yaml: the built-in compiler is as good',
    })
  if (result.timedOut)
    throw new Fault({
      code: 'butane-silent',
      blame: 'operator',
      message: `${program} did not come to an end with ${shown} within ${timeoutMs / 1_000} s`,
      remedy: whetherButane(program),
    })
  // Neither execa's error nor its message goes any further: both carry the text that was compiled.
  if (result.failed) throw butaneFailed(shown, options.conceal(withoutFrames(result.stderr).trim()))
  if (!isConfig(result.stdout))
    throw new Fault({
      code: 'butane-strange',
      blame: 'operator',
      message: `${program} ended well with ${shown} and printed no Ignition config`,
      remedy: whetherButane(program),
    })
  return { text: result.stdout, warnings: warningsIn(result.stderr, options.conceal) }
}

function whetherButane(program: string): string {
  return `See whether it is Butane (\`${program} --version\`), or use the built-in compiler: without tools.butane in recover.yaml`
}

function isConfig(text: string): boolean {
  try {
    return (
      typeof (JSON.parse(text) as { ignition?: { version?: unknown } } | null)?.ignition?.version === 'string'
    )
  } catch {
    return false
  }
}

/** What it complains of, without the lines of the file that it quotes since 0.29: `  12 | password: …`. */
function withoutFrames(said: string): string {
  return said
    .split('\n')
    .filter(line => !/^\s*\d*\s*\|/.test(line) && line.trim() !== '')
    .join('\n')
}

/** `warning at $.path, line 6 col 13: TEXT` up to 0.28; since then `warning[$.path]:` and the text under a frame. */
function warningsIn(said: string, conceal: (text: string) => string): ButaneMessage[] {
  const short = [...said.matchAll(/^warning at (\S+?)(?:, line (\d+) col (\d+))?: (.*)$/gm)].map(
    ([, path = '', line, column, text = '']) => ({ path, line, column, text }),
  )
  const long = [
    ...said.matchAll(/^warning\[(\S+?)\]:\n\s*--> .*?:(\d+):(\d+)\n(?:.*\n)*?.*\^+ ?(.*)$/gm),
  ].map(([, path = '', line, column, text = '']) => ({ path, line, column, text }))
  return [...short, ...long].map(({ path, line, column, text }) => ({
    severity: 'warning',
    path,
    ...(line === undefined ? {} : { line: Number(line), column: Number(column) }),
    text: conceal(text),
  }))
}
