import { Fault } from '../../runbook/fault.ts'
import type { HostFacts } from '../facts.ts'
import { type DiskSelector, resolveDisk } from '../resolve-disk.ts'
import { runsFromMemory } from './running-from-memory.ts'

/** What the new system has to be, beside showing our host key and this run's name. */
export interface WantedSystem {
  host: string
  disk: DiskSelector
  /** Release that recover.yaml asks for. */
  version: string | undefined
  /** Boot id of what ran before; undefined when that is not known any more. */
  bootIdBefore: string | undefined
}

/** What is wrong with a system that shows our host key and names this run; undefined when nothing is. */
export function proven(facts: HostFacts, wanted: WantedSystem): Fault | undefined {
  const { host } = wanted
  if (facts.bootId === wanted.bootIdBefore)
    return new Fault({
      code: 'not-rebooted',
      blame: 'host',
      message: `${host} answers as this run’s machine, and has not booted since before the installation`,
      remedy: `Reboot ${host}; then run \`recover resume\``,
    })
  if (runsFromMemory(facts))
    return new Fault({
      code: 'wrong-disk-booted',
      blame: 'host',
      message: `${host} shows this run’s host key, and runs from memory instead of from its disk`,
      remedy: `Reboot ${host} from its disk (check its boot order); then run \`recover resume\``,
    })
  const disk = resolveDisk(facts, wanted.disk, host)
  if (!disk.boot)
    return new Fault({
      code: 'wrong-disk-booted',
      blame: 'host',
      message: `${host} runs from ${facts.bootDisk === undefined ? 'no disk that it names' : `/dev/${facts.bootDisk}`}, not from the disk ${disk.serial || disk.wwn} that was written`,
      remedy: `Take old Flatcar labels (ROOT, OEM) off the other disk, or unplug it, and check the boot order of ${host}; then run \`recover resume\``,
    })
  if (wanted.version !== undefined && facts.os.version !== wanted.version)
    return new Fault({
      code: 'image-version-differs',
      blame: 'operator',
      message: `${host} runs ${facts.os.name} (${facts.os.version || 'no version'}), and recover.yaml asks for ${wanted.version}`,
      remedy: 'Name the version that the image holds (hosts.….image.version), or the image of that version',
    })
  return undefined
}

/**
 * Judges a system that answers after an installation with another host key than ours. Undefined while it is only the one
 * from before, which has not gone down yet.
 */
export function whoAnswers(
  facts: HostFacts,
  about: { host: string; run: string; bootIdBefore: string; shown: string; ours: string },
): Fault | undefined {
  const { host, run, shown, ours } = about
  if (facts.bootId === about.bootIdBefore) return undefined
  const name = facts.os.name || 'some system'
  if (facts.run?.run === run)
    return new Fault({
      code: 'wrong-system-answers',
      blame: 'host',
      message: `after the installation ${name} answers on ${host}, names this run and shows the host key ${shown}, not ours, ${ours}; it is not trusted`,
      remedy: `Look whether another machine has the address of ${host}, and whether its Ignition config writes host keys of its own; then run \`recover resume\``,
    })
  if (runsFromMemory(facts))
    return new Fault({
      code: 'installer-returns',
      blame: 'host',
      message: `after the installation ${name} runs from memory again on ${host} (host key ${shown}), instead of the new system from its disk`,
      remedy: `Take the stick out, put the disk first in the boot order of ${host}, and run \`recover resume\``,
    })
  return new Fault({
    code: 'old-system-returns',
    blame: 'host',
    message: `after the installation ${name} answers on ${host} with the host key ${shown}, not this run’s Flatcar with ${ours}: the old system has booted again, from this disk or from another one`,
    remedy: `Check the boot order of ${host}, and whether another disk in it holds a system; then run \`recover resume\`: it installs again`,
  })
}
