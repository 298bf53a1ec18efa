import type { BlockNode, Disk } from '../disks.ts'
import type { IgnitionConfig } from './config.ts'
import type { Finding } from './findings.ts'

/** A device that a config writes to, and where it says so. */
interface Device {
  device: string
  where: string
}

/** Every device that Ignition would write to by this config. */
export function devicesOf({ storage }: IgnitionConfig): Device[] {
  return [
    ...(storage?.disks ?? []).map(d => ({ device: d.device ?? '', where: 'storage.disks' })),
    ...(storage?.raid ?? []).flatMap(r =>
      (r.devices ?? []).map(device => ({ device, where: `storage.raid ${r.name}` })),
    ),
    ...(storage?.luks ?? []).map(l => ({ device: l.device ?? '', where: `storage.luks ${l.name}` })),
    ...(storage?.filesystems ?? []).map(f => ({ device: f.device ?? '', where: 'storage.filesystems' })),
  ].filter(d => d.device !== '')
}

/** `/dev/nvme0n1p9` is the disk `nvme0n1`; undefined for a name that does not depend on the order of probing. */
function kernelDisk(device: string): string | undefined {
  return /^\/dev\/((?:nvme\d+n\d+|mmcblk\d+)(?=p?\d*$)|(?:sd|vd|hd|xvd)[a-z]+(?=\d*$))/.exec(device)?.[1]
}

/**
 * Devices that would be another disk than the one that was named.
 * @param named the disk of recover.yaml as the machine has it now
 * @param disks every disk of the machine; undefined where it could not be asked
 */
export function deviceFindings(
  config: IgnitionConfig,
  shown: string,
  serial: string,
  seen: { named: Disk; disks: readonly Disk[] } | undefined,
): Finding[] {
  return devicesOf(config).flatMap(({ device, where }): Finding[] => {
    const kernel = kernelDisk(device)
    if (!seen)
      return kernel === undefined
        ? []
        : [
            {
              severity: 'warning',
              code: 'ignition-kernel-name',
              blame: 'operator',
              message: `${shown} (${where}) writes to ${device}: the kernel gives such names anew at each boot, and the machine cannot be asked now which disk that is`,
              remedy: `Name it by /dev/disk/by-id/…${serial}, or by the label of a partition`,
              at: shown,
            },
          ]
    const disk = seen.disks.find(
      d => d.name === kernel || d.ids.some(id => device.startsWith(`/dev/disk/by-id/${id}`)),
    )
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
    const label = /^\/dev\/disk\/by-partlabel\/(.+)$/.exec(device)?.[1]
    const others = seen.disks.filter(
      d => d.name !== seen.named.name && label !== undefined && hasPartition(d.children, label),
    )
    return others.length === 0
      ? []
      : [
          {
            severity: 'refusal',
            code: 'ignition-label-elsewhere',
            blame: 'operator',
            message: `${shown} (${where}) writes to ${device}, and a partition of that label is on ${others.map(d => `${d.model} with the serial ${d.serial || 'none'}`).join(' and ')} too, which is not the named disk: it might be written`,
            remedy: 'Take that disk out, or rename its partition (sgdisk -c), before the recovery',
            at: shown,
          },
        ]
  })
}

function hasPartition(nodes: readonly BlockNode[], label: string): boolean {
  return nodes.some(n => n.partLabel === label || hasPartition(n.children, label))
}
