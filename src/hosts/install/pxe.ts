import { Fault } from '../../runbook/fault.ts'
import { awaitInstaller } from './awaited.ts'
import { provenPower } from './proven-power.ts'
import type { Guidance, Hands, InstallerRung, Situation } from './rung.ts'

type Trigger = 'bmc' | 'efibootmgr' | 'wake' | 'hand'

/** How the machine is made to boot from the network; the surest first. */
function triggerOf({ power, seen }: Situation): Trigger {
  if (power && power.kind !== 'wake-on-lan' && power.can.boot.includes('pxe')) return 'bmc'
  if (seen?.facts.uefi && seen.facts.tools.includes('efibootmgr') && seen.facts.access !== 'none')
    return 'efibootmgr'
  if (power?.kind === 'wake-on-lan' && !seen) return 'wake'
  return 'hand'
}

/**
 * Boots our installer over the network: only this machine is answered, only until the installer is there. Afterwards it
 * boots its disk, whatever its firmware tries first.
 */
export const pxe: InstallerRung = {
  name: 'pxe',
  leadsTo: 'installer',
  refuses({ installer, mac, netbootLacks, power }) {
    if (!installer.kernel) return 'recover.yaml names no installer (installer.kernel and initrd)'
    if (mac === undefined) return 'recover.yaml does not say by which MAC address it boots (hosts.….mac)'
    if (netbootLacks !== undefined) return netbootLacks
    if (power && power.kind !== 'wake-on-lan' && !power.can.boot.includes('pxe'))
      return 'its BMC cannot order a boot from the network'
    return undefined
  },
  says(situation) {
    const how = {
      bmc: `have its BMC (${situation.power?.kind}) boot it from the network once`,
      efibootmgr: 'have its firmware boot from the network once (efibootmgr) and reboot it',
      wake: 'wake it by a magic packet; its firmware must boot from the network then',
      hand: 'ask you to boot it from the network',
    }[triggerOf(situation)]
    return `answer ${situation.host} alone (${situation.mac}) over the network with the installer, and ${how}`
  },
  async bringUp(situation, hands, guidance) {
    const { host, mac } = situation
    const { netboot, power } = hands
    if (!netboot || mac === undefined) throw new Error(`${host} cannot boot from the network`)
    const trigger = triggerOf(situation)
    const { signal, note } = guidance
    if (power && trigger === 'bmc') note(await provenPower(power, situation, signal))
    const armed = await netboot.arm({ mac, ...(await hands.installer()) })
    try {
      if (power && trigger === 'bmc') await hands.leave('boot-order')
      await pull(trigger, situation, hands, guidance)
      const limit = trigger === 'hand' ? undefined : '15m'
      await awaitInstaller(situation, hands, guidance, 'was told to boot from the network', limit)
    } catch (thrown) {
      throw explained(thrown, situation, armed.fetched())
    } finally {
      await armed.disarm()
      if (power && trigger === 'bmc') {
        // The order is used up when the machine has booted; one that it ignored would strike much later.
        await power.clearBootNext(AbortSignal.timeout(60_000)).then(
          () => hands.cleared('boot-order'),
          error =>
            note(`the order to boot ${host} from the network could not be taken back: ${String(error)}`),
        )
      }
    }
  },
}

async function pull(
  trigger: Trigger,
  { host, mac }: Situation,
  hands: Hands,
  { signal, askHand, note }: Guidance,
) {
  switch (trigger) {
    case 'bmc':
      await hands.power!.bootNext('pxe', signal)
      // The order runs out after a minute on some BMCs.
      await hands.power!.restart(signal)
      return
    case 'efibootmgr':
      await hands.change(async machine => {
        const entries = await machine.efiBootEntries(signal)
        const entry = networkEntry(entries, mac ?? '')
        if (entry === undefined)
          throw new Fault({
            code: 'no-network-boot-entry',
            blame: 'operator',
            message: `the firmware of ${host} has no entry for booting from the network by ${mac}`,
            remedy: 'Switch network boot (PXE) on in its firmware, or choose another way to install',
          })
        note(`the firmware of ${host} boots entry ${entry} next`)
        await machine.bootNextEfi(entry, signal)
        await machine.reboot(signal)
      })
      return
    case 'wake':
      await hands.power!.turnOn(signal)
      return
    case 'hand':
      askHand(
        `Switch ${host} on (or off and on again) and choose to boot from the network (PXE) in its boot menu.`,
      )
  }
}

/**
 * The entry of `efibootmgr -v` that boots from the network by an interface: its device path names the MAC address. A
 * firmware that tells no paths has it in the name, or a single entry that speaks of the network.
 */
export function networkEntry(entries: string, mac: string): string | undefined {
  const lines = entries.split('\n').flatMap(line => {
    const match = /^Boot([0-9A-F]{4})\*?\s+(.*)$/i.exec(line)
    return match ? [{ number: match[1]!, text: match[2]! }] : []
  })
  const bare = mac.replaceAll(':', '').toLowerCase()
  const named = lines.filter(l => l.text.toLowerCase().replaceAll(/[:-]/g, '').includes(bare))
  // IPv4 before IPv6, and PXE before HTTP, which speaks to no TFTP server.
  const rank = ({ text }: { text: string }) =>
    (/ipv6/i.test(text) ? 2 : 0) + (/http|uri\(/i.test(text) ? 1 : 0)
  if (named.length > 0) return named.toSorted((a, b) => rank(a) - rank(b))[0]!.number
  const speaking = lines.filter(l => /pxe|network|ipv4|\blan\b/i.test(l.text))
  return speaking.length === 1 ? speaking[0]!.number : undefined
}

/** Adds how far the machine came, which is what a person needs who looks for the reason. */
function explained(
  thrown: unknown,
  { host }: Situation,
  fetched: { script: number; kernel: number; config: number },
): unknown {
  if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') return thrown
  const far =
    fetched.script === 0
      ? 'it never asked this computer for anything: is it in the same network, does its firmware boot from the network, does another server answer first?'
      : fetched.kernel === 0
        ? 'it fetched the script and no kernel'
        : fetched.config === 0
          ? 'it fetched the kernel and no config'
          : fetched.script > 1
            ? `it booted ${fetched.script} times: the installer starts and fails`
            : 'it fetched everything, and its installer does not answer by SSH'
  return new Fault({
    code: 'netboot-failed',
    blame: 'host',
    message: `${host} did not get as far as an installer over the network: ${far}. It is answered no more`,
    remedy: 'Look at its console; another way to install is tried if recover.yaml gives one',
    cause: thrown,
  })
}
