import { type Disk, everything } from '../disks.ts'
import { hasId } from '../resolve-disk.ts'
import type { IgnitionConfig } from './config.ts'
import type { Finding } from './findings.ts'

/** A device that a config writes to, and where it says so. */
interface Device {
  device: string
  where: string
  /** What is on it goes; otherwise Ignition leaves it when it fits, and fails when it does not. */
  wipes: boolean
}

/** Every device that Ignition would write to by this config. */
export function devicesOf({ storage }: IgnitionConfig): Device[] {
  return [
    ...(storage?.disks ?? []).map(d => ({ device: d.device ?? '', where: 'storage.disks', wipes: true })),
    ...(storage?.raid ?? []).flatMap(r =>
      (r.devices ?? []).map(device => ({ device, where: `storage.raid ${r.name}`, wipes: true })),
    ),
    ...(storage?.luks ?? []).map(l => ({
      device: l.device ?? '',
      where: `storage.luks ${l.name}`,
      wipes: l.wipeVolume === true,
    })),
    ...(storage?.filesystems ?? []).map(f => ({
      device: f.device ?? '',
      where: 'storage.filesystems',
      wipes: f.wipeFilesystem === true,
    })),
  ].filter(d => d.device !== '')
}

/** `/dev/nvme0n1p9` is the disk `nvme0n1`; undefined for a name that does not depend on the order of probing. */
function kernelDisk(device: string): string | undefined {
  return /^\/dev\/((?:nvme\d+n\d+|mmcblk\d+)(?=p?\d*$)|(?:sd|vd|hd|xvd)[a-z]+(?=\d*$))/.exec(device)?.[1]
}

/** The disk's name of `/dev/disk/by-id/NAME-part1`. */
function idOf(device: string): string | undefined {
  return /^\/dev\/disk\/by-id\/(.+?)(?:-part\d+)?$/.exec(device)?.[1]
}

/**
 * Devices that would be another disk than the one that was named.
 * @param serial of the disk that was named, or its WWN
 * @param seen the disk of recover.yaml as the machine has it now, and every disk of the machine; undefined where it could
 *   not be asked
 */
export function deviceFindings(
  config: IgnitionConfig,
  shown: string,
  serial: string,
  seen: { named: Disk; disks: readonly Disk[] } | undefined,
): Finding[] {
  return devicesOf(config).flatMap(({ device, where, wipes }): Finding[] => {
    const kernel = kernelDisk(device)
    const id = idOf(device)
    const unknown: Finding = {
      severity: 'warning',
      code: 'ignition-device-unknown',
      blame: 'operator',
      message: `${shown} (${where}) writes to ${device}, and it cannot be told now which disk that is`,
      remedy: `Name it by /dev/disk/by-id/…${serial}, or by the label of a partition`,
      at: shown,
    }
    if (!seen) {
      if (kernel === undefined)
        return id === undefined || id.includes(serial.replace('/dev/disk/by-id/', '')) ? [] : [unknown]
      return [
        {
          severity: 'warning',
          code: 'ignition-kernel-name',
          blame: 'operator',
          message: `${shown} (${where}) writes to ${device}: the kernel gives such names anew at each boot, and the machine cannot be asked now which disk that is`,
          remedy: `Name it by /dev/disk/by-id/…${serial}, or by the label of a partition`,
          at: shown,
        },
      ]
    }
    const disk = seen.disks.find(d => d.name === kernel || (id !== undefined && hasId(d, id)))
    if (disk && disk.name !== seen.named.name)
      return [
        {
          severity: 'refusal',
          code: 'ignition-other-disk',
          blame: 'operator',
          message: `${shown} (${where}) writes to ${device}, which is now ${disk.model} with the serial ${disk.serial || 'none'}, and not the named disk with ${serial}`,
          remedy: `Name the disk by /dev/disk/by-id/… in the config, or correct hosts.….disk in recover.yaml`,
          at: shown,
        },
      ]
    if (kernel !== undefined)
      return [
        {
          severity: 'warning',
          code: 'ignition-kernel-name',
          blame: 'operator',
          message: `${shown} (${where}) writes to ${device}, which is ${disk ? `the named disk ${serial} now` : 'not there now'}; the kernel gives such names anew at each boot`,
          remedy: `Name it by ${seen.named.ids[0] ? `/dev/disk/by-id/${seen.named.ids[0]}` : '/dev/disk/by-id/…'}`,
          at: shown,
        },
      ]
    if ((id !== undefined && !disk) || (wipes && /^\/dev\/disk\/by-(?:path|partuuid|diskseq)\//.test(device)))
      return [unknown]
    const others = seen.disks.filter(d => d.name !== seen.named.name && wouldBe(device, wipes, d))
    return others.length === 0
      ? []
      : [
          {
            severity: 'refusal',
            code: 'ignition-label-elsewhere',
            blame: 'operator',
            message: `${shown} (${where}) writes to ${device}, and ${others.map(d => `${d.model} with the serial ${d.serial || 'none'}`).join(' and ')} has that, too, which is not the named disk: it might be written`,
            remedy:
              'Take that disk out, or give what is on it another name (sgdisk -c, e2label), before the recovery',
            at: shown,
          },
        ]
  })
}

/** Whether something on a disk has the label or UUID by which a device is named. */
function wouldBe(device: string, wipes: boolean, disk: Disk): boolean {
  const [, by, name] = /^\/dev\/disk\/by-(partlabel|label|uuid)\/(.+)$/.exec(device) ?? []
  if (by === undefined) return false
  const nodes = [...everything(disk.children)]
  if (by === 'partlabel') return nodes.some(n => n.partLabel === name)
  // A file system that is there has these names, so that it is made anew only where it is to be wiped.
  return wipes && [disk, ...nodes].some(n => (by === 'label' ? n.label : n.uuid) === name)
}
