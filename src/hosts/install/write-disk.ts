import { Fault } from '../../runbook/fault.ts'
import type { Disk } from '../disks.ts'
import { type HostWriter, quote } from '../host.ts'
import type { VerifiedArtifact } from './artifact.ts'
import { releaseOf } from './release-disk.ts'
import type { Guidance, Installation } from './rung.ts'

const folder = '/run/recover'

/** Where an image comes from that is served to machines. */
export interface Mirror {
  /** Address below which `VERSION/flatcar_production_image.bin.bz2` and its signature lie. */
  base: string
  version: string
  /** The key that it is signed with, armored. */
  key: string
}

/** What {@link writeDisk} needs beside the installation. */
export interface Writing extends Installation {
  /** All disks of the machine, as they are now: what stretches over several is left alone. */
  disks: Disk[]
  /** Reads the image whole and checks it; called before anything is sent. */
  verify(): Promise<VerifiedArtifact>
  /** Serves the image to this machine, where that can be. */
  mirror?: (() => Promise<(Mirror & { withdraw(): void }) | undefined>) | undefined
}

/** Name of the unit that writes the disk; the same in every process of a run, so that it is found again. */
export function installUnit(run: string): string {
  return `recover-install-${run}`
}

/** Exit codes of the unit's own checks; flatcar-install ends with 1. */
const exits = { otherDisk: 71, imageDamaged: 72, notReleased: 73, noProgram: 74 }

/**
 * Writes the system to the disk by a unit on the machine that outlives our line, and reboots into it. Safe to call
 * again after a crash: it finds the unit that runs or ran, and starts one only where there is none.
 */
