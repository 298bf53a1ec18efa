import { Fault } from '../../runbook/fault.ts'
import type { ButaneMessage } from '../butane/messages.ts'

/** `lithium.bu:6:13`, or the file where a message has no place. */
export function placeOf({ line, column }: ButaneMessage, shown: string): string {
  return line === undefined ? shown : `${shown}:${line}${column === undefined ? '' : `:${column}`}`
}

/** A Butane file that does not compile. `said` must hold no secret. */
export function butaneFailed(shown: string, said: string, at = shown): Fault {
  const missing = /open (\S+): no such file or directory/.exec(said)?.[1]
  return new Fault({
    code: 'butane-failed',
    blame: 'operator',
    message: `${shown} does not compile:\n${said}`,
    remedy: missing
      ? `Put ${missing} back: Git may ignore it because it is a secret, and then only a backup has it`
      : 'Mend each place; nothing was changed',
    at,
  })
}
