import { z } from 'zod'
import type { HostReader } from '../../src/hosts/host.ts'
import { lockHost } from '../../src/hosts/host-lock.ts'
import { flatcarReset } from '../../src/hosts/install/flatcar-reset.ts'
import { proven, whoAnswers } from '../../src/hosts/install/prove-system.ts'
import type { Guidance } from '../../src/hosts/install/rung.ts'
import { writeDisk } from '../../src/hosts/install/write-disk.ts'
import { resolveDisk } from '../../src/hosts/resolve-disk.ts'
import { hostVictims } from '../../src/hosts/victims.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { blocked, done, due } from '../../src/runbook/step.ts'
import { withLaterData } from '../evidence/later-data.ts'
import { surveyed, surveyedFromMemory } from '../evidence/survey.ts'
import { surveyHost } from '../evidence/survey-hosts.ts'
import { type HostsReader, step } from '../kit.ts'
import { bringUpInstaller } from './bring-up-installer.ts'
import { configFor } from './config-for.ts'
import { eachHost } from './each-host.ts'

/**
 * How often what was told to reboot may answer still, looked at every two seconds: it stops its services first, which
 * systemd gives a minute and a half. An order whose line broke may never have arrived.
 */
const patience = 60

/**
 * Makes the new system on the one disk that was named, and proves that what answers afterwards is this run's machine: a
 * new boot, the host key that we minted, the run's name in a file that only its Ignition config can have written, the
 * release that was asked for, started from that disk.
 */
