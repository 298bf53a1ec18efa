import { Fault } from './fault.ts'
import type { Plan } from './plan.ts'
import type { Victim } from './step.ts'

/** Asks a person whether these victims may be destroyed. Undefined means no. */
export type ConsentDesk = (request: ConsentRequest) => Promise<ConsentAnswer | undefined>

export interface ConsentRequest {
  victims: Victim[]
  plan?: Plan
}

export interface ConsentAnswer {
  /** Who said yes, for the record. */
  by: string
  how: 'typed' | 'plan' | 'rehearsed'
  /** Hash of the approved plan, with `how: 'plan'`. */
  plan?: string
}

/** A desk where nobody sits: unattended runs destroy only what an approved plan names. */
export const nobody: ConsentDesk = async () => undefined

/**
 * Compares a victim as it is now with the one that was agreed to.
 * Throws Fault `victim-differs` when it is another one, always; `victim-content-changed` when it is the same with other
 * content, unless `ours` says that our own intent to write it is journalled.
 */
export function compareVictim(agreed: Victim, now: Victim, ours: boolean): 'same' | 'ours' {
  const differing = [...new Set([...Object.keys(agreed.identity), ...Object.keys(now.identity)])].filter(
    k => agreed.identity[k] !== now.identity[k],
  )
  if (differing.length > 0)
    throw new Fault({
      code: 'victim-differs',
      blame: 'operator',
      message: `${now.kind} ${now.name} is not the one that was agreed to: ${differing
        .map(k => `${k} was ${agreed.identity[k] ?? 'not there'} and is ${now.identity[k] ?? 'not there'}`)
        .join(', ')}; nothing was written to it`,
      remedy:
        'Look at the machine: a disk was exchanged, or another machine answers at this address. When it is as you want it, run `recover resume`, or start a new run to agree to the other one',
    })
  if (now.content.join('\n') === agreed.content.join('\n')) return 'same'
  if (ours) return 'ours'
  throw new Fault({
    code: 'victim-content-changed',
    blame: 'operator',
    message: `${now.kind} ${now.name} holds something else than when you agreed: then [${agreed.content.join('; ')}], now [${now.content.join('; ')}]; nothing was written to it`,
    remedy: 'Make sure that nothing on it is needed, then start a new run and agree to what is there now',
  })
}

/** The agreed victim of the same kind and name, if any. */
export function agreedTo(consents: Victim[], victim: Victim): Victim | undefined {
  return consents.find(c => c.kind === victim.kind && c.name === victim.name)
}
