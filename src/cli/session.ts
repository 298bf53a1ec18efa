import type { ConsentDesk } from '../runbook/consent.ts'
import { milliseconds } from '../runbook/duration.ts'
import type { EventSink } from '../runbook/events.ts'
import { Fault } from '../runbook/fault.ts'
import { askAtTerminal, chooseView } from '../views/terminal.ts'
import { stopSignals } from './signals.ts'

/** Runs an action with a view and with signals that stop it, and clears both away whatever happens. */
export async function withSession<T>(
  flags: { 'json-into'?: string | undefined; 'lock-timeout': string; plain: boolean },
  version: string,
  action: (session: {
    stop: AbortSignal
    now: AbortSignal
    sink: EventSink
    consent: ConsentDesk
    lockTimeoutMs: number
    program: string
  }) => Promise<T>,
): Promise<T> {
  const view = chooseView({ jsonInto: flags['json-into'], plain: flags.plain })
  const signals = stopSignals()
  try {
    return await action({
      stop: signals.stop,
      now: signals.now,
      sink: event => view.event(event),
      consent: askAtTerminal,
      lockTimeoutMs: duration(flags['lock-timeout']),
      program: version,
    })
  } finally {
    signals.release()
    await view.close()
  }
}

function duration(text: string): number {
  try {
    return milliseconds(text)
  } catch (cause) {
    throw new Fault({
      code: 'duration-invalid',
      blame: 'operator',
      message: `--lock-timeout: ${(cause as Error).message}`,
      remedy: 'Write a number and a unit: 30s, 10m, 1h',
    })
  }
}