export const installFlatcar = step({
  id: 'hosts/install-flatcar',
  title: host => `Install Flatcar on ${host.name}`,
  byHand:
    'Find the disk by its serial (`lsblk -d -o NAME,SIZE,MODEL,SERIAL`), then `sudo flatcar-install -d /dev/DISK -i config.ign -f image.bin.bz2` and reboot without the stick.',
  each: eachHost,
  needs: [bringUpInstaller],
  danger: 'destroys',
  bounds: { expected: '4m', limit: '90m' },
  retry: { times: 3, delay: '10s' },
  uses: host => [`host:${host.name}`],
  output: z.strictObject({
    bootId: z.string(),
    version: z.string(),
    hostKey: z.string(),
    machineSerial: z.string(),
  }),
  async observe({ host, hosts, cluster, run, output, signal }) {
    const probe = await hosts.probe(host.name, signal)
    if (probe.state !== 'answers') return due(await whatItWouldDo(host.name, hosts, signal))
    const facts = await hosts.ours(host.name, signal, h => h.facts(signal))
    if (facts.run?.run !== run.id) return due(await whatItWouldDo(host.name, hosts, signal))
    const entry = cluster.entry.hosts[host.name]!
    const before = output(bringUpInstaller)
    const wrong = proven(facts, {
      host: host.name,
      disk: entry.disk,
      version: entry.image?.version,
      bootIdBefore: before.way === 'installed' ? undefined : before.bootId,
    })
    if (wrong) return blocked(wrong.code, wrong.message, wrong.remedy)
    const { fingerprint } = run.hostKey(host.name)
    return done(
      {
        bootId: facts.bootId,
        version: facts.os.version,
        hostKey: probe.hostKey,
        machineSerial: facts.machineSerial,
      },
      `${facts.os.name} of run ${run.id} answers on ${host.name} with our host key ${fingerprint}, started from the disk ${entry.disk.serial ?? entry.disk.wwn}`,
    )
  },
  async victims({ host, hosts, cluster, output, signal }, begun) {
    const before = output(surveyHost)
    const { facts, seen } = await hosts.anyone(host.name, signal, async h => {
      const facts = await h.facts(signal)
      // What an earlier attempt of ours left half written is nobody's data.
      const seen = begun ? before : await surveyedFromMemory(before, h, facts, cluster, host.name, signal)
      return { facts, seen }
    })
    // A system that makes the new one of itself runs until then, and may have written since it was surveyed.
    const survey =
      (await hosts.firstRung(host.name, signal)) === 'flatcar-reset'
        ? withLaterData(before, (await surveyed(cluster, hosts, host.name, signal)).found)
        : seen
    return hostVictims(facts, cluster.entry.hosts[host.name]!, host.name, survey)
  },
  async apply({ host, hosts, cluster, run, ignition, output, signal, note, askHand, progress, wait }) {
    const { name } = host
    const entry = cluster.entry.hosts[name]!
    const guidance: Guidance = { signal, note, askHand, progress, wait }
    const before = output(bringUpInstaller)
    const config = (machine: HostReader) =>
      configFor(name, machine, { cluster, run, hosts, ignition, signal, note })
    const image = hosts.imageFor(name)
    /** Waits for the new system; ends early with a Fault when another one answers. */
    const comesUp = async (from: { hostKey: string; bootId: string }, limit: '10m' | '20m') => {
      let stillThere = 0
      const runsOn = (bootId: string | undefined) => {
        stillThere = bootId === from.bootId ? stillThere + 1 : 0
        return stillThere > patience ? false : undefined
      }
      const rebooted = await wait(
        `${name} to boot its new system`,
        async () => {
          const probe = await hosts.probe(name, signal)
          if (probe.state === 'answers') return true
          // Our own installer may let in nobody but us.
          if (probe.state === 'refused-login') return runsOn((await hosts.installer(name, signal))?.bootId)
          if (probe.state !== 'other-key') return undefined
          const facts = await hosts.anyone(name, signal, h => h.facts(signal))
          const fault = whoAnswers(facts, {
            host: name,
            run: run.id,
            bootIdBefore: from.bootId,
            shown: probe.fingerprint,
            ours: run.hostKey(name).fingerprint,
          })
          if (fault) throw fault
          return runsOn(facts.bootId)
        },
        { every: '2s', limit },
      )
      if (!rebooted)
        throw new Fault({
          code: 'not-rebooted',
          blame: 'host',
          message: `${name} was told to reboot into its new system, and runs on`,
          remedy: `Reboot ${name}; then run \`recover resume\``,
          transient: true,
        })
    }
    // What an earlier attempt has armed would catch the machine when it boots its disk.
    await hosts.disarm(name, signal)
    if (before.way === 'flatcar-reset' && (await hosts.firstRung(name, signal)) === 'flatcar-reset')
      try {
        await hosts.changeSeen(name, before.hostKey, signal, async old => {
          await lockHost(old, run.id, signal)
          const facts = await old.facts(signal)
          const disk = resolveDisk(facts, entry.disk, name)
          const prepared = await config(old)
          await flatcarReset.reinstall(
            old,
            { run: run.id, disk, image: image.image, ignition: prepared, bootId: facts.bootId },
            guidance,
          )
        })
        await comesUp(before, '20m')
        return hosts.withdrawSources(name)
      } catch (thrown) {
        if (!(thrown instanceof Fault) || thrown.transient || signal.aborted) throw thrown
        if (entry.install.every(rung => rung === 'flatcar-reset')) throw thrown
        note(`flatcar-reset led nowhere on ${name}: ${thrown.message}; the next way is tried`)
      }
    let installer = await hosts.installer(name, signal)
    if (!installer) {
      await hosts.climb(name, guidance)
      installer = await hosts.installer(name, signal)
    }
    if (!installer)
      throw new Fault({
        code: 'installer-gone',
        blame: 'host',
        message: `the installer on ${name} does not answer any more; nothing was written`,
        remedy: 'Look at the machine; then run `recover resume`: it brings one up again',
        transient: true,
      })
    const found = installer
    await hosts.changeInstaller(name, found, signal, async machine => {
      await lockHost(machine, run.id, signal)
      const facts = await machine.facts(signal)
      const disk = resolveDisk(facts, entry.disk, name)
      const prepared = await config(machine)
      await writeDisk(
        machine,
        { run: run.id, disk, disks: facts.disks, ignition: prepared, ...image },
        guidance,
      )
    })
    await comesUp(found, '20m')
    hosts.withdrawSources(name)
  },
})

async function whatItWouldDo(
  name: string,
  hosts: Pick<HostsReader, 'firstRung'>,
  signal: AbortSignal,
): Promise<string> {
  return (await hosts.firstRung(name, signal)) === 'flatcar-reset'
    ? `reset Flatcar on ${name}’s disk with the new config and boot it`
    : `install Flatcar on ${name}’s disk and boot it`
}
