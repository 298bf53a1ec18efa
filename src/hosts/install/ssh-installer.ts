import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Fault } from '../../runbook/fault.ts'
import { type HostWriter, quote } from '../host.ts'
import type { Guidance, Installation, InstallRung, SystemImage } from './rung.ts'

/** The rung for a machine on which an installer is running already, reachable by SSH. */
export const sshInstaller: InstallRung = {
  name: 'ssh',
  says: host => `use the installer that is running on ${host}`,
  async bringUp() {},
}

/** Reads an image whole and checks it, so that a bad download is found before any disk is touched. */
export async function verifiedImage(image: SystemImage): Promise<{ bytes: Buffer; sha256: string }> {
  let bytes: Buffer
  try {
    bytes = await readFile(image.file)
  } catch (cause) {
    throw new Fault({
      code: 'image-missing',
      blame: 'operator',
      message: `the system image ${image.file} cannot be read`,
      remedy: 'Download it again and name it in recover.yaml (hosts.….image.file)',
      cause,
    })
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  if (image.sha256 !== undefined && sha256 !== image.sha256)
    throw new Fault({
      code: 'image-damaged',
      blame: 'operator',
      message: `the system image ${image.file} has the SHA-256 ${sha256}, not ${image.sha256}; nothing was written`,
      remedy: 'Download it again and check its signature',
    })
  return { bytes, sha256 }
}

const folder = '/run/recover'

/** Name of the unit that writes the disk; the same in every process of a run, so that it is found again. */
export function installUnit(run: string): string {
  return `recover-install-${run}`
}

/**
 * Writes the system to the disk by a unit on the machine that outlives our line, and reboots into it. Safe to call
 * again after a crash: it finds the unit that runs or ran, and starts one only where there is none.
 */
export async function installOverSsh(
  host: HostWriter,
  what: Installation,
  guidance: Guidance,
): Promise<void> {
  const { signal } = guidance
  const unit = installUnit(what.run)
  const before = await host.unit(unit, signal)
  if (before.active === 'absent' || before.active === 'failed') {
    await host.forgetUnit(unit, signal)
    const { bytes, sha256 } = await verifiedImage(what.image)
    guidance.note(`sending the image (${bytes.length} bytes) to ${host.name}`)
    await host.putFile(`${folder}/image`, bytes, 0o600, signal)
    await host.putFile(`${folder}/config.ign`, what.ignition.text, 0o600, signal)
    await host.startUnit(unit, installScript(what, sha256), signal)
  } else guidance.note(`found the installation on ${host.name} that was begun before`)
  const ended = await guidance.wait(
    `flatcar-install on ${host.name}`,
    async () => {
      const state = await host.unit(unit, signal)
      return state.active === 'activating' ? undefined : state
    },
    // A line that broke does not come back; the next attempt opens another and finds the unit again.
    { impatient: true },
  )
  if (ended.active !== 'active')
    throw new Fault({
      code: 'install-failed',
      blame: 'host',
      message: `flatcar-install on ${host.name} ended with exit code ${ended.exitCode} (${ended.result})`,
      remedy: `Look at \`journalctl -u ${unit}\` on ${host.name}; then run \`recover resume\`: it begins the installation anew`,
    })
  guidance.note(`rebooting ${host.name} into its new system`)
  await host.reboot(signal)
}

/**
 * The unit's script. The serial is compared in the same breath as the disk is written: the kernel's name for it may
 * have moved since we looked.
 */
export function installScript(what: Installation, sha256: string): string {
  const device = `/dev/${what.disk.name}`
  return [
    'set -eu',
    `[ "$(lsblk -dno SERIAL ${device})" = ${quote(what.disk.serial)} ]`,
    `echo ${quote(`${sha256}  ${folder}/image`)} | sha256sum -c -`,
    `flatcar-install -d ${device} -i ${folder}/config.ign -f ${folder}/image`,
  ].join('\n')
}