export async function writeDisk(host: HostWriter, what: Writing, guidance: Guidance): Promise<void> {
  const { signal } = guidance
  const unit = installUnit(what.run)
  const before = await host.unit(unit, signal)
  const found = before.active !== 'absent' && before.active !== 'failed'
  let mirror: Awaited<ReturnType<NonNullable<Writing['mirror']>>>
  try {
    if (!found) {
      await host.forgetUnit(unit, signal)
      const release = releaseOf(what.disk, what.disks, host.name)
      const image = await what.verify()
      mirror = await what.mirror?.()
      if (mirror && !(await host.reaches(`${mirror.base}/${imageBelow(mirror.version)}`, signal))) {
        guidance.note(`${host.name} does not reach ${mirror.base}; the image is sent over SSH instead`)
        mirror.withdraw()
        mirror = undefined
      }
      if (mirror) await host.putFile(`${folder}/key.asc`, mirror.key, 0o600, signal)
      else {
        const room = await host.room('/run', signal)
        if (room < image.bytes) throw noRoom(host.name, room, image.bytes)
        guidance.note(`sending the image (${image.bytes} bytes) to ${host.name}`)
        await host.putFile(`${folder}/image`, { file: image.file }, 0o600, signal)
      }
      await host.putFile(`${folder}/config.ign`, what.ignition.text, 0o600, signal)
      const source = mirror ?? { sha256: image.sha256 }
      await host.startUnit(unit, installScript(what.disk, source, release), signal)
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
    if (ended.active !== 'active') {
      const fault = failure(host.name, unit, what.disk, ended)
      if (!found || fault.code !== 'install-failed') throw fault
      // A process that is gone served its image; what it began can only fail, and is ours to begin anew.
      guidance.note(`the installation that was begun before failed on ${host.name}; it is begun anew`)
      return await writeDisk(host, what, guidance)
    }
  } finally {
    mirror?.withdraw()
  }
  guidance.note(`rebooting ${host.name} into its new system`)
  await host.reboot(signal)
}

/** Where flatcar-install looks for an image below a base address. */
export function imageBelow(version: string): string {
  return `${version}/flatcar_production_image.bin.bz2`
}

/**
 * The unit's script. The disk is compared in the same breath as it is written: the kernel's name for it may have moved
 * since we looked.
 */
export function installScript(
  disk: Pick<Disk, 'name' | 'serial' | 'wwn'>,
  source: { sha256: string } | Mirror,
  release: string[] = [],
): string {
  const device = `/dev/${disk.name}`
  const common = `flatcar-install -d ${device} -i ${folder}/config.ign`
  return [
    'set -eu',
    `command -v flatcar-install || exit ${exits.noProgram}`,
    ...diskCheck(disk),
    ...('base' in source
      ? []
      : [
          `echo ${quote(`${source.sha256}  ${folder}/image`)} | sha256sum -c - || exit ${exits.imageDamaged}`,
        ]),
    ...release.map(line => `${line} || exit ${exits.notReleased}`),
    ...diskCheck(disk),
    'base' in source
      ? `${common} -b ${quote(source.base)} -V ${quote(source.version)} -k ${folder}/key.asc`
      : `${common} -f ${folder}/image`,
  ].join('\n')
}

/**
 * Lines that end a script unless the kernel's name still means the disk that was agreed to, and no other disk claims to
 * be the same one. A disk without a serial number is known by its WWN.
 */
export function diskCheck({ name, serial, wwn }: Pick<Disk, 'name' | 'serial' | 'wwn'>): string[] {
  const [column, value] = serial === '' ? ['WWN', wwn] : ['SERIAL', serial]
  if (value === '') throw new Error(`/dev/${name} has neither a serial number nor a WWN`)
  return [
    `[ "$(lsblk -dno ${column} /dev/${name})" = ${quote(value)} ] || exit ${exits.otherDisk}`,
    `[ "$(lsblk -dno ${column} | grep -cxF ${quote(value)})" = 1 ] || exit ${exits.otherDisk}`,
  ]
}

function noRoom(host: string, room: number, bytes: number): Fault {
  return new Fault({
    code: 'image-no-room',
    blame: 'host',
    message: `the image takes ${bytes} bytes, and /run on ${host}, which lies in memory, has room for ${room}; nothing was sent or written`,
    remedy: `Let ${host} fetch it from here: sign it, name its release, and set netboot.address in recover.yaml; or free memory there. Then run \`recover resume --accept cluster-file\``,
  })
}

function failure(
  host: string,
  unit: string,
  disk: Disk,
  { exitCode, result }: { exitCode: number; result: string },
): Fault {
  if (exitCode === exits.otherDisk)
    return new Fault({
      code: 'disk-moved',
      blame: 'host',
      message: `/dev/${disk.name} of ${host} was not the disk ${disk.serial || disk.wwn} any more, or not the only one, when it was to be written; nothing was written`,
      remedy: 'Look which disks it has now (`lsblk -d -o NAME,MODEL,SERIAL`); then run `recover resume`',
    })
  if (exitCode === exits.imageDamaged)
    return new Fault({
      code: 'image-damaged-on-the-way',
      blame: 'host',
      message: `the image that arrived on ${host} is not the one that was sent; nothing was written`,
      remedy: 'Test the memory of the machine; then run `recover resume`',
    })
  if (exitCode === exits.notReleased)
    return new Fault({
      code: 'disk-busy',
      blame: 'host',
      message: `what is mounted or active on /dev/${disk.name} of ${host} could not be ended; nothing was written`,
      remedy: `Look at \`journalctl -u ${unit}\` on ${host}, end it by hand, then run \`recover resume\``,
    })
  if (exitCode === exits.noProgram)
    return new Fault({
      code: 'installer-incomplete',
      blame: 'operator',
      message: `what runs in the memory of ${host} has no flatcar-install; nothing was written`,
      remedy: `Boot ${host} from a stick that has it (Flatcar’s own, or any Linux with github.com/flatcar/init’s bin/flatcar-install on its path); then run \`recover resume\``,
    })
  return new Fault({
    code: 'install-failed',
    blame: 'host',
    message: `flatcar-install on ${host} ended with exit code ${exitCode} (${result}); the disk ${disk.serial || disk.wwn} may be half written`,
    remedy: `Look at \`journalctl -u ${unit}\` on ${host}; then run \`recover resume\`: it begins the installation anew`,
  })
}
