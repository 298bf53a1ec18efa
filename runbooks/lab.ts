import { rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { loadCluster } from '../src/cluster/load.ts'
import { type KeptLab, keepLab } from '../src/lab/keeper.ts'
import type { LabEndpoints } from '../src/lab/lab.ts'
import { lackedByTgtDisks } from '../src/lab/nas/tgt-disks.ts'
import { World } from '../src/lab/world.ts'
import { Fault } from '../src/runbook/fault.ts'
import { stateFolder } from '../src/runbook/run-folder.ts'
import { clusterFileIn } from './cluster-file.ts'
import { withArchive } from './rehearsal/archive.ts'
import { blueprintOf } from './rehearsal/blueprint.ts'
import { parseLatency, slowed } from './rehearse.ts'

/**
 * A lab that stands by itself, for other clients than a rehearsal: kubectl, ssh, curl, a CSI driver.
 * @param where recover.yaml, or the folder that holds it
 * @param folder where its world is kept
 * @param latency how long parts take: `nas=2s`
 * @param options `iscsi`: its LUNs are real disks, for real initiators on this machine; wants root and Debian's tgt, and throws
 *   Fault `lab-without-iscsi` where they are missing
 */
export async function labUp(
  where: string,
  folder: string | undefined,
  latency: string[] = [],
  { iscsi = false } = {},
): Promise<LabEndpoints> {
  const cluster = loadCluster(clusterFileIn(where))
  const dir = folderOf(folder)
  if (!World.exists(dir)) {
    const blueprint = await withArchive(slowed(blueprintOf(cluster), parseLatency(latency)), cluster)
    const nas = {
      ...blueprint.nas,
      // Where DSM's protection against CSRF is on, the CSI driver cannot work at all: it sends no token.
      csrf: false,
      // The CSI driver looks for the targets at the Web API's address and iSCSI's own port.
      ...(iscsi ? { portal: `${blueprint.address}:3260` } : {}),
    }
    if (iscsi) mustHaveTgt()
    World.create(dir, { ...blueprint, nas })
  }
  return (await keepLab(dir, { idle: 'stays' })).endpoints
}

/** Where the lab is and what has been changed in it. Fault `lab-absent` when none was begun there. */
export async function labStatus(folder: string | undefined): Promise<{
  running: boolean
  endpoints: LabEndpoints | undefined
  mutations: Awaited<ReturnType<KeptLab['mutations']>> | undefined
}> {
  const dir = mustExist(folderOf(folder))
  const endpoints = World.open(dir).read<LabEndpoints>('lab')
  const lab = await keepLab(dir, { start: false })
  return { running: lab !== undefined, endpoints, mutations: await lab?.mutations() }
}

/** Ends the lab; with `wipe` its world goes, too. */
export async function labDown(folder: string | undefined, wipe: boolean): Promise<void> {
  const dir = mustExist(folderOf(folder))
  const lab = await keepLab(dir, { start: false })
  await lab?.order('down')
  if (wipe) rmSync(dir, { recursive: true })
}

function mustHaveTgt(): void {
  const why = lackedByTgtDisks()
  if (why.length === 0) return
  throw new Fault({
    code: 'lab-without-iscsi',
    blame: 'operator',
    message: `the lab cannot show its LUNs to real initiators: ${why.join('; ')}`,
    remedy: 'Install Debian’s tgt, e2fsprogs and btrfs-progs and run it as root, or leave --iscsi out',
  })
}

function folderOf(folder: string | undefined): string {
  return folder === undefined ? join(stateFolder(), 'lab') : resolve(folder)
}

function mustExist(dir: string): string {
  if (World.exists(dir)) return dir
  throw new Fault({
    code: 'lab-absent',
    blame: 'operator',
    message: `there is no lab in ${dir}`,
    remedy: 'Begin one with `recover lab up`, or name its folder with --folder',
  })
}
