import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MachineState } from '../../src/lab/hosts/machine-state.ts'
import type { Stored } from '../../src/lab/kubernetes/stored.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import { measureFolder } from '../../src/lab/nodes/job-programs.ts'

/** What two runs must agree on, made comparable: what is named at random is called by what it stands for. */
export interface ComparableWorld {
  hosts: Record<string, unknown>
  /** How often each host's named disk was written whole. */
  writes: Record<string, number>
  nas: unknown
  kubernetes: Record<string, unknown>
  /** Applications that are not both Synced and Healthy. */
  unwell: string[]
}

/** Reads the world of a lab that is down from its folder. `run` is the run's name, which differs from run to run. */
export function worldOf(lab: string, run: string): ComparableWorld {
  const read = <T>(name: string) => JSON.parse(readFileSync(join(lab, `${name}.json`), 'utf8')) as T
  const machines = Object.values(read<Record<string, MachineState>>('hosts'))
  const objects = kubernetesOf(lab)
  const stand = standIns(objects, run)
  return {
    hosts: Object.fromEntries(machines.map(m => [m.name, hostOf(m)])),
    writes: Object.fromEntries(machines.map(m => [m.name, m.disks[0]?.writes ?? -1])),
    nas: nasOf(lab, read<NasState>('nas'), run),
    kubernetes: Object.fromEntries(
      [...objects].map(([key, object]) => [stand(key), shapeOf(object, stand)]).sort(),
    ),
    unwell: [...objects.values()]
      .filter(o => o.kind === 'Application' && !isWell(o))
      .map(o => o.metadata.name),
  }
}

/** What the journal's run leaves on the machines; private keys and tokens as nothing but files that are there. */
function hostOf(machine: MachineState): unknown {
  return {
    system: machine.system,
    ours: machine.files['/etc/ssh/ssh_host_ed25519_key']?.text === machine.hostKey,
    files: Object.entries(machine.files)
      .map(([path, { mode }]) => `${path} ${mode}`)
      .sort(),
    units: machine.units,
    // What a BMC was told for the next boot, and what is in its drive.
    bootOverride: machine.bootOverride,
    media: machine.media !== undefined,
    disks: machine.disks.map(({ ignition, writes: _, ...disk }, i) => ({
      ...disk,
      configured: ignition !== undefined,
      // The disk that nobody named must never be written at all; how often the named one was is judged elsewhere.
      ...(i === 0 ? {} : { writes: machine.disks[i]?.writes }),
    })),
  }
}

function nasOf(lab: string, nas: NasState, run: string): unknown {
  const before = new Set(nas.snapshots.map(s => s.lun))
  const called = (uuid: string) => {
    const lun = nas.luns.find(l => l.uuid === uuid)
    return `${before.has(uuid) ? 'old' : 'new'} disk of ${lun?.description ?? `${uuid}, which is gone`}`
  }
  return {
    luns: nas.luns
      .map(lun => ({
        disk: called(lun.uuid),
        clone: lun.parent !== '',
        named: lun.name.replace(/[0-9a-f-]{36}$/, 'UUID').replace(run, 'RUN'),
        size: lun.size,
        fsType: lun.fsType,
        content: contentOf(join(lab, 'nas', 'luns', lun.uuid)),
      }))
      .sort((a, b) => a.disk.localeCompare(b.disk)),
    targets: nas.targets
      .map(t => ({
        named: t.name.replace(/[0-9a-f-]{36}$/, 'UUID').replace(run, 'RUN'),
        enabled: t.enabled,
        leadsTo: t.mappings.map(m => called(m.lun)),
        sessions: t.sessions.length,
      }))
      .sort((a, b) => JSON.stringify(a.leadsTo).localeCompare(JSON.stringify(b.leadsTo))),
    snapshots: nas.snapshots
      .map(s => ({
        of: called(s.lun),
        named: s.name.replace(run, 'RUN'),
        content: contentOf(join(lab, 'nas', 'snapshots', s.uuid)),
      }))
      .sort((a, b) => a.of.localeCompare(b.of)),
    folders: readdirSync(join(lab, 'nas', 'luns')).length,
    ...(nas.shares ? { shares: nas.shares.map(share => shareOf(lab, share, run)) } : {}),
  }
}

