import { z } from 'zod'
import { assertSameMachine } from '../../src/hosts/power/identity.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { blocked, done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'

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
  async observe({ cluster, hosts, run, signal }) {
    const ways: Record<string, string[]> = {}
    const remarks: string[] = []
    for (const name of cluster.k0sctl.hosts.map(h => h.name)) {
      // What is this run's machine already needs no way any more.
      const probe = await hosts.probe(name, signal)
      if (probe.state === 'answers') {
        const facts = await hosts.ours(name, signal, h => h.facts(signal))
        if (facts.run?.run === run.id) {
          ways[name] = []
          continue
        }
      }
      const situation = await hosts.situation(name, signal)
      const rungs = await hosts.ladder(name, signal)
      const power = hosts.power(name)
      let powerFails: string | undefined
      if (power && power.kind !== 'wake-on-lan')
        try {
          const identity = await power.identity(signal)
          assertSameMachine(name, power.where, identity, situation.known, situation.vouched)
        } catch (thrown) {
          if (!(thrown instanceof Fault) || signal.aborted) throw thrown
          // A BMC of another machine is a mistake in recover.yaml, whatever else would work.
          if (thrown.code === 'power-other-machine') throw thrown
          powerFails = thrown.message
        }
      const byPower = (rung: string) =>
        rung === 'virtual-media' || (rung === 'pxe' && power !== undefined && power.kind !== 'wake-on-lan')
      const can = rungs.filter(r => r.refuses === undefined && !(powerFails && byPower(r.name)))
      for (const rung of rungs) {
        const why = rung.refuses ?? (powerFails && byPower(rung.name) ? powerFails : undefined)
        if (why !== undefined) remarks.push(`${rung.name} cannot be used for ${name}: ${why}`)
      }
      if (can.length === 0)
        return blocked(
          'no-way-to-install',
          `none of the ways to install ${name} can be tried: ${rungs.map(r => `${r.name}: ${r.refuses ?? powerFails}`).join('; ')}`,
          'Mend what one of them says, or add by-hand to hosts.….install',
        )
      ways[name] = can.map(r => r.name)
    }
    const said = Object.entries(ways).map(([name, can]) =>
      can.length === 0 ? `${name} is installed already` : `${name} by ${can.join(', then ')}`,
    )
    return done({ ways }, [said.join('; '), ...remarks].join('. '))
  },
})
