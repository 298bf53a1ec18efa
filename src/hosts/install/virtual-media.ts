import { Fault } from '../../runbook/fault.ts'
import { awaitInstaller } from './awaited.ts'
import { provenPower } from './proven-power.ts'
import type { InstallerRung } from './rung.ts'

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
    note(await provenPower(power, situation, signal))
    const cd = await hands.cd()
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
