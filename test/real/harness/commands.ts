import { execFile, execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** Runs a program to its end and gives what it printed; throws with what it complained about. */
export function run(program: string, ...args: string[]): string {
  return runWith({}, program, ...args)
}

/** As {@link run}, with input, a time limit (60 s by default) or another folder. */
export function runWith(
  options: { input?: string | Buffer; timeoutMs?: number; cwd?: string },
  program: string,
  ...args: string[]
): string {
  return execFileSync(program, args, {
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
    maxBuffer: 64 << 20,
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
}

/** As {@link run}, for what takes longer: nothing else in this process stands still meanwhile. */
export function running(program: string, args: string[], timeoutMs: number, input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const { stdin } = execFile(
      program,
      args,
      { encoding: 'utf8', timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 << 20 },
      (error, stdout, stderr) =>
        error
          ? reject(new Error(`${program} ${args.join(' ')}: ${error.message}\n${stderr}`, { cause: error }))
          : resolve(stdout),
    )
    stdin?.end(input)
  })
}

/**
 * Waits by the clock until a probe gives something. Ends at once when `alive` says why there is nothing to wait for any
 * more.
 */
export async function until<T>(
  what: string,
  timeoutMs: number,
  probe: () => T | undefined | Promise<T | undefined>,
  { everyMs = 100, dead }: { everyMs?: number; dead?: () => string | undefined } = {},
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  let last: unknown
  while (true) {
    try {
      const found = await probe()
      if (found !== undefined) return found
    } catch (thrown) {
      last = thrown
    }
    const why = dead?.()
    if (why !== undefined) throw new Error(`waited for ${what}, which cannot come any more: ${why}`)
    if (Date.now() > deadline)
      throw new Error(`waited ${timeoutMs} ms for ${what} in vain`, last === undefined ? {} : { cause: last })
    await sleep(everyMs)
  }
}
