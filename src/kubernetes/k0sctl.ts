import { join } from 'node:path'
import { parse } from 'yaml'
import { Fault } from '../runbook/fault.ts'
import { goYaml } from './go-yaml.ts'
import type { K0sctlRoute } from './k0sctl-document.ts'
import { type K0sctl, type K0sctlEnd, type K0sctlOptions, runK0sctl } from './k0sctl-process.ts'

/** What one apply is to do beyond the document. */
export interface ApplyFlags {
  /** Install over a service that is there and does not run: what a kill between `k0s install` and its start leaves. */
  force?: boolean
  /** Absolute path of a `k0s backup` archive, restored on the first controller; left aside where k0s runs there. */
  restoreFrom?: string
}

/**
 * Runs `k0sctl apply --no-wait`: nodes cannot become Ready before there is a network. Returns undefined when it says that
 * it is through, otherwise what it says is wrong; neither is to be believed before the hosts have been looked at.
 */
export async function applyK0sctl(
  k0sctl: K0sctl,
  document: Record<string, unknown>,
  routes: readonly K0sctlRoute[],
  { force, restoreFrom }: ApplyFlags,
  options: K0sctlOptions,
): Promise<Fault | undefined> {
  const args = [
    'apply',
    '--no-wait',
    ...(force ? ['--force'] : []),
    ...(restoreFrom === undefined ? [] : ['--restore-from', restoreFrom]),
  ]
  return faultOf(await runK0sctl(k0sctl, args, document, routes, options), k0sctl)
}

/**
 * The admin kubeconfig, as text, for the API at `server` (`https://192.0.2.11:6443`; k0sctl takes it as it is). Only the
 * first controller has to be alive. Throws Fault: what k0sctl says is wrong, `kubeconfig-unusable`.
 */
export async function fetchKubeconfig(
  k0sctl: K0sctl,
  document: Record<string, unknown>,
  routes: readonly K0sctlRoute[],
  server: string | undefined,
  options: K0sctlOptions,
): Promise<string> {
  const args = ['kubeconfig', ...(server === undefined ? [] : ['--address', server])]
  const end = await runK0sctl(k0sctl, args, document, routes, options)
  const fault = faultOf(end, k0sctl)
  if (fault || end.state !== 'ended') throw fault
  checkKubeconfig(end.stdout, server)
  return end.stdout
}

interface Kubeconfig {
  'current-context'?: string
  contexts?: { name?: string; context?: { cluster?: string; user?: string } }[]
  clusters?: { name?: string; cluster?: { server?: string; 'certificate-authority-data'?: string } }[]
  users?: { name?: string; user?: Record<string, string> }[]
}

/** Throws Fault `kubeconfig-unusable`, never with anything of the text. */
export function checkKubeconfig(text: string, server: string | undefined): void {
  const lacking = lacks(text, server)
  if (lacking !== undefined) throw unusable(lacking)
}

/** Fault `kubeconfig-unusable`; another one may be better. */
export function unusable(why: string, cause?: unknown): Fault {
  return new Fault({
    code: 'kubeconfig-unusable',
    blame: 'host',
    message: `the kubeconfig that k0sctl gave cannot be used: ${why}`,
    remedy:
      'Look at the first controller: `sudo k0s kubeconfig admin` must print a whole kubeconfig there; then run `recover resume`',
    transient: true,
    cause,
  })
}

function lacks(text: string, server: string | undefined): string | undefined {
  let config: Kubeconfig
  try {
    config = parse(text, goYaml) as Kubeconfig
  } catch {
    return 'it is no YAML'
  }
  if (config === null || typeof config !== 'object') return 'it is empty'
  const context = config.contexts?.find(c => c.name === config['current-context'])?.context
  const cluster = config.clusters?.find(c => c.name === context?.cluster)?.cluster
  const user = config.users?.find(u => u.name === context?.user)?.user
  if (!context || !cluster) return 'it names no cluster'
  if (!cluster['certificate-authority-data']) return 'it has no certificate of the cluster’s own authority'
  if (server !== undefined && cluster.server !== server)
    return `it leads to ${cluster.server ?? 'nowhere'} and not to ${server}`
  if (!user?.token && !(user?.['client-certificate-data'] && user['client-key-data']))
    return 'it has no credentials'
  return undefined
}

/** What k0sctl says of itself, as a fault; undefined when it says that all went well. */
function faultOf(end: K0sctlEnd, k0sctl: K0sctl): Fault | undefined {
  const log = `Its whole log is ${join(k0sctl.folder, 'cache', 'k0sctl', 'k0sctl.log')}`
  if (end.state === 'hung')
    return new Fault({
      code: 'k0sctl-hung',
      blame: 'host',
      message: `k0sctl was ended${inPhase(end.phase)}: ${end.why}`,
      remedy: `See whether a machine vanished in the middle (k0sctl waits for it for ever). ${log}. Then run \`recover resume\`: what was left half done is looked at and finished`,
    })
  if (end.state === 'killed')
    return new Fault({
      code: 'k0sctl-killed',
      blame: 'operator',
      message: `k0sctl was ended by ${end.signal}${inPhase(end.phase)}, and not by recover`,
      remedy: `See who ended it: this computer may have run out of memory. ${log}. Then run \`recover resume\`: what was left half done is looked at and finished`,
    })
  return end.exitCode === 0 ? undefined : failed(end, log)
}

function inPhase(phase: string): string {
  return phase === '' ? '' : ` in its phase “${phase}”`
}

/** k0sctl's own words, made short: the reasons after `failed on N hosts`. */
function failed({ stdout, stderr }: { stdout: string; stderr: string }, log: string): Fault {
  const fatal =
    /level=fatal msg="(.*)"\s*$/m.exec(stdout)?.[1] ?? `${stdout}\n${stderr}`.trim().split('\n').at(-1) ?? ''
  const reason = fatal
    .replaceAll(/\\n\s*/g, ' ')
    .replaceAll('\\"', '"')
    .replace(/^apply failed - log file saved to \S+: /, '')
    .trim()
  if (/config validation failed/.test(reason))
    return new Fault({
      code: 'k0s-config-invalid',
      blame: 'operator',
      message: `k0sctl: ${reason}`,
      remedy:
        'Mend spec.k0s.config in k0sctl.yaml; nothing was changed on the machines. Then run `recover resume`',
    })
  if (/using the join token - check networking/.test(reason))
    return new Fault({
      code: 'worker-cannot-reach-api',
      blame: 'network',
      message: `k0sctl: ${reason}`,
      remedy:
        'Mend the way from that machine to port 6443 of the controller (firewall, routes, spec.api.address), then run `recover resume`',
    })
  if (/clock skew/i.test(reason))
    return new Fault({
      code: 'clock-skew',
      blame: 'host',
      message: `k0sctl: ${reason}`,
      remedy:
        'Set that machine’s clock: `sudo chronyc makestep`, or `sudo timedatectl set-ntp true` and wait; then run `recover resume`',
    })
  return new Fault({
    code: 'k0sctl-failed',
    blame: 'host',
    message: `k0sctl: ${reason}`,
    remedy: `${log}; mend what it names, then run \`recover resume\``,
    transient: /connection|timeout|deadline|without exit status|not ready|Job for \S+ failed/i.test(reason),
  })
}
