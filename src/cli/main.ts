import { Config, type Interfaces, run, ux } from '@oclif/core'
import { outliveReaders } from '../views/terminal.ts'
import { type Thrown, tellError, unknownCommand } from './tell-error.ts'

/**
 * Carries out one command line. Whatever goes wrong is told as the errors of a command are, in text or as JSON, and that
 * is true of what oclif itself does not understand, too. Sets `process.exitCode` and leaves ending to Node, so that what
 * is written to a pipe arrives whole.
 */
export async function main(typed: string[], from: Interfaces.LoadOptions): Promise<void> {
  outliveReaders()
  const argv = typed[0] === 'help' ? [...typed.slice(1), '--help'] : typed
  try {
    await run(argv, from)
  } catch (thrown) {
    const error = thrown as Thrown & { code?: string }
    // `this.exit(0)`, as after --help.
    if (error.code === 'EEXIT') process.exitCode = error.oclif?.exit ?? 0
    else await explain(error, argv, from)
  }
}

async function explain(error: Thrown, argv: string[], from: Interfaces.LoadOptions): Promise<void> {
  const ours = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv
  const json = ours.includes('--json')
    ? { json: (value: object) => ux.stdout(JSON.stringify(value, null, 2)) }
    : {}
  const [, unknown] = /^command (.+) not found\.?$/i.exec(error.message) ?? []
  if (unknown === undefined) return tellError(error, { command: '', known: [], ...json })
  const { commandIDs } = await Config.load(from)
  const fault = unknownCommand(
    unknown.replaceAll(':', ' '),
    commandIDs.map(id => id.replaceAll(':', ' ')),
  )
  tellError(fault, { command: '', known: [], ...json })
}