/** A shared folder; the name of a clone has the end of the run's name in it. */
function shareOf(lab: string, share: NonNullable<NasState['shares']>[number], run: string): unknown {
  return {
    named: share.name.replace(new RegExp(`-${run.slice(-4)}$`), '-RUN'),
    quota: share.quota,
    // Whom they name are the lab's own addresses, which differ from world to world.
    rules: share.rules.map(rule => rule.privilege),
    description: share.description,
    snapshots: share.snapshots.map(s => [s.description.replace(run, 'RUN'), s.locked]),
    content: contentOf(join(lab, 'nas', 'shares', share.uuid)),
  }
}

/** A disk's files; of one that an application began anew, only that it did. */
function contentOf(folder: string): unknown {
  if (existsSync(join(folder, 'initialised.txt'))) return { beganAnew: readdirSync(folder).sort() }
  return measureFolder(folder)
}

/** All objects of the one cluster that there is, by group, kind, namespace and name. */
export function kubernetesOf(lab: string): Map<string, Stored> {
  // A run of the hosts alone has begun none.
  const folder = join(lab, 'kubernetes')
  if (!existsSync(folder)) return new Map()
  const stores = readdirSync(folder).filter(name => name.endsWith('.ndjson'))
  if (stores.length !== 1)
    throw new Error(`the control plane began ${stores.length} times: ${stores.join(', ')}`)
  const objects = new Map<string, Stored>()
  for (const line of readFileSync(join(folder, stores[0] ?? ''), 'utf8').split('\n')) {
    if (line === '') continue
    const { key, object } = JSON.parse(line) as { key: string; object?: Stored }
    if (object) objects.set(key, object)
    else objects.delete(key)
  }
  return objects
}

/** Replaces every name and id that was made up on the way by what it belongs to. */
function standIns(objects: Map<string, Stored>, run: string): (text: string) => string {
  const names: [string, string][] = [[run, 'RUN']]
  for (const [key, { kind, metadata, spec }] of objects) {
    if (kind === 'PersistentVolume') {
      const { claimRef, csi } = spec as {
        claimRef?: { namespace: string; name: string }
        csi?: { volumeHandle: string }
      }
      const claim = `${claimRef?.namespace}/${claimRef?.name}`
      names.push([metadata.name, `volume of ${claim}`], [csi?.volumeHandle ?? '-', `disk of ${claim}`])
    }
    names.push([metadata.uid, `uid of ${key}`])
  }
  return text => names.reduce((all, [from, to]) => all.replaceAll(from, to), text)
}

function shapeOf({ metadata, status: _, ...rest }: Stored, stand: (text: string) => string): unknown {
  const { labels, annotations, ownerReferences, finalizers, deletionTimestamp } = metadata
  const shape = {
    ...rest,
    labels,
    annotations,
    ownerReferences,
    finalizers,
    leaving: deletionTimestamp !== undefined,
  }
  // The counter of the API's own store, which a claimRef repeats: how much else was written before is no matter.
  const counted = (key: string, value: unknown) => (key === 'resourceVersion' ? undefined : value)
  return JSON.parse(stand(stand(JSON.stringify(shape, counted))))
}

function isWell({ status }: Stored): boolean {
  const { sync, health } = (status ?? {}) as { sync?: { status: string }; health?: { status: string } }
  return sync?.status === 'Synced' && health?.status === 'Healthy'
}

/** SHA-256 over the names and bytes of all files below a folder, but those below `except`. */
export function bytesOf(folder: string, except: (path: string) => boolean): string {
  const sum = createHash('sha256')
  const walk = (path: string) => {
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) =>
      a.name.localeCompare(b.name),
    )) {
      const inner = join(path, entry.name)
      if (except(inner)) continue
      sum.update(`${inner}\0`)
      if (entry.isDirectory()) walk(inner)
      else sum.update(readFileSync(inner))
    }
  }
  walk(folder)
  return sum.digest('hex')
}
