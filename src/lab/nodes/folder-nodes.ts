import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NasSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { copyUnit } from './copy-unit.ts'
import { isEmpty, runProgram } from './job-programs.ts'
import type { DiskUser, MountedDisk, Nodes, PodProgram, PodProgramEnd } from './nodes.ts'

/** What the kernels of nodes know. */
const mountable = /^(ext[234]|xfs|btrfs)$/

/** The lab's own machines, which have no kernel: every disk is a folder, and what programs do there is imitated at once. */
export class FolderNodes implements Nodes {
  private readonly world: World
  private readonly nas: NasSeam

  constructor(world: World, nas: NasSeam) {
    this.world = world
    this.nas = nas
  }

  onChange(): void {}

  mount({ handle, fsType, readOnly }: MountedDisk, { initiator, address }: DiskUser): boolean {
    this.nas.login(handle, initiator, address)
    // Throws where it is a real disk, which they cannot read.
    this.nas.filesOf(handle)
    const lun = this.nas.lun(handle)
    // What kubelet does with a disk on which blkid finds nothing, unless the mount is read-only.
    if (lun?.fsType === null) {
      if (readOnly) throw new Error(`wrong fs type, bad superblock on ${lun.name}`)
      this.nas.format(handle, fsType || 'ext4')
    } else if (lun !== undefined && !mountable.test(lun.fsType))
      throw new Error(`mount failed: exit status 32: unknown filesystem type '${lun.fsType}'`)
    else if (fsType !== '' && lun !== undefined && lun.fsType !== fsType)
      throw new Error(`wrong fs type, bad superblock on ${lun.name}, which holds ${lun.fsType}`)
    return true
  }

  letGo(
    used: ReadonlySet<string>,
    _pods: ReadonlySet<string>,
    volumes: string[],
    machines: DiskUser[],
  ): void {
    for (const handle of volumes)
      for (const { name, initiator } of machines)
        if (!used.has(`${handle} ${name}`)) this.nas.logout(handle, initiator)
  }

  run(_pod: string, { script, environment, mounts, dnsIsUp, halfWay }: PodProgram) {
    const folders = Object.entries(mounts).map(([path, { handle }]) => [path, this.nas.filesOf(handle)])
    const backups = this.world.blueprint.backups ?? {}
    // A share is no LUN, and its file system the kernel's own for it.
    const measured = mounts['/data']
    const fsType = measured && (this.nas.lun(measured.handle)?.fsType ?? 'nfs4')
    const around = { dnsIsUp, backups, fsType, halfWay }
    return runProgram(script, environment, Object.fromEntries(folders), around)
  }

  begin(_pod: string, handle: string, text: string): boolean {
    const folder = this.nas.filesOf(handle)
    if (isEmpty(folder)) writeFileSync(join(folder, 'initialised.txt'), text)
    return true
  }

  async exec(command: string[], mounts: Record<string, string>): Promise<PodProgramEnd | undefined> {
    const folders = Object.entries(mounts).map(([path, handle]) => [path, this.nas.filesOf(handle)] as const)
    return carryOut(command, folders)
  }

  copy(_id: string, script: string, machine: DiskUser) {
    return copyUnit(script, this.nas, machine)
  }

  endCopy(): void {}

  async close(): Promise<void> {}
}

/** The few words that a pod of the lab knows; undefined for others. */
function carryOut(
  [program, ...args]: string[],
  folders: (readonly [string, string])[],
): PodProgramEnd | undefined {
  const place = (path = '') => {
    for (const [mount, folder] of folders)
      if (path === mount || path.startsWith(`${mount}/`)) return join(folder, path.slice(mount.length))
    return undefined
  }
  switch (program) {
    case 'true':
      return ended(0, '', '')
    case 'false':
      return ended(1, '', '')
    case 'echo':
      return ended(0, `${args.join(' ')}\n`, '')
    case 'cat': {
      const file = place(args[0])
      return file && existsSync(file) && statSync(file).isFile()
        ? ended(0, readFileSync(file, 'utf8'), '')
        : ended(1, '', `cat: can't open '${args[0]}': No such file or directory\n`)
    }
    case 'ls': {
      const folder = place(args[0])
      return folder && existsSync(folder)
        ? ended(0, `${readdirSync(folder).sort().join('\n')}\n`, '')
        : ended(1, '', `ls: ${args[0]}: No such file or directory\n`)
    }
    case 'test': {
      const file = place(args[1])
      const stat = file !== undefined && existsSync(file) ? statSync(file) : undefined
      const holds =
        stat !== undefined &&
        (args[0] === '-e' ||
          (args[0] === '-f' && stat.isFile()) ||
          (args[0] === '-d' && stat.isDirectory()) ||
          (args[0] === '-s' && stat.size > 0))
      return ended(holds ? 0 : 1, '', '')
    }
    default:
      return undefined
  }
}

function ended(exit: number, stdout: string, stderr: string): PodProgramEnd {
  return { exit, stdout, stderr }
}
