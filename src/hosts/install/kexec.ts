import { Fault } from '../../runbook/fault.ts'
import { type HostWriter, quote } from '../host.ts'
import { cpioArchive } from '../netboot/cpio.ts'
import { configInInitrd } from '../netboot/netboot.ts'
import { awaitInstaller } from './awaited.ts'
import { networksOf } from './installer-config.ts'
import type { Guidance, Hands, InstallerRung } from './rung.ts'

const folder = '/run/recover/installer'

/** Name of the unit that loads the installer's kernel. */
export function kexecUnit(run: string): string {
  return `recover-kexec-${run}`
}

/**
 * Lets the running Linux load our installer's kernel and go over to it: no firmware, no network boot, no hands. The
 * disks are left as they are; what ran is ended in good order first.
 */
export const kexec: InstallerRung = {
  name: 'kexec',
  leadsTo: 'installer',
  refuses({ installer, seen, silence, address }) {
    if (!installer.kernel) return 'recover.yaml names no installer (installer.kernel and initrd)'
    if (!seen) return silence
    const { facts } = seen
    if (facts.access === 'none') return 'we are not root on it, and sudo asks for a password'
    const lacking = ['kexec', 'systemd-run', 'sha256sum'].filter(t => !facts.tools.includes(t))
    if (lacking.length > 0) return `its system has no ${lacking.join(', ')}`
    if (facts.kexecRefused)
      return 'its kernel refuses to load another one (Secure Boot, lockdown or a sysctl)'
    // The files lie in memory once, and once more where kexec has loaded them.
    if (facts.memoryAvailableBytes > 0 && facts.memoryAvailableBytes < 2 * installer.bytes)
      return `it has too little memory free (${mebibytes(facts.memoryAvailableBytes)}, and the installer needs ${mebibytes(2 * installer.bytes)})`
    if (networksOf(facts, address) === undefined)
      return 'its address is on a bridge or bond, which the installer would not have'
    return undefined
  },
  says: ({ host, seen }) =>
    `load the installer into the memory of ${host} and start it in place of ${seen?.facts.os.name || 'the running system'} (kexec)`,
  async bringUp(situation, hands, guidance) {
    const { host, run } = situation
    const networks = situation.seen && networksOf(situation.seen.facts, situation.address)
    const boot = await hands.installer(networks)
    await hands.change(machine => load(machine, run, boot, guidance))
    try {
      await awaitInstaller(situation, hands, guidance, 'was told to start the installer by kexec', '10m')
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
      throw new Fault({
        code: 'kexec-hangs',
        blame: 'host',
        message: `${host} went over to the installer by kexec, and nothing answers: its old system has ended, its disks are as they were`,
        remedy: `Switch ${host} off and on again; another way to install is tried if recover.yaml gives one`,
        cause: thrown,
      })
    }
  },
}

async function load(
  machine: HostWriter,
  run: string,
  boot: Awaited<ReturnType<Hands['installer']>>,
  { signal, note, wait }: Guidance,
): Promise<void> {
  const unit = kexecUnit(run)
  const before = await machine.unit(unit, signal)
  if (before.active !== 'activating') {
    await machine.forgetUnit(unit, signal)
    note(`sending the installer to ${machine.name}`)
    await machine.putFile(`${folder}/kernel`, { file: boot.kernel }, 0o600, signal)
    await machine.putFile(`${folder}/initrd`, { file: boot.initrd }, 0o600, signal)
    const config = cpioArchive([{ path: configInInitrd, content: boot.config, mode: 0o600 }])
    await machine.putFile(`${folder}/config`, config, 0o600, signal)
    await machine.startUnit(unit, kexecScript(boot), signal)
  }
  try {
    const ended = await wait(
      `${machine.name} to load the installer`,
      async () => {
        const state = await machine.unit(unit, signal)
        return state.active === 'activating' ? undefined : state
      },
      { impatient: true, limit: '5m' },
    )
    if (ended.active === 'active') return
    throw new Fault({
      code: 'kexec-refused',
      blame: 'host',
      message: `${machine.name} does not load the installer's kernel (exit ${ended.exitCode}); its system runs on`,
      remedy: `Look at \`journalctl -u ${unit}\` on it; another way to install is tried if recover.yaml gives one`,
    })
  } catch (thrown) {
    // The line is gone because the machine has gone over already; a systemd that is going down refuses to be asked before that.
    if (thrown instanceof Fault && (thrown.transient || thrown.code === 'host-refused')) return
    throw thrown
  }
}

/**
 * The unit's script. Files are compared before anything is loaded. The syscall that takes files is tried first: with it a
 * signed kernel passes where Secure Boot is on. `systemctl kexec` ends services and unmounts before it goes over.
 */
export function kexecScript(boot: { kernelSha256: string; initrdSha256: string; arguments: string }): string {
  const load = `--initrd=${folder}/initrd --command-line=${quote(boot.arguments)} ${folder}/kernel`
  return [
    'set -eu',
    `echo ${quote(`${boot.kernelSha256}  ${folder}/kernel`)} | sha256sum -c -`,
    `echo ${quote(`${boot.initrdSha256}  ${folder}/initrd`)} | sha256sum -c -`,
    `cat ${folder}/config >> ${folder}/initrd`,
    `kexec -s -l ${load} || kexec -c -l ${load}`,
    'systemctl kexec',
  ].join('\n')
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`
}
