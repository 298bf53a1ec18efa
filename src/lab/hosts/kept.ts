import type { DiskModel, FileModel, MachineState } from './machine-state.ts'

/** What a system on a disk still has at its next boot. */
export interface Kept {
  system: 'old-os' | 'flatcar'
  files: Record<string, FileModel>
  /** Units that start at every boot. */
  starts: string[]
}

const inMemory = /^\/(run|tmp|dev|proc|sys)\//

/** Leaves on its disk what the running system has written there; a system that runs from memory leaves nothing. */
export function keepOnDisk(state: MachineState): void {
  const { system } = state
  if (system !== 'old-os' && system !== 'flatcar') return
  const disk = state.disks.find(d => d.system === system)
  if (!disk) return
  disk.kept = {
    system,
    files: Object.fromEntries(Object.entries(state.files).filter(([path]) => !inMemory.test(path))),
    // `k0s install` enables the unit, whether it runs at the moment or not.
    starts: Object.keys(state.units).filter(name => /^k0s/.test(name)),
  }
}

/** What is found on the disk from which a system boots again; nothing at its first boot. */
export function keptOnDisk(disks: DiskModel[], system: MachineState['system']): Kept | undefined {
  return disks.find(d => d.system === system && d.kept?.system === system)?.kept
}
