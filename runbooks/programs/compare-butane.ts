import { z } from 'zod'
import { isButane } from '../../src/hosts/ignition/compile.ts'
import { firstDifference } from '../../src/hosts/ignition/difference.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, type Warning } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { asWarning } from '../preflight/findings.ts'

/**
 * Compiles every Butane file by the built-in compiler and by a program butane, where there is one, and compares. A
 * difference stops nothing: recover.yaml says which one is used.
 */
export const compareButane = step({
  id: 'programs/compare-butane',
  title: 'Compare the built-in Butane compiler with the program',
  danger: 'reads',
  bounds: { expected: '2s', limit: '10m' },
  output: z.strictObject({ compared: z.array(z.string()) }),
  async observe({ cluster, ignition, otherIgnition, signal }) {
    const program = cluster.entry.tools?.butane
    const used = program === undefined ? 'the built-in compiler' : `${program} (tools.butane)`
    const files = cluster.k0sctl.hosts.map(h => cluster.entry.hosts[h.name]?.ignition ?? '')
    const compared: string[] = []
    const warnings: Warning[] = []
    const same: string[] = []
    for (const { name } of cluster.k0sctl.hosts) {
      const { ignition: file = name } = cluster.entry.hosts[name] ?? {}
      const other = await otherIgnition(name, signal)
      if (!other) continue
      compared.push(file)
      if ('fault' in other) {
        warnings.push(asWarning(other.fault, `${other.by}, which is not used: ${other.fault.message}`))
        continue
      }
      const config = await ignition(name, signal)
        .then(compiled => compiled.config)
        .catch(unlessFault)
      // What the one that is used complains of, the check of the configs tells.
      if (config === undefined) continue
      const at = firstDifference(config, other.config)
      if (at === undefined) same.push(file)
      else
        warnings.push({
          code: 'butane-differs',
          blame: 'operator',
          message: `${file} gives another config by ${other.by} than by ${used}, first at ${at}; recover.yaml says to use ${used}`,
          remedy:
            program === undefined
              ? `Compare \`recover hosts ignition ${file}\` with \`butane ${file}\`; to use the program, name it in recover.yaml (tools.butane)`
              : `Compare \`recover hosts ignition ${file}\` with \`${program} ${file}\`; to use the built-in compiler, take tools.butane out of recover.yaml`,
        })
    }
    return done(
      { compared },
      compared.length === 0
        ? files.some(isButane)
          ? 'there is no program butane on PATH to compare with; the built-in compiler is used'
          : 'no host has a Butane file'
        : same.length === 0
          ? `no config could be found to be the same; ${used} is used`
          : `${used} is used, and the other gives the same config of ${same.join(', ')}`,
      { warnings },
    )
  },
})

function unlessFault(thrown: unknown): undefined {
  if (!(thrown instanceof Fault)) throw thrown
  return undefined
}
