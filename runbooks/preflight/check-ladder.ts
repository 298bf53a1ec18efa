import { z } from 'zod'
import { assertSameMachine } from '../../src/hosts/power/identity.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { blocked, done } from '../../src/runbook/step.ts'
import { type Readers, step } from '../kit.ts'
import type { Told } from './findings.ts'

/**
 * Every host has at least one way to be installed that can work now: what it needs is there, and its BMC answers and is
 * the right machine's. A way that cannot is said, because the one that is left may need a person with a stick.
 */
export const checkLadder = step({
  id: 'preflight/check-ladder',
  title: 'Check the ways to install each host',
  byHand: 'See that a Flatcar stick is at hand for each machine, or that its BMC lets you in.',
  danger: 'reads',
  bounds: { expected: '5s', limit: '10m' },
  retry: { times: 3, delay: '5s' },
  output: z.strictObject({ ways: z.record(z.string(), z.array(z.string())) }),
  async observe(look) {
    const names = look.cluster.k0sctl.hosts.map(h => h.name)
    const found = await Promise.all(names.map(name => waysTo(name, look)))
    const stuck = found.filter(f => f.can.length === 0 && !f.needsNone)
    if (stuck.length > 0)
      return blocked(
        'no-way-to-install',
        stuck
          .map(f => `none of the ways to install ${f.name} can be tried: ${f.cannot.join('; ')}`)
          .join('\n'),
        'Mend what one of them says, or add by-hand to hosts.….install',
      )
    const warnings = found.flatMap(f => [
      ...(f.power ? [f.power] : []),
      ...(f.cannot.length > 0 && f.can.every(way => way === 'by-hand') ? [onlyByHand(f)] : []),
    ])
    const said = found.map(f =>
      f.needsNone === undefined ? `${f.name} by ${f.can.join(', then ')}` : `${f.name} ${f.needsNone}`,
    )
    const remarks = found.flatMap(f => f.cannot.map(why => `${f.name} cannot be installed by ${why}`))
    return done(
      { ways: Object.fromEntries(found.map(f => [f.name, f.can])) },
      [said.join('; '), ...remarks].join('. '),
      { warnings },
    )
  },
})

interface Ways {
  name: string
  /** Why it needs no way any more: it is this run's machine already, or on its way to be it. */
  needsNone?: string
  can: string[]
  /** Each way that cannot be tried, and why. */
  cannot: string[]
  /** Why its BMC cannot be used. */
  power?: Told
}

function onlyByHand({ name, cannot }: Ways): Told {
  return {
    code: 'only-by-hand',
    blame: 'operator',
    message: `only a person with a stick could install ${name} now (${cannot.join('; ')})`,
    remedy: 'Have the stick at hand, or mend what one of the other ways says',
  }
}

async function waysTo(
  name: string,
  { hosts, run, signal }: Pick<Readers, 'hosts' | 'run'> & { signal: AbortSignal },
): Promise<Ways> {
  const probe = await hosts.probe(name, signal)
  if (probe.state === 'answers') {
    const facts = await hosts.ours(name, signal, h => h.facts(signal))
    if (facts.run?.run === run.id) return { name, needsNone: 'is installed already', can: [], cannot: [] }
  }
  const situation = await hosts.situation(name, signal)
  if (!situation.seen && hosts.away(name)) {
    const needsNone = 'is waited for, which this run told to boot another system'
    return { name, needsNone, can: [], cannot: [] }
  }
  const rungs = await hosts.ladder(name, signal)
  const power = hosts.power(name)
  let powerFails: Fault | undefined
  if (power && power.kind !== 'wake-on-lan')
    try {
      const identity = await power.identity(signal)
      assertSameMachine(name, power.where, identity, situation.known, situation.vouched)
    } catch (thrown) {
      if (!(thrown instanceof Fault) || signal.aborted) throw thrown
      // A BMC of another machine is a mistake in recover.yaml, whatever else would work.
      if (thrown.code === 'power-other-machine') throw thrown
      powerFails = thrown
    }
  const byPower = (rung: string) =>
    rung === 'virtual-media' || (rung === 'pxe' && power !== undefined && power.kind !== 'wake-on-lan')
  const can: string[] = []
  const cannot: string[] = []
  for (const rung of rungs) {
    const why = rung.refuses ?? (byPower(rung.name) ? powerFails?.message : undefined)
    if (why === undefined) can.push(rung.name)
    else cannot.push(`${rung.name}: ${why}`)
  }
  return { name, can, cannot, ...(powerFails ? { power: powerFails } : {}) }
}
