import { z } from 'zod'
import { lockHost } from '../../src/hosts/host-lock.ts'
import { prepareIgnition } from '../../src/hosts/ignition/prepare.ts'
import { installOverSsh } from '../../src/hosts/install/ssh-installer.ts'
import { resolveDisk } from '../../src/hosts/resolve-disk.ts'
import { hostVictims } from '../../src/hosts/victims.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { surveyHost } from '../evidence/survey-hosts.ts'
import { step } from '../kit.ts'
import { bringUpInstaller } from './bring-up-installer.ts'
import { eachHost } from './each-host.ts'

/**
 * Writes the new system to the one disk that was named, and proves that what answers afterwards is this run's machine:
 * the host key that we minted, the run's name in a file that only its Ignition config can have written.
 */
export const installFlatcar = step({
  id: 'hosts/install-flatcar',
  title: host => `Install Flatcar on ${host.name}`,
  byHand:
    'Find the disk by its serial (`lsblk -d -o NAME,SIZE,MODEL,SERIAL`), then `sudo flatcar-install -d /dev/DISK -i config.ign -f image.bin.bz2` and reboot without the stick.',
  each: eachHost,
  needs: [bringUpInstaller],
  danger: 'destroys',
  bounds: { expected: '4m', limit: '30m' },
  retry: { times: 3, delay: '10s' },
  uses: host => [`host:${host.name}`],
  output: z.strictObject({
    bootId: z.string(),
    version: z.string(),
    hostKey: z.string(),
    machineSerial: z.string(),
  }),
  async observe({ host, hosts, run, signal }) {
    const probe = await hosts.probe(host.name, signal)
    if (probe.state !== 'answers') return due(`install Flatcar on ${host.name}’s disk and boot it`)
    const facts = await hosts.ours(host.name, signal, h => h.facts(signal))
    if (facts.run?.run !== run.id) return due(`install Flatcar on ${host.name}’s disk and boot it`)
    const { fingerprint } = run.hostKey(host.name)
    return done(
      {
        bootId: facts.bootId,
        version: facts.os.version,
        hostKey: probe.hostKey,
        machineSerial: facts.machineSerial,
      },
      `${facts.os.name} of run ${run.id} answers on ${host.name} with our host key ${fingerprint}`,
    )
  },
  async victims({ host, hosts, cluster, output, signal }) {
    const facts = await hosts.anyone(host.name, signal, h => h.facts(signal))
    return hostVictims(facts, cluster.entry.hosts[host.name]!, host.name, output(surveyHost))
  },
  async apply({ host, hosts, cluster, run, ignition, output, signal, note, askHand, wait }) {
    const entry = cluster.entry.hosts[host.name]!
    const { hostKey } = output(bringUpInstaller)
    const compiled = await ignition(host.name, signal)
    const prepared = prepareIgnition(compiled.text, entry.ignition, {
      run: run.id,
      host: host.name,
      keys: run.hostKeys(host.name),
    })
    await hosts.changeInstaller(host.name, hostKey, signal, async installer => {
      await lockHost(installer, run.id, signal)
      const disk = resolveDisk(await installer.facts(signal), entry.disk, host.name)
      await installOverSsh(
        installer,
        {
          run: run.id,
          disk,
          image: { file: cluster.resolve(entry.image!.file), sha256: entry.image!.sha256 },
          ignition: prepared,
        },
        { signal, note, askHand, wait },
      )
    })
    await wait(`${host.name} to boot its new system`, async () => {
      const probe = await hosts.probe(host.name, signal)
      if (probe.state === 'answers') return true
      if (probe.state !== 'other-key' || probe.hostKey === hostKey) return undefined
      const facts = await hosts.anyone(host.name, signal, h => h.facts(signal))
      throw new Fault({
        code: 'wrong-system-answers',
        blame: 'host',
        message: `after the installation ${facts.os.name || 'some system'} answers on ${host.name} with the host key ${probe.fingerprint}, not this run’s Flatcar with ${run.hostKey(host.name).fingerprint}`,
        remedy: `Boot ${host.name} from the installer again (check its boot order), then run \`recover resume\``,
      })
    })
  },
})
