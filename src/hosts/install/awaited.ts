import { Fault } from '../../runbook/fault.ts'
import type { WaitOptions } from '../../runbook/step.ts'
import type { FoundInstaller, Guidance, Hands, Situation } from './rung.ts'

/**
 * Waits until an installer answers. Ends early when the system that was there before has plainly booted again: Fault
 * `installer-not-booted`.
 * @param what for messages: what the machine was told to do
 */
export function awaitInstaller(
  { host, seen }: Situation,
  hands: Hands,
  { wait }: Guidance,
  what: string,
  limit: WaitOptions['limit'],
): Promise<FoundInstaller> {
  return wait(
    `an installer to answer on ${host}`,
    async () => {
      const installer = await hands.found()
      if (installer) return installer
      if (!seen) return undefined
      const now = await hands.look()
      if (!now || now.facts.bootId === seen.facts.bootId) return undefined
      throw new Fault({
        code: 'installer-not-booted',
        blame: 'host',
        message: `${host} ${what}, and booted ${now.facts.os.name || 'another system'} instead; nothing was written`,
        remedy: `Look at its console while it boots; another way to install is tried if recover.yaml gives one`,
      })
    },
    { every: '5s', ...(limit === undefined ? {} : { limit }) },
  )
}
