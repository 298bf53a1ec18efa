import { dirname } from 'node:path'
import { z } from 'zod'
import { k0sctlDangers } from '../../src/cluster/k0sctl-dangers.ts'
import { done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { refused, type Told } from './findings.ts'

/** The release whose behaviour recover is built on. */
const known = '0.32'

/** k0sctl is there, is one that is known, and is told nothing that goes badly with a recovery. */
export const checkK0sctl = step({
  id: 'preflight/check-k0sctl',
  title: 'Check k0sctl and k0sctl.yaml',
  byHand: '`k0sctl version`; in k0sctl.yaml spec.k0s.version must be exact, and no file may come from a URL.',
  serves: ['kubernetes'],
  danger: 'reads',
  bounds: { expected: '1s', limit: '1m' },
  output: z.strictObject({ version: z.string() }),
  async observe({ cluster, k0sctl, signal }) {
    const file = cluster.entry.k0sctl
    const ownSsh = cluster.entry.ssh?.transport === 'openssh'
    const dangers = k0sctlDangers(cluster.k0sctl, dirname(cluster.resolve(file)), ownSsh)
    const told = (refuse: boolean): Told[] =>
      dangers
        .filter(d => d.refused === refuse)
        .map(({ at, message, remedy }) => ({
          code: 'k0sctl-file-unfit',
          blame: 'operator',
          message: `${at}: ${message}`,
          remedy,
        }))
    const [first, ...others] = told(true)
    if (first) return refused([first, ...others])
    const version = await k0sctl.version(signal)
    const warnings = told(false)
    const age = compareWithKnown(version)
    if (age !== 0)
      warnings.push({
        code: 'k0sctl-version-untested',
        blame: 'operator',
        message: `k0sctl ${version} is ${age < 0 ? 'older' : 'newer'} than ${known}, whose ways recover knows; it may behave otherwise when something goes wrong`,
        remedy: `Have k0sctl ${known} at hand and name it in recover.yaml (tools.k0sctl)`,
      })
    return done({ version }, `k0sctl ${version} installs k0s ${cluster.k0sctl.version}`, { warnings })
  },
})

/** Below 0: older than the release that is known; above: newer. A version that is no number is a build of one's own. */
function compareWithKnown(version: string): number {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [knownMajor = 0, knownMinor = 0] = known.split('.').map(Number)
  if (Number.isNaN(major) || Number.isNaN(minor)) return 1
  return Math.sign(major - knownMajor || minor - knownMinor)
}
