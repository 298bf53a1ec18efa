import type { K0sHost } from '../../src/cluster/k0sctl-file.ts'
import type { K0sState } from '../../src/hosts/k0s-state.ts'
import { Fault } from '../../src/runbook/fault.ts'

/** k0s on one machine of the cluster, seen just now, and our clock at that moment. */
export interface Seen {
  host: K0sHost
  k0s: K0sState
  /** Of this computer, half way between asking and answer; seconds since 1970. */
  askedAt: number
}

/** k0sctl refuses more than this between a machine's clock and the median of all. */
const toleratedSkew = 30

/** Throws the Fault that keeps k0sctl from being run at all, or that it would make worse. */
export function refuseTroubles(seen: readonly Seen[], run: string): void {
  for (const each of seen) {
    refuseForeignData(each, run)
    refuseOrphans(each)
    refuseOtherRole(each)
  }
  refuseSkew(seen)
}

function refuseForeignData({ host, k0s }: Seen, run: string): void {
  if (k0s.data.length === 0 || k0s.begunBy === run) return
  const cluster =
    k0s.clusterUid === undefined ? '' : ` of the cluster whose kube-system has the UID ${k0s.clusterUid}`
  throw new Fault({
    code: 'old-control-plane-found',
    blame: 'operator',
    message: `${host.name} carries ${host.role === 'worker' ? 'the data of a node' : 'a control plane’s data'}${cluster} (${k0s.data.join(', ')}) that this run did not put there; it was neither joined nor wiped`,
    remedy: `If it is what you want to keep, do not run this: start k0s on ${host.name} and look. If it may go, save ${host.dataDir} elsewhere, remove it there and reboot ${host.name}; then run \`recover resume\``,
  })
}

function refuseOrphans({ host, k0s }: Seen): void {
  if (k0s.service !== undefined || k0s.processes.length === 0) return
  throw new Fault({
    code: 'k0s-running-uninstalled',
    blame: 'host',
    message: `on ${host.name} k0s runs and is not installed as a service, as after a clean-up of k0sctl that came too early: ${k0s.processes.join('; ')}`,
    remedy: `Reboot ${host.name} (\`sudo systemctl reboot\`), then run \`recover resume\`: k0s is installed there anew`,
  })
}

function refuseOtherRole({ host, k0s }: Seen): void {
  const wanted = host.role === 'worker' ? 'k0sworker' : 'k0scontroller'
  if (k0s.service === undefined || k0s.service.unit === wanted) return
  throw new Fault({
    code: 'k0s-other-role',
    blame: 'operator',
    message: `${host.name} is to be ${host.role} and has the service ${k0s.service.unit}`,
    remedy: `Set its role right in k0sctl.yaml, or on ${host.name} run \`sudo k0s stop\`, \`sudo k0s reset\` and reboot it; then run \`recover resume\``,
  })
}

/** Against the median, as k0sctl does; where two disagree, this computer's clock says which one is off. */
function refuseSkew(seen: readonly Seen[]): void {
  const ahead = seen.map(({ host, k0s, askedAt }) => ({ host, seconds: Math.round(k0s.clock - askedAt) }))
  const sorted = ahead.map(a => a.seconds).sort((a, b) => a - b)
  if ((sorted.at(-1) ?? 0) - (sorted[0] ?? 0) <= toleratedSkew) return
  const median = seen.length > 2 ? (sorted[Math.floor(sorted.length / 2)] ?? 0) : 0
  const off = ahead.filter(({ seconds }) => Math.abs(seconds - median) > toleratedSkew)
  const [first] = off
  if (!first) return
  throw new Fault({
    code: 'clock-skew',
    blame: 'host',
    message: `the clock of ${off.map(({ host, seconds }) => `${host.name} is ${Math.abs(seconds - median)} s ${seconds < median ? 'behind' : 'ahead'}`).join(', of ')}; k0sctl and certificates bear ${toleratedSkew} s`,
    remedy: `Set it on ${off.map(o => o.host.name).join(' and ')}: \`sudo chronyc makestep\`, or \`sudo timedatectl set-ntp true\` and see \`timedatectl status\`; then run \`recover resume\``,
  })
}

/** What a host lacks after k0sctl has ended; undefined when its k0s does what it is there for. */
export function standsStill({ host, k0s }: Seen): Fault | undefined {
  if (k0s.service?.active === 'active' && k0s.answersAs !== undefined) return undefined
  const [what, log] =
    k0s.version === undefined
      ? ['has no program k0s', '']
      : k0s.service === undefined
        ? ['has the program k0s, and no service of it', '']
        : [`has ${k0s.service.unit} installed, and it is ${k0s.service.active}`, k0s.service.unit]
  return new Fault({
    code: 'k0s-not-running',
    blame: 'host',
    message: `${host.name} ${what}`,
    remedy: log
      ? `See why on ${host.name}: \`sudo journalctl -u ${log} -n 100\`; then run \`recover resume\``
      : 'Run `recover resume`: k0sctl goes on where it was',
    transient: true,
  })
}
