import { Fault } from '../../runbook/fault.ts'
import { assertSameMachine, macsOf } from '../power/identity.ts'
import type { MachineIdentity } from '../power/power.ts'
import { awaitInstaller } from './awaited.ts'
import type { InstallerRung, Situation } from './rung.ts'

/** Boots our installer from a CD that the machine's BMC fetches from here: for networks in which nothing can be booted. */
export const virtualMedia: InstallerRung = {
  name: 'virtual-media',
  leadsTo: 'installer',
  refuses({ installer, power, serves }) {
    if (!installer.iso) return 'recover.yaml names no image for virtual media (installer.iso)'
    if (!power?.can.media) return 'it has no BMC with virtual media (hosts.….power.redfish)'
    if (!power.can.boot.includes('cd')) return 'its BMC cannot order a boot from the virtual drive'
    if (!serves)
      return 'recover.yaml does not say by which address machines reach this computer (netboot.address)'
    return undefined
  },
  says: ({ host, power }) =>
    `have the BMC of ${host} (${power?.kind}) fetch the installer as a CD from this computer and boot it once`,
  async bringUp(situation, hands, guidance) {
    const { host } = situation
    const { power } = hands
    const { signal, note } = guidance
    if (!power) throw new Error(`${host} has no virtual drive`)
    const seen = await power.identity(signal)
    note(assertSameMachine(host, power.where, seen, situation.known, situation.vouched))
    const cd = await hands.cd(interfacesOf(seen, situation))
    try {
      await hands.leave('media')
      await power.insertMedia(cd.url, signal)
      await hands.leave('boot-order')
      await power.bootNext('cd', signal)
      await power.restart(signal)
      await awaitInstaller(situation, hands, guidance, 'was told to boot the virtual CD', '20m')
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
      throw new Fault({
        code: 'virtual-media-failed',
        blame: 'host',
        message: `${host} did not get as far as an installer from its virtual CD, which is taken out again; its disk is as it was`,
        remedy:
          'Look at its console while it boots: Flatcar’s CD boots by BIOS alone (in a UEFI firmware, switch CSM on), and the BMC must reach this computer (netboot.address); another way to install is tried if recover.yaml gives one',
        cause: thrown,
      })
    } finally {
      cd.withdraw()
      const tidy = AbortSignal.timeout(120_000)
      await power.ejectMedia(tidy).then(
        () => hands.cleared('media'),
        error => note(`the virtual CD of ${host} could not be ejected: ${String(error)}`),
      )
      await power.clearBootNext(tidy).then(
        () => hands.cleared('boot-order'),
        error =>
          note(`the order to boot ${host} from the virtual CD could not be taken back: ${String(error)}`),
      )
    }
  },
}

/**
 * MAC addresses of the machine, by one of which it fetches its config. Undefined unless somebody has told all of them: Ignition
 * gives the boot up when it is refused, so that one too few would keep the machine from booting.
 */
function interfacesOf(told: MachineIdentity, { seen, known }: Situation): string[] | undefined {
  const all = macsOf([...told.macs, ...(known.macs ?? [])])
  return told.macs.length > 0 || seen ? all : undefined
}
