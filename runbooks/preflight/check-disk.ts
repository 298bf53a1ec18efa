import { z } from 'zod'
import { resolveDisk } from '../../src/hosts/resolve-disk.ts'
import { showBytes } from '../../src/hosts/victims.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done } from '../../src/runbook/step.ts'
import { eachHost } from '../hosts/each-host.ts'
import { step } from '../kit.ts'
import { asWarning } from './findings.ts'

/**
 * A machine that answers has the one disk that recover.yaml names: a wrong serial is found before anything is switched
 * off, not when the disk is to be written. One that does not answer cannot be asked.
 */
export const checkDisk = step({
  id: 'preflight/check-disk',
  title: host => `Check that ${host.name} has the disk that is named`,
  byHand:
    '`lsblk -d -o NAME,SIZE,MODEL,SERIAL` on each machine must show the serial that recover.yaml names, once.',
  each: eachHost,
  danger: 'reads',
  bounds: { expected: '2s', limit: '2m' },
  retry: { times: 3, delay: '2s' },
  uses: host => [`host:${host.name}`],
  output: z.strictObject({ disk: z.string().optional() }),
  async observe({ host, hosts, cluster, signal }) {
    const { name } = host
    const entry = cluster.entry.hosts[name]!
    try {
      const facts = await hosts.anyone(name, signal, h => h.facts(signal))
      const disk = resolveDisk(facts, entry.disk, name)
      return done(
        { disk: disk.name },
        `on ${name} it is /dev/${disk.name} now (${disk.model}, ${showBytes(disk.sizeBytes)})`,
      )
    } catch (thrown) {
      if (!(thrown instanceof Fault) || signal.aborted || !nobodyThere.has(thrown.code)) throw thrown
      return done({}, `nothing on ${name} can be asked for its disks: ${thrown.message}`, {
        warnings: [
          asWarning(thrown, `whether ${name} has the disk that is named is not known: ${thrown.message}`),
        ],
      })
    }
  },
})

const nobodyThere = new Set([
  'host-unreachable',
  'host-off',
  'host-silent',
  'host-line-lost',
  'host-auth-refused',
  'ssh-refused',
  'ssh-throttled',
  'ssh-jump-failed',
])
