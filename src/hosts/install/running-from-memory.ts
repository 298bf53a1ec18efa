import type { HostFacts } from '../facts.ts'
import { type DiskSelector, resolveDisk } from '../resolve-disk.ts'

// What a system that was booted from a stick or over the network has as its root.
const inMemory = new Set(['tmpfs', 'ramfs', 'rootfs', 'overlay', 'squashfs'])

/** Whether the running system has no disk that it could be writing to: an installer, a rescue system. */
export function runsFromMemory(facts: HostFacts): boolean {
  return inMemory.has(facts.rootFileSystem)
}

/**
 * A system from which the host's disk can be written: it runs from memory, and not from that disk. Throws the Faults of
 * {@link resolveDisk} when it is the wrong machine.
 */
export function isInstaller(facts: HostFacts, selector: DiskSelector, host: string): boolean {
  return runsFromMemory(facts) && !resolveDisk(facts, selector, host).boot
}
