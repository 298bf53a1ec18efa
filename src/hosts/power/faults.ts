import { Fault } from '../../runbook/fault.ts'

/** Nothing answers, or not in time, or the line broke. */
export function unreachable(where: string, cause: unknown): Fault {
  return new Fault({
    code: 'power-unreachable',
    blame: 'network',
    message: `${where} does not answer`,
    remedy: 'Check that its network port has a link and that its address in recover.yaml is right',
    cause,
    transient: true,
  })
}

/** Not tried again by itself: BMCs lock an account after a few wrong passwords. */
export function loginRefused(where: string, said: string): Fault {
  return new Fault({
    code: 'power-login-refused',
    blame: 'operator',
    message: `${where} refused our login${saying(said)}`,
    remedy:
      'Check the account and its password (hosts.NAME.power.credentials names the secret), and that it may switch the machine; it is not tried again by itself, since a few wrong passwords lock the account',
  })
}

/** It was understood and not done. */
export function refused(where: string, what: string, said: string): Fault {
  return new Fault({
    code: 'power-refused',
    blame: 'host',
    message: `${where} refused to ${what}${saying(said)}`,
    remedy: 'Look at its web page (licence, rights of the account, its log), or switch the machine by hand',
  })
}

/** It was taken and nothing came of it. */
export function withoutEffect(where: string, what: string, instead: string, limitMs: number): Fault {
  return new Fault({
    code: 'power-without-effect',
    blame: 'host',
    message: `${where} took the order to ${what}, and after ${Math.round(limitMs / 1000)} s ${instead}`,
    remedy:
      'Look at the machine itself; a BMC that hangs comes back when the machine was without mains for a minute',
  })
}

/** It is not among the things that can be ordered there. */
export function notOffered(where: string, what: string, offers: string): Fault {
  return new Fault({
    code: 'power-not-offered',
    blame: 'operator',
    message: `${where} cannot ${what}: ${offers}`,
    remedy: 'Do that by hand, or choose another rung in install of this host',
  })
}

function saying(said: string): string {
  return said === '' ? '' : `: ${said}`
}
