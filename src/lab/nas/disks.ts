import { constants, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import type { World } from '../world.ts'
import type { LunState, TargetState } from './state.ts'

/** What is on a LUN or a share, or what a snapshot keeps of one, by uuid. */
export type DiskName = `luns/${string}` | `shares/${string}` | `snapshots/${string}`

/** What stands behind the NAS's tables: what is on a LUN, and who is logged in to it beside the lab's own machines. */
export interface Disks {
  /** TCP port at which initiators would find its targets. */
  readonly port: number
  /** An unformatted disk. */
  make(disk: DiskName, sizeBytes: number): void
  /** Makes `to` whatever `from` is at this moment; where blocks of files can be shared, they are. */
  copy(from: DiskName, to: DiskName): void
  grow(disk: DiskName, sizeBytes: number): void
  remove(disk: DiskName): void
  /** A new file system with these files on it: path to text. */
  fill(disk: DiskName, fsType: string, files: Record<string, string>): void
  /** Makes a disk a copy of a raw image; throws where disks are folders. */
  load(disk: DiskName, image: string): void
  /** The folder of a disk's files, for the lab's own machines; throws where they cannot read it. */
  filesOf(disk: DiskName): string
  /** Lets initiators in exactly as the tables say; called whenever these have changed. */
  show(targets: readonly TargetState[], luns: readonly LunState[]): void
  sessions(target: TargetState): { iqn: string; ip: string }[]
  close(): Promise<void>
}

/** The disks of a world: real ones where it has a portal for them. */
export async function openDisks(world: World): Promise<Disks> {
  const { portal } = world.blueprint.nas
  if (portal === undefined) return folderDisks(world)
  const { startTgtDisks } = await import('./tgt-disks.ts')
  return startTgtDisks(world, portal)
}

/** Every disk is a folder of real files, so that what comes back can be compared; no initiator gets in. */
export function folderDisks(world: World): Disks {
  const at = (disk: DiskName) => world.path('nas', disk)
  const empty = (disk: DiskName) => {
    rmSync(at(disk), { recursive: true, force: true })
    mkdirSync(at(disk), { recursive: true })
  }
  return {
    port: 3260,
    make: disk => void mkdirSync(at(disk), { recursive: true }),
    copy(from, to) {
      empty(to)
      // Where the file system can share blocks (btrfs, xfs), it does, as the NAS itself would.
      if (existsSync(at(from)))
        cpSync(at(from), at(to), {
          recursive: true,
          mode: constants.COPYFILE_FICLONE,
          preserveTimestamps: true,
        })
    },
    grow: () => undefined,
    remove: disk => rmSync(at(disk), { recursive: true, force: true }),
    fill(disk, _fsType, files) {
      empty(disk)
      writeFiles(at(disk), files)
    },
    load() {
      throw new Error('a disk that is a folder cannot begin as an image')
    },
    filesOf: at,
    show: () => undefined,
    sessions: () => [],
    close: async () => undefined,
  }
}

/** Writes texts below a folder; no path leads out of it. */
export function writeFiles(folder: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, normalize(`/${name}`))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
}
