import { z } from 'zod'
import type { Cluster } from '../../src/cluster/load.ts'
import type { ClusterFile } from '../../src/cluster/schema.ts'
import type { HostWriter } from '../../src/hosts/host.ts'
import { lockHost } from '../../src/hosts/host-lock.ts'
import { lunNamed, targetNamed } from '../../src/nas/lists.ts'
import type { Target } from '../../src/nas/nas.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { type Acting, blocked, done, due } from '../../src/runbook/step.ts'
import {
  type HostCopy,
  hostCopyFolder,
  hostCopyNeeds,
  hostCopyScript,
  hostFileSystems,
  parseHostCopyVerdict,
} from '../../src/volumes/host-copy.ts'
import { hostCopyFault } from '../../src/volumes/host-copy-faults.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { holdOsUpdates } from '../hosts/hold-os-updates.ts'
import { type Readers, step, type Writers } from '../kit.ts'
import { fenceVolume } from '../protect/fence.ts'
import { fenced } from '../protect/fenced.ts'
import { snapshotVolume } from '../protect/snapshot.ts'
import { copiedFiles } from './copied-files.ts'
import { hearingProgress } from './copy-progress.ts'
import { lunDisk } from './disk.ts'
import { hostCopyOf } from './source.ts'

/**
 * A new disk with every file of the old one, made without Kubernetes: a machine of this run logs in to a clone and to the
 * new disk, and copies in a unit that outlives our line. Ends with the disk's target off and the clone gone; from there on
 * the new disk waits for its claim.
 */
export const copyOnHost = step({
  id: 'volumes/copy-on-host',
  title: volume => `Copy ${volume.claim} to a new disk on a host`,
  byHand:
    'In SAN Manager clone the LUN’s snapshot and make a new LUN under a name that begins with k8s-csi-, each with a target; on a machine `iscsiadm -m node -o new -T IQN -p NAS` and `--login` for both, `mkfs` the new one, mount the clone `-o ro`, `rsync -aHAXS --numeric-ids`, unmount, `--logout`, `-o delete`.',
  each: eachVolume,
  only: volume => volume.strategy === 'host-copy' && volume.lun !== undefined,
  needs: [snapshotVolume, fenceVolume, holdOsUpdates],
  danger: 'changes',
  bounds: { expected: '2m', limit: '24h' },
  retry: { times: 4, delay: '5s' },
  // From there on the disk is the cluster's, and no machine mounts it past Kubernetes.
  holdsUntil: 'volumes/host-copy',
  uses: () => ['nas'],
  output: z.strictObject({
    disk: z.string(),
    host: z.string(),
    copied: copiedFiles,
  }),
  async observe(look) {
    const { volume, cluster, nas, output, run } = look
    const own = hostCopyOf(volume, run)
    const host = hostOf(cluster)
    const luns = await nas.luns()
    const disk = lunNamed(luns, own.disk)
    const targets = await nas.targets()
    // The NAS deletes a LUN and leaves its target, which is deleted after it: a run may have ended in between.
    const cloned = [...luns, ...targets].some(({ name }) => name === own.clone)
    const target = targetNamed(targets, own.disk)
    const { fsType } = lunDisk(cluster, volume, volume.lun!)
    if (!(hostFileSystems as readonly string[]).includes(fsType))
      return blocked(
        'file-system-unfit',
        `${volume.claim} is to have the file system ${fsType}, and a host makes only ${hostFileSystems.join(', ')}`,
        'Choose another strategy for it in recover.yaml (volumes), or another file system in its StorageClass',
      )
    const wanted = disk && { disk: disk.uuid, snapshot: output(snapshotVolume).snapshot }
    const seen = await seenOn(host, own.id, wanted, look)
    const lacks = hostCopyNeeds(fsType).filter(program => seen && !seen.tools.includes(program))
    if (lacks.length > 0)
      return blocked(
        'host-lacks-program',
        `${host} cannot copy ${volume.claim}: it has no ${lacks.join(', no ')}`,
        'Put the program into its image, or name another host in recover.yaml (copyOn)',
      )
    if (disk && seen?.copied && !cloned && target?.enabled === false)
      return done(
        { disk: disk.uuid, host, copied: seen.copied },
        `all ${seen.copied.files} files of ${volume.claim} (${seen.copied.folders} folders, ${seen.copied.links} links, ${seen.copied.bytes} bytes) are on the new disk ${disk.uuid}, copied on ${host} and compared by content in a second pass`,
      )
    return due(
      ...(disk ? [] : [`make a new LUN ${own.disk} on the NAS`]),
      ...(seen?.copied ? [] : [`copy every file of ${volume.claim} on ${host}, and compare both`]),
      `delete the clone ${own.clone}, and switch the new disk’s target off`,
    )
  },
  async apply(act) {
    const { volume, cluster, hosts, nas, output, run, signal, note } = act
    const own = hostCopyOf(volume, run)
    const host = hostOf(cluster)
    // What an old writer adds after the snapshot would be missing from the copy.
    note(`fence of ${volume.claim}: ${await fenced(volume, act)}`)
    const old = volume.lun!.uuid
    const disk = await nas.createLun({
      name: own.disk,
      description: volume.claim,
      sizeBytes: volume.sizeBytes,
      beside: old,
    })
    const { snapshot } = output(snapshotVolume)
    if (!(await seenOn(host, own.id, { disk: disk.uuid, snapshot }, act))?.copied) {
      const parent = { lun: old, snapshot }
      const description = `recover run ${run.id}, clone of ${volume.claim}`
      const clone = await nas.clone(parent, { name: own.clone, description })
      const { fsType, attributes } = lunDisk(cluster, volume, disk)
      const [from, to] = [await switchedOn(own.clone, nas), await switchedOn(own.disk, nas)]
      const copy = {
        run: run.id,
        portal: portalOf(cluster.entry.nas),
        from: { iqn: from.iqn, uuid: clone.uuid, snapshot },
        to: { iqn: to.iqn, uuid: disk.uuid },
        fsType,
        formatOptions: attributes.formatOptions ?? '',
      }
      const failed = await hosts.changeOurs(host, signal, async machine => {
        await lockHost(machine, run.id, signal)
        return await copyInUnit(machine, volume.claim, own, copy, act)
      })
      // A unit that may be at work yet, beyond a line that broke, keeps its disks; one that ended needs them no more.
      if (failed) {
        for (const { id } of [from, to]) await nas.setTargetEnabled(id, false)
        throw failed
      }
    }
    await hosts.changeOurs(host, signal, machine => machine.forgetUnit(own.unit, signal))
    await letGo([own.clone, own.disk], act)
    const clone = lunNamed(await nas.luns(), own.clone)
    await nas.dropOwnClone({ uuid: clone?.uuid ?? '', name: own.clone, parent: old, run: run.id })
    // Last of all: a target that is off says that nothing before it is left to do.
    const target = targetNamed(await nas.targets(), own.disk)
    if (target) await nas.setTargetEnabled(target.id, false)
  },
})

