import { z } from 'zod'
import type { HostFacts } from '../../src/hosts/facts.ts'
import { type DiskSelector, resolveDisk } from '../../src/hosts/resolve-disk.ts'
import { fingerprintOfText } from '../../src/hosts/ssh.ts'
import { done, due } from '../../src/runbook/step.ts'
import { keepHostFiles } from '../evidence/survey-hosts.ts'
import { step } from '../kit.ts'
import { checkArtifacts } from '../preflight/check-artifacts.ts'
import { checkIgnitions } from '../preflight/check-ignition.ts'
import { checkManifests } from '../preflight/check-manifests.ts'
import { checkSecrets } from '../preflight/check-secrets.ts'
import { checkTang } from '../preflight/check-tang.ts'
import { fenceVolume } from '../protect/fence.ts'
import { eachHost } from './each-host.ts'

// What a system that was booted from a stick or over the network has as its root.
const inMemory = new Set(['tmpfs', 'ramfs', 'rootfs', 'overlay', 'squashfs'])

/** A system from which the host's disk can be written: it runs from memory, and nothing on that disk is mounted. */
export function isInstaller(facts: HostFacts, disk: DiskSelector, host: string): boolean {
  return inMemory.has(facts.rootFileSystem) && !resolveDisk(facts, disk, host).mounted
}

/** Gets an installer running on the machine, by the first rung that works. */
export const bringUpInstaller = step({
  id: 'hosts/bring-up-installer',
  title: host => `Get an installer running on ${host.name}`,
  byHand: 'Boot the machine from a Flatcar USB stick; log in as core.',
  each: eachHost,
  needs: [
    checkArtifacts,
    checkIgnitions,
    checkTang,
    checkManifests,
    checkSecrets,
    fenceVolume,
    keepHostFiles,
  ],
  danger: 'changes',
  bounds: { expected: '3m', limit: '4h' },
  retry: { times: 6, delay: '5s' },
  uses: host => [`host:${host.name}`],
  output: z.strictObject({
    hostKey: z.string(),
    machineSerial: z.string(),
    /** The machine is this run's already: nothing has to be installed. */
    installed: z.boolean(),
  }),
  async observe({ host, hosts, run, cluster, signal }) {
    const probe = await hosts.probe(host.name, signal)
    if (probe.state === 'answers') {
      const facts = await hosts.ours(host.name, signal, h => h.facts(signal))
      if (facts.run?.run === run.id)
        return done(
          { hostKey: probe.hostKey, machineSerial: facts.machineSerial, installed: true },
          `${host.name} is this run’s machine already`,
        )
    }
    if (probe.state === 'other-key') {
      const facts = await hosts.anyone(host.name, signal, h => h.facts(signal))
      if (isInstaller(facts, cluster.entry.hosts[host.name]!.disk, host.name))
        return done(
          { hostKey: probe.hostKey, machineSerial: facts.machineSerial, installed: false },
          `${facts.os.name} answers on ${host.name} with the host key ${fingerprintOfText(probe.hostKey)}`,
        )
      return due(`get from ${facts.os.name || 'the system that runs'} on ${host.name} to an installer`)
    }
    return due(`get an installer running on ${host.name}, which does not answer`)
  },
  async apply({ host, hosts, cluster, signal, note, askHand, wait }) {
    const selector = cluster.entry.hosts[host.name]!.disk
    const rungs = hosts.rungs(host.name)
    const last = rungs.at(-1)
    if (last) await last.bringUp(host.name, { signal, note, askHand, wait })
    await wait(
      `an installer to answer on ${host.name}`,
      async () => {
        const probe = await hosts.probe(host.name, signal)
        if (probe.state !== 'other-key') return undefined
        const facts = await hosts.anyone(host.name, signal, h => h.facts(signal))
        return isInstaller(facts, selector, host.name) || undefined
      },
      { every: '5s' },
    )
  },
})
