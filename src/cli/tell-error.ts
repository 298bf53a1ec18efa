import { nearest } from '../cluster/nearest.ts'
import { Fault, type FaultJson, toFault } from '../runbook/fault.ts'
import { tell } from '../views/terminal.ts'
import { exitCodeOf, exitCodes } from './exit-codes.ts'

/** What oclif throws: with an exit code where the person typed something that it does not understand. */
export type Thrown = Error & { oclif?: { exit?: number | undefined }; flags?: string[] }

/**
 * Tells a person what ended a command, or gives a program the same as JSON by `json`, and sets the exit code, which does
 * not depend on that. Expected errors have a code; a stack is shown for bugs alone.
 * @param command as it is typed after `recover`; empty when none was understood
 * @param known flags, as they are typed, that the command has
 */
export function tellError(
  thrown: Thrown,
  { command, json, known }: { command: string; json?: (value: object) => void; known: string[] },
): void {
  const fault = thrown.oclif?.exit === undefined ? toFault(thrown, command || 'recover') : undefined
  const told = fault?.toJSON() ?? misunderstood(thrown, command, known)
  const exit = fault ? exitCodeOf(fault) : exitCodes.usage
  process.exitCode = exit
  if (json) json({ error: told, exit })
  else {
    // What was typed wrong needs no code to be looked up by.
    const code = fault ? ` [${fault.code}]` : ''
    tell(`\nError: ${safe(told.message)}${code}\nWhat to do: ${safe(told.remedy)}\n`)
  }
  if (fault?.code === 'bug' && !(thrown instanceof Fault)) tell(`${thrown.stack}\n`)
}

/** Text that may quote what a machine answered, of which nothing may act on the terminal; lines stay lines. */
function safe(text: string): string {
  return text
    .replaceAll(/\u001b\[[0-?]*[ -/]*[@-~]/g, '')
    .replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
}

function misunderstood({ message, flags }: Thrown, command: string, known: string[]): FaultJson {
  const meant = flags?.flatMap(flag => nearest(flag, known) ?? []) ?? []
  return {
    code: 'usage',
    blame: 'operator',
    message: message
      .replace(/\n?See more help with --help$/, '')
      .replace(/^The following errors? occurred:\s+/, '')
      .replace(/\n\s+/g, '; ')
      .replace(/(required flag) (?=\w)/g, '$1 --'),
    remedy: `${meant.length > 0 ? `Did you mean ${meant.join(' and ')}? ` : ''}See ${['recover', command, '--help'].filter(Boolean).join(' ')}`,
  }
}

/** A command that there is none of, with the one that was most likely meant. */
export function unknownCommand(typed: string, commands: string[]): Fault {
  const meant = nearest(typed, commands) ?? nearest(typed.split(' ')[0] ?? '', commands)
  return new Fault({
    code: 'command-unknown',
    blame: 'operator',
    message: typed.startsWith('-') ? `recover itself has no flag ${typed}` : `there is no command ${typed}`,
    remedy: meant
      ? `Did you mean \`recover ${meant}\`? \`recover --help\` lists all commands`
      : '`recover --help` lists all commands',
  })
}