/**
 * Copies in a unit of the machine, found again by its name: one that runs is waited for, one that failed is begun anew.
 * Returns why it failed; undefined when all is copied.
 */
export async function copyInUnit(
  machine: HostWriter,
  claim: string,
  { id, unit, disk }: { id: string; unit: string; disk: string },
  copy: HostCopy,
  { note, progress, signal, wait }: Pick<Acting, 'note' | 'progress' | 'signal' | 'wait'>,
): Promise<Fault | undefined> {
  const folder = hostCopyFolder(id)
  const program = `${folder}/program`
  const before = await machine.unit(unit, signal)
  if (before.active === 'activating')
    note(`found the copying of ${claim} on ${machine.name} that was begun before`)
  else {
    await machine.forgetUnit(unit, signal)
    await machine.putFile(program, hostCopyScript(id, copy), 0o700, signal)
    await machine.startUnit(unit, `exec sh ${program}`, signal)
  }
  const hear = hearingProgress(progress)
  const ended = await wait(
    `the files of ${claim} to be copied on ${machine.name}`,
    async () => {
      const state = await machine.unit(unit, signal)
      if (state.active !== 'activating') return state
      hear((await machine.readTail(`${folder}/log`, 2048, signal)) ?? '')
      return undefined
    },
    // A line that broke does not come back; the next attempt opens another and finds the unit again.
    { every: '2s', impatient: true },
  )
  const verdict = await machine.readFile(`${folder}/verdict`, signal)
  const said = (await machine.readFile(`${folder}/said`, signal)) ?? ''
  if (
    ended.active === 'active' &&
    parseHostCopyVerdict(verdict, { disk: copy.to.uuid, snapshot: copy.from.snapshot })
  )
    return undefined
  return hostCopyFault(claim, { exitCode: ended.exitCode, said }, { host: machine.name, unit, folder, disk })
}

/** The machine that copies: the one that recover.yaml names, or the last, which mostly has the least to do. */
function hostOf({ entry, k0sctl }: Pick<Cluster, 'entry' | 'k0sctl'>): string {
  return entry.copyOn ?? k0sctl.hosts.at(-1)!.name
}

/** Where the NAS takes iSCSI logins; brackets of an IPv6 address are what iscsiadm wants, too. */
function portalOf(nas: ClusterFile['nas']): string {
  return `${'synology' in nas ? new URL(nas.synology).hostname : nas.linux}:3260`
}

/** What the machine has, and its verdict where it has copied that snapshot to that disk; undefined while it is not this run's. */
async function seenOn(
  host: string,
  id: string,
  wanted: { disk: string; snapshot: string } | undefined,
  { hosts, run, signal }: Pick<Readers, 'hosts' | 'run'> & { signal: AbortSignal },
) {
  if ((await hosts.probe(host, signal)).state !== 'answers') return undefined
  return await hosts.ours(host, signal, async machine => {
    const facts = await machine.facts(signal)
    if (facts.run?.run !== run.id) return undefined
    const verdict = await machine.readFile(`${hostCopyFolder(id)}/verdict`, signal)
    return {
      tools: facts.tools,
      copied: wanted && parseHostCopyVerdict(verdict, wanted),
    }
  })
}

/** The target of that name, open to one machine at a time. Throws Fault `lun-unfit` where it wants a password. */
async function switchedOn(name: string, nas: Writers['nas']): Promise<Target> {
  const target = targetNamed(await nas.targets(), name)!
  if (target.authenticated)
    throw new Fault({
      code: 'lun-unfit',
      blame: 'operator',
      message: `target ${name} wants a password, which neither recover nor the CSI driver gives`,
      remedy: 'Take the password away in DSM’s SAN Manager, then run `recover resume`',
    })
  return target.enabled ? target : await nas.setTargetEnabled(target.id, true)
}

/** A machine that logged out is seen so by the NAS a moment later. */
async function letGo(names: string[], { nas, wait }: Writers & Pick<Acting, 'wait'>): Promise<void> {
  await wait(
    `${names.join(' and ')} to be logged out of`,
    async () => {
      const targets = (await nas.targets()).filter(t => names.includes(t.name))
      return targets.every(t => t.sessions.length === 0) || undefined
    },
    { limit: '2m' },
  )
}
