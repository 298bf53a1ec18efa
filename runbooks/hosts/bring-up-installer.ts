import { z } from 'zod'
import { otherFlatcarDisk } from '../../src/hosts/install/release-disk.ts'
import { resolveDisk } from '../../src/hosts/resolve-disk.ts'
import { fingerprintOfText } from '../../src/hosts/ssh.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { blocked, done, due } from '../../src/runbook/step.ts'
import { whichClusterItWas } from '../evidence/former-cluster.ts'
import { laterData } from '../evidence/later-data.ts'
import { surveyed } from '../evidence/survey.ts'
import { keepHostFiles, surveyHost } from '../evidence/survey-hosts.ts'
import { step } from '../kit.ts'
import { checkApplications } from '../preflight/check-applications.ts'
import { checkArchive } from '../preflight/check-archive.ts'
import { checkBootstrap } from '../preflight/check-bootstrap.ts'
import { checkDisk } from '../preflight/check-disk.ts'
import { checkIgnitions } from '../preflight/check-ignition.ts'
import { checkImages } from '../preflight/check-images.ts'
import { checkK0sctl } from '../preflight/check-k0sctl.ts'
import { checkLadder } from '../preflight/check-ladder.ts'
import { checkManifests } from '../preflight/check-manifests.ts'
import { checkSecrets } from '../preflight/check-secrets.ts'
import { checkTang } from '../preflight/check-tang.ts'
import { fenceVolume } from '../protect/fence.ts'
import { eachHost } from './each-host.ts'

/** Gets the machine into a system from which its disk can be written, by the first rung of the ladder that works. */
export const bringUpInstaller = step({
  id: 'hosts/bring-up-installer',
  title: host => `Get an installer running on ${host.name}`,
  byHand: 'Boot the machine from a Flatcar USB stick; log in as core.',
  each: eachHost,
  needs: [
    checkImages,
    checkIgnitions,
    checkLadder,
    checkDisk,
    checkTang,
    checkK0sctl,
    checkManifests,
    checkBootstrap,
    checkApplications,
    checkSecrets,
    checkArchive,
    fenceVolume,
    surveyHost,
    keepHostFiles,
    whichClusterItWas,
  ],
  danger: 'changes',
  bounds: { expected: '3m', limit: '4h' },
  retry: { times: 6, delay: '5s' },
  uses: host => [`host:${host.name}`],
  output: z.strictObject({
    /** What the disk is written from: an installer, the old system itself (flatcar-reset), or nothing has to be written. */
    way: z.enum(['installer', 'flatcar-reset', 'installed']),
    hostKey: z.string(),
    machineSerial: z.string(),
    /** Of the system that runs now; the new one must have another. */
    bootId: z.string(),
  }),
  async observe({ host, hosts, run, cluster, signal }) {
    const probe = await hosts.probe(host.name, signal)
    if (probe.state === 'answers') {
      const facts = await hosts.ours(host.name, signal, h => h.facts(signal))
      if (facts.run?.run === run.id)
        return done(
          {
            way: 'installed',
            hostKey: probe.hostKey,
            machineSerial: facts.machineSerial,
            bootId: facts.bootId,
          },
          `${host.name} is this run’s machine already`,
        )
    }
    const installer = await hosts.installer(host.name, signal)
    if (installer) {
      const { hostKey, machineSerial, bootId } = installer
      return done(
        { way: 'installer', hostKey, machineSerial, bootId },
        `${installer.name} answers on ${host.name} with the host key ${fingerprintOfText(hostKey)}${installer.pinned ? ', which this run gave it' : ''}`,
      )
    }
    const { seen } = await hosts.situation(host.name, signal)
    if (!seen && hosts.away(host.name))
      return due(`wait until ${host.name} answers again, which this run told to boot another system`)
    const rungs = await hosts.ladder(host.name, signal)
    const first = rungs.find(r => r.refuses === undefined)
    if (!first)
      return blocked(
        'no-way-to-install',
        `none of the ways to install ${host.name} can be tried: ${rungs.map(r => `${r.name}: ${r.refuses}`).join('; ')}`,
        'Mend what one of them says, or add by-hand to hosts.….install',
      )
    if (seen) {
      const disk = resolveDisk(seen.facts, cluster.entry.hosts[host.name]!.disk, host.name)
      const other = otherFlatcarDisk(disk, seen.facts.disks)
      if (other)
        return blocked(
          'other-disk-has-flatcar',
          `another disk of ${host.name}, /dev/${other.name} (serial ${other.serial || 'none'}), has partitions named ${other.labels.join(', ')}: the new system could take its root from there`,
          `Save what is on it and give those partitions other names (\`sgdisk -c\`, \`e2label\`), or unplug it: recover writes to no disk that recover.yaml does not name`,
        )
      if (first.name === 'flatcar-reset')
        return done(
          {
            way: 'flatcar-reset',
            hostKey: seen.hostKey,
            machineSerial: seen.facts.machineSerial,
            bootId: seen.facts.bootId,
          },
          `${seen.facts.os.name} answers on ${host.name} with the host key ${fingerprintOfText(seen.hostKey)}, and can be reset`,
        )
    }
    return due(first.says)
  },
  async apply({ host, hosts, cluster, output, signal, note, askHand, progress, wait }) {
    // The last moment in which somebody can see into its file systems.
    const { seen } = await hosts.situation(host.name, signal)
    if (seen) {
      const { found } = await surveyed(cluster, hosts, host.name, signal)
      const entry = cluster.entry.hosts[host.name]!
      const later = laterData(output(surveyHost), found, seen.facts, entry, host.name)
      if (later.length > 0)
        throw new Fault({
          code: 'data-appeared',
          blame: 'operator',
          message: `there is data on ${host.name} that was not there when you were asked what may be lost: ${later.join('; ')}; nothing was changed`,
          remedy: `Save it, or stop what writes it, and start a new run: it asks about what is there then`,
        })
    }
    await hosts.climb(host.name, { signal, note, askHand, progress, wait })
  },
})
