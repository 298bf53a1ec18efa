import type { K0sHost } from '../../src/cluster/k0sctl-file.ts'
import { lockHost } from '../../src/hosts/host-lock.ts'
import type { ApplyFlags } from '../../src/kubernetes/k0sctl.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { Acting } from '../../src/runbook/step.ts'
import type { Writers } from '../kit.ts'
import { refuseTroubles, type Seen, standsStill } from './k0s-troubles.ts'
import { hostsIn, lookAtK0s, refuseUnreachableApi } from './look-at-k0s.ts'

type Act = Pick<Writers, 'cluster' | 'hosts' | 'k0sctl' | 'run'> & Pick<Acting, 'signal' | 'note' | 'wait'>

/**
 * Has k0sctl install what the controllers, or all machines, lack. Before it, what an interrupted one left is mended as far
 * as that is safe; after any end of it, good or bad, the machines are looked at. Throws the Fault that names what is wrong.
 */
export async function applyK0s(
  which: 'controllers' | 'all',
  act: Act,
  flags: ApplyFlags = {},
): Promise<void> {
  const asked = hostsIn(act.cluster, which)
  const seen = await lookAtK0s(act, asked, { reachApi: which === 'all' })
  refuseTroubles(seen, act.run.id)
  if (which === 'all') refuseUnreachableApi(seen, act.k0sctl.joinAddress())
  let force = false
  for (const each of seen) {
    await prepare(each, act)
    if (each.k0s.service !== undefined) force = !(await getsUp(each, act)) || force
  }
  if (which === 'controllers' && seen.every(s => s.k0s.service !== undefined) && !force) {
    act.note('every control plane is installed already: k0sctl, which would restart it, is not run')
    return
  }
  const said = await act.k0sctl.apply(which, { ...flags, ...(force ? { force } : {}) }, act.signal, act.note)
  await afterwards(said, asked, act)
}

/** Marks a machine as this run's and removes what nobody else would. */
async function prepare({ host, k0s }: Seen, { hosts, run, signal, note }: Act): Promise<void> {
  await hosts.changeOurs(host.name, signal, async h => {
    await lockHost(h, run.id, signal)
    if (k0s.data.length === 0) await h.markK0s(run.id, signal)
    if (k0s.leftovers.length === 0) return
    await h.dropLeftovers(k0s.leftovers, signal)
    note(`removed from ${host.name} what a killed k0sctl had half uploaded: ${k0s.leftovers.join(', ')}`)
  })
}

/**
 * Starts a service that is installed and does not run, and waits until `k0s status` answers: before that, k0sctl refuses
 * the machine. False when it does not get up; then installing over it (--force) is right, and only then.
 */
async function getsUp({ host, k0s }: Seen, act: Act): Promise<boolean> {
  const { service } = k0s
  if (service === undefined || k0s.answersAs !== undefined) return true
  try {
    if (service.active !== 'active') {
      await act.hosts.changeOurs(host.name, act.signal, h => h.startUnits([service.unit], act.signal))
      act.note(`started ${service.unit} on ${host.name}, which was installed and did not run`)
    }
    await act.wait(
      `k0s on ${host.name} to say what it does`,
      async () => {
        const [now] = await lookAtK0s(act, [host])
        return now?.k0s.answersAs
      },
      { limit: '3m' },
    )
    return true
  } catch (thrown) {
    if (act.signal.aborted || !(thrown instanceof Fault)) throw thrown
    if (thrown.code !== 'host-refused' && thrown.code !== 'wait-timed-out') throw thrown
    act.note(`${service.unit} on ${host.name} does not get up; k0sctl is to install over it`)
    return false
  }
}

/** k0sctl's exit code says little: a machine is what it is. */
async function afterwards(said: Fault | undefined, asked: readonly K0sHost[], act: Act): Promise<void> {
  let seen: Seen[]
  try {
    seen = await lookAtK0s(act, asked)
  } catch (thrown) {
    // A machine that does not answer is why k0sctl ended badly; the other way round it would hide the cause.
    if (said && thrown instanceof Fault && thrown.code !== 'host-unreachable') throw said
    throw thrown
  }
  refuseTroubles(seen, act.run.id)
  if (said?.code === 'k0sctl-hung' || said?.code === 'k0sctl-killed') throw said
  const still = seen.flatMap(s => standsStill(s) ?? [])
  // What was just started takes seconds to answer; what is not even installed comes by no waiting.
  const [lacking] = seen.filter(s => s.k0s.service === undefined).flatMap(s => standsStill(s) ?? [])
  if (!said && lacking) throw lacking
  if (said && still.length > 0) throw said
  if (said) act.note(`k0sctl ended badly, and every machine does what it is there for (${said.message})`)
}
