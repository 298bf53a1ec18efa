import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'vitest'
import type { Line } from './typist.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** How a started program ended. */
export interface Ended {
  exit: number | null
  stdout: string
  stderr: string
}

/** What may be done to a program while it runs. */
export interface Running {
  /** Sends a signal once the text stands on stderr. */
  signalAt(text: string, signal: NodeJS.Signals): void
}

// A rehearsal mostly waits; the others take a whole core. More at a time only take each other's time on a small machine.
let free = 3
const waiting: (() => void)[] = []

/**
 * Runs the built program as a shell would, with its state in a folder of its own and without a terminal. Killed when it
 * hangs.
 */
export async function recover(
  args: string[],
  state: string,
  meanwhile: (running: Running) => void = () => {},
): Promise<Ended> {
  if (free > 0) free -= 1
  else await new Promise<void>(resolve => waiting.push(resolve))
  try {
    return await ended(args, state, meanwhile)
  } finally {
    const next = waiting.shift()
    if (next) next()
    else free += 1
  }
}

/**
 * Types command lines one after another into one process of the built program. For lines whose own process nobody looks
 * at: they end by themselves, and all that they say is compared.
 */
export function typed(lines: Line[]): Promise<Ended[]> {
  const child = fork(join(root, 'dist/test/cli/typist.js'), {
    cwd: root,
    env: { PATH: process.env.PATH, NO_COLOR: '1', COLUMNS: '400' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`it ended with ${code} in the middle`)))
    child.once('message', ends => resolve(ends as Ended[]))
    child.send(lines)
  })
}

function ended(args: string[], state: string, meanwhile: (running: Running) => void): Promise<Ended> {
  const { PATH = '' } = process.env
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), ...args], {
    cwd: root,
    env: { PATH, HOME: state, XDG_STATE_HOME: state, NO_COLOR: '1', COLUMNS: '400' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 5 * 60_000,
    killSignal: 'SIGKILL',
  })
  const said = { stdout: '', stderr: '' }
  const orders: { text: string; signal: NodeJS.Signals }[] = []
  const obey = () => {
    while (orders[0] && said.stderr.includes(orders[0].text)) child.kill(orders.shift()!.signal)
  }
  collect(child, said, obey)
  meanwhile({
    signalAt(text, signal) {
      orders.push({ text, signal })
      obey()
    },
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', exit => resolve({ exit, ...said }))
  })
}

function collect(child: ChildProcess, said: { stdout: string; stderr: string }, heard: () => void): void {
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
      heard()
    })
}

/** A folder that is gone after the test. The test says so itself: several run at a time. */
export function scratch(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'recover-cli-'))
  test.onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
