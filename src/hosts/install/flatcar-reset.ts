import { Fault } from '../../runbook/fault.ts'
import { everything } from '../disks.ts'
import type { HostFacts } from '../facts.ts'
import { quote } from '../host.ts'
import { type DiskSelector, resolveDisk } from '../resolve-disk.ts'
import type { SystemRung } from './rung.ts'
import { runsFromMemory } from './running-from-memory.ts'
import { diskCheck } from './write-disk.ts'

/**
 * Written to the old system before it is reset, with its boot id in it. It is gone when the reset was done; in another boot
 * it says that the old system came back.
 */
export function resetMark(run: string): string {
  return `/var/lib/recover/reset-by-${run}`
}

const config = '/run/recover/config.ign'

/** The first release with flatcar-reset (Alpha 3535). */
const first = 3535

/** The cheapest way: the old Flatcar keeps its partitions and its release, and begins anew with our config. */
export const flatcarReset: SystemRung = {
  name: 'flatcar-reset',
  leadsTo: 'system',
  refuses(situation) {
    const { seen, silence, version, disk, host, resetBefore } = situation
    if (!seen) return silence
    const { facts } = seen
    const { os } = facts
    if (os.id !== 'flatcar') return `${os.name || 'what runs'} is not Flatcar`
    if (runsFromMemory(facts)) return 'its Flatcar runs from memory: there is nothing to reset'
    if (facts.access === 'none') return 'we are not root on it, and sudo asks for a password'
    if (Number.parseInt(os.version, 10) < first || !facts.tools.includes('flatcar-reset'))
      return `Flatcar ${os.version} has no flatcar-reset`
    if (version !== undefined && os.version !== version)
      return `it would stay at Flatcar ${os.version}, and recover.yaml asks for ${version}`
    if (facts.bootDisk === undefined || named(facts, disk, host) !== facts.bootDisk)
      return 'its Flatcar does not run from the disk that recover.yaml names'
    if (rootIsEncrypted(facts)) return 'its root is encrypted: a second run of Ignition would break it'
    if (resetBefore) return 'this run has tried it, and the old system came back'
    return undefined
  },
  says: ({ host, seen }) =>
    `reset ${seen?.facts.os.name || 'Flatcar'} on ${host} with the new config, keeping its release and nothing else (flatcar-reset)`,
  async reinstall(host, { run, disk, ignition, bootId }, { signal, note, wait }) {
    const unit = `recover-reset-${run}`
    const before = await host.unit(unit, signal)
    if (before.active === 'absent' || before.active === 'failed') {
      await host.forgetUnit(unit, signal)
      await host.putFile(config, ignition.text, 0o600, signal)
      await host.putFile(resetMark(run), bootId, 0o600, signal)
      await host.startUnit(unit, resetScript(disk), signal)
    } else note(`found the reset of ${host.name} that was begun before`)
    const ended = await wait(
      `flatcar-reset on ${host.name}`,
      async () => {
        const state = await host.unit(unit, signal)
        return state.active === 'activating' ? undefined : state
      },
      { impatient: true, limit: '10m' },
    )
    if (ended.active !== 'active')
      throw new Fault({
        code: 'reset-failed',
        blame: 'host',
        message: `flatcar-reset on ${host.name} ended with exit code ${ended.exitCode}; its old system runs on`,
        remedy: `Look at \`journalctl -u ${unit}\` on it; another way to install is tried if recover.yaml gives one`,
      })
    note(`rebooting ${host.name}: it begins anew`)
    await host.reboot(signal)
  },
}

/** The unit's script. The disk is compared in the same breath: the kernel's name for it may have moved. */
export function resetScript(disk: Parameters<typeof diskCheck>[0]): string {
  return ['set -eu', ...diskCheck(disk), `flatcar-reset --ignition-file ${quote(config)}`].join('\n')
}

/** Kernel name of the disk that recover.yaml names; undefined where there is none such. */
function named(facts: HostFacts, disk: DiskSelector, host: string): string | undefined {
  try {
    return resolveDisk(facts, disk, host).name
  } catch (thrown) {
    if (thrown instanceof Fault) return undefined
    throw thrown
  }
}

function rootIsEncrypted({ disks, bootDisk }: HostFacts): boolean {
  const disk = disks.find(d => d.name === bootDisk)
  return (
    disk !== undefined &&
    [...everything(disk.children)].some(n => n.type === 'crypt' && n.mountpoints.length > 0)
  )
}
