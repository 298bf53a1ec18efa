import { fileURLToPath } from 'node:url'
import type { Ended } from './program.ts'

/**
 * Types many command lines into the built program, one after another, in one process: starting it takes longer than what
 * most of them do. `node typist.js`; the lines come as JSON over its channel to the parent, how each ended goes back.
 */
export interface Line {
  args: string[]
  /** Its home and the folder that its state goes to. */
  state: string
}

const program = new URL('../../bundle/recover.js', import.meta.url)

process.once('message', async (lines: Line[]) => {
  const ends: Ended[] = []
  for (const [i, line] of lines.entries()) ends.push(await type(line, i))
  process.send?.(ends, () => process.disconnect())
})

async function type({ args, state }: Line, number: number): Promise<Ended> {
  const said = { stdout: '', stderr: '' }
  const { stdout, stderr } = process
  const spoken = { stdout: stdout.write, stderr: stderr.write }
  for (const name of ['stdout', 'stderr'] as const)
    process[name].write = ((text: string | Uint8Array) => {
      said[name] += typeof text === 'string' ? text : Buffer.from(text).toString()
      return true
    }) as typeof process.stdout.write
  process.argv = [process.execPath, fileURLToPath(program), ...args]
  Object.assign(process.env, { HOME: state, XDG_STATE_HOME: state })
  process.exitCode = undefined
  try {
    // The entry alone is evaluated anew; what it imports stays loaded.
    await import(`${program.href}?${number}`)
    return { exit: Number(process.exitCode ?? 0), ...said }
  } finally {
    stdout.write = spoken.stdout
    stderr.write = spoken.stderr
    process.exitCode = undefined
  }
}
