/** A node as far as the file systems of two disks go by it. */
export interface NodeKernel {
  node: string
  /** Release of its kernel, as its status tells: `6.12.51-flatcar`. */
  kernel: string
}

/** Whether a clone and its original may be visible on one machine at a time. */
export type TwinRule = { together: true; why: string } | { together: false; why: string }

/**
 * A clone has the file system UUID of its original. ext4 does not mind; xfs refuses the second; btrfs gives the second a
 * temporary one from Linux 6.7 on, and before that takes it for another device of the first.
 */
export function twinRule(fsType: string, nodes: readonly NodeKernel[]): TwinRule {
  if (/^ext[234]$/.test(fsType)) return { together: true, why: `${fsType} does not mind two of one UUID` }
  if (fsType !== 'btrfs')
    return {
      together: false,
      why: `${fsType} does not mount two file systems of one UUID on one machine`,
    }
  const old = nodes.filter(n => !isAtLeast(n.kernel, 6, 7))
  return old.length === 0 && nodes.length > 0
    ? {
        together: true,
        why: `btrfs tells two of one UUID apart from Linux 6.7 on (${nodes.map(n => `${n.node} has ${n.kernel}`).join(', ')})`,
      }
    : {
        together: false,
        why: `btrfs takes two of one UUID for one before Linux 6.7 (${old.map(n => `${n.node} has ${n.kernel || 'an unknown kernel'}`).join(', ') || 'no node says what it has'})`,
      }
}

function isAtLeast(release: string, major: number, minor: number): boolean {
  const [, a = '0', b = '0'] = /^(\d+)\.(\d+)/.exec(release) ?? []
  return Number(a) > major || (Number(a) === major && Number(b) >= minor)
}
