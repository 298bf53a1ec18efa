import { Fault } from '../../runbook/fault.ts'
import {
  mustBeAgreed,
  mustBeCloneOf,
  mustBeIdle,
  mustBeNew,
  mustBeOwnClone,
  mustBeOwnSnapshot,
  notMade,
  stillThere,
} from '../guards.ts'
import { cloneName, type Lun, type NasReader, type NasWriter, type Snapshot, type Target } from '../nas.ts'
import * as answers from './answers.ts'
import { makeUnlessThere } from './make.ts'
import { openSession, type SynologyAccess, type SynologySession } from './session.ts'
import { shareChanges, shareReader } from './shares.ts'

/** A Synology NAS as two handles on one session; the reader has no way to change anything. */
export function connectSynology(access: SynologyAccess): {
  reader: NasReader
  writer: NasWriter
  close(): Promise<void>
} {
  const session = openSession(access)
  const reader = readerOf(session)
  return {
    reader,
    writer: { ...reader, ...changesOf(session, reader, access) },
    close: () => session.close(),
  }
}

// What a StorageClass of the CSI driver chooses (enableSpaceReclamation, enableFuaSyncCache). A new LUN does what the one that it
// replaces did: without emulate_tpu the NAS refuses discards, and deleted files go on to take room.
const chosen = new Set(['emulate_tpu', 'emulate_fua_write', 'emulate_sync_cache'])

const lunFields = ['status', 'is_action_locked', 'family_config', 'allocated_size']
const targetFields = ['mapped_lun', 'connected_sessions', 'status']

function readerOf(session: SynologySession): NasReader {
  return {
    ...shareReader(session),
    async describe() {
      const info = (type: { type?: string }) => ['SYNO.Core.System', 'info', 1, { ...type }] as const
      const system = await session.ask(...info({}), answers.system)
      const network = await session.ask(...info({ type: 'network' }), answers.network)
      const limits = await session.ask(...info({ type: 'define' }), answers.limits)
      const { volumes } = await session.ask(
        'SYNO.Core.Storage.Volume',
        'list',
        1,
        { offset: 0, limit: -1, location: 'all' },
        answers.volumes,
      )
      return {
        model: system.model,
        hostname: network.hostname,
        volumes: volumes.map(v => ({
          path: v.volume_path,
          fileSystem: v.fs_type,
          status: v.status,
          sizeBytes: v.size_total_byte,
          freeBytes: v.size_free_byte,
        })),
        // Every Synology with SAN Manager has them; the driver is Synology's own.
        can: { snapshots: true, clones: true, driver: 'csi.san.synology.com', lacks: [] },
        limits: {
          luns: limits.max_iscsiluns,
          targets: limits.max_iscsitrgs,
          snapshotsPerLun: limits.max_snapshot_per_lun,
        },
      }
    },
    async luns() {
      // Without `types` DSM lists every kind; the driver's own list of types would hide some.
      const asked = { additional: lunFields }
      const { luns } = await session.ask('SYNO.Core.ISCSI.LUN', 'list', 1, asked, answers.luns)
      return luns.map(lunOf)
    },
    async targets() {
      const asked = { additional: targetFields }
      const { targets } = await session.ask('SYNO.Core.ISCSI.Target', 'list', 1, asked, answers.targets)
      return targets.map(targetOf)
    },
    async snapshots(lun) {
      const asked = { src_lun_uuid: lun }
      const { snapshots } = await session.ask(
        'SYNO.Core.ISCSI.LUN',
        'list_snapshot',
        1,
        asked,
        answers.snapshots,
      )
      return snapshots.map(snapshotOf)
    },
  }
}

function changesOf(
  session: SynologySession,
  reader: NasReader,
  access: SynologyAccess,
): Omit<NasWriter, keyof NasReader> {
  const lunNamed = async (name: string) => (await reader.luns()).find(l => l.name === name)
  const targetNamed = async (name: string) => (await reader.targets()).find(t => t.name === name)
  const missing = (what: string, name: string) => notMade(access.url, `${what} ${name}`)
  const unless = makeUnlessThere(missing)

  /** A target of the LUN's own name that leads to it alone, and the LUN as it is listed then. */
  const mapped = async (uuid: string, name: string) => {
    const target = await unless(
      () => targetNamed(name),
      async () => {
        const { hostname } = await reader.describe()
        const iqn = `iqn.2000-01.com.synology:${hostname}.${name.replace(/^k8s-csi-/, '')}`
        return session.call('SYNO.Core.ISCSI.Target', 'create', 1, {
          name,
          iqn: iqn.replaceAll('_', '-').slice(0, 128),
          auth_type: 0,
          max_sessions: 1,
        })
      },
      'the target',
      name,
    )
    if (!target.mappings.some(m => m.lun === uuid))
      await session.call('SYNO.Core.ISCSI.LUN', 'map_target', 1, { uuid, target_ids: [target.id] })
    const made = (await reader.luns()).find(l => l.uuid === uuid)
    const leads = (await targetNamed(name))?.mappings.some(m => m.lun === uuid)
    if (!made || !leads) throw missing('the mapped LUN', name)
    return made
  }

  return {
    ...shareChanges(session, reader, access.url),

    takeSnapshot(lun, name, description) {
      return unless(
        async () => (await reader.snapshots(lun)).find(s => s.name === name),
        () =>
          session.call('SYNO.Core.ISCSI.LUN', 'take_snapshot', 1, {
            src_lun_uuid: lun,
            snapshot_name: name,
            description,
            taken_by: 'recover',
            is_locked: true,
            is_app_consistent: false,
          }),
        'the snapshot',
        name,
      )
    },

    async setTargetEnabled(id, enabled) {
      const find = async () => {
        const target = (await reader.targets()).find(t => t.id === id)
        if (!target) throw missing('target', String(id))
        return target
      }
      const before = await find()
      if (before.enabled === enabled) return before
      await session.call('SYNO.Core.ISCSI.Target', enabled ? 'enable' : 'disable', 1, {
        target_id: String(id),
      })
      const after = await find()
      if (after.enabled !== enabled)
        throw missing(enabled ? 'an enabled' : 'a disabled', `target ${after.name}`)
      return after
    },

    async clone(source, as) {
      const original = (await reader.luns()).find(l => l.uuid === source.lun)
      if (!original) throw missing('the LUN', source.lun)
      const lun = await unless(
        () => lunNamed(as.name),
        () =>
          source.snapshot === undefined
            ? session.call('SYNO.Core.ISCSI.LUN', 'clone', 1, {
                src_lun_uuid: source.lun,
                dst_lun_name: as.name,
                dst_location: original.location,
              })
            : session.call('SYNO.Core.ISCSI.LUN', 'clone_snapshot', 1, {
                src_lun_uuid: source.lun,
                snapshot_uuid: source.snapshot,
                cloned_lun_name: as.name,
              }),
        'the clone',
        as.name,
      )
      mustBeCloneOf(lun, original)
      await unlocked(reader, as.name, access)
      // DSM gives clones no description; ours names the run, and dropOwnClone insists on it.
      if (lun.description !== as.description)
        await session.call('SYNO.Core.ISCSI.LUN', 'set', 1, { uuid: lun.uuid, description: as.description })
      return mapped(lun.uuid, as.name)
    },

    async createLun(wanted) {
      const { name, description, sizeBytes, beside } = wanted
      const other = (await reader.luns()).find(l => l.uuid === beside)
      if (!other) throw missing('the LUN', beside)
      const { volumes } = await reader.describe()
      const asked = { uuid: beside }
      const { lun: old } = await session.ask('SYNO.Core.ISCSI.LUN', 'get', 1, asked, answers.oneLun)
      const lun = await unless(
        () => lunNamed(name),
        () =>
          session.call('SYNO.Core.ISCSI.LUN', 'create', 1, {
            name,
            size: sizeBytes,
            // Thin, as the CSI driver makes them: which kind that is depends on the volume's own file system.
            type: volumes.find(v => v.path === other.location)?.fileSystem === 'ext4' ? 'ADV' : 'BLUN',
            location: other.location,
            description,
            dev_attribs: (old.dev_attribs ?? []).filter(a => a.enable === 1 && chosen.has(a.dev_attrib)),
          }),
        'the LUN',
        name,
      )
      mustBeNew(lun, wanted)
      await unlocked(reader, name, access)
      return mapped(lun.uuid, name)
    },

    async describeLun(uuid, description) {
      const find = async () => (await reader.luns()).find(l => l.uuid === uuid)
      if ((await find())?.description === description) return
      await session.call('SYNO.Core.ISCSI.LUN', 'set', 1, { uuid, description })
      if ((await find())?.description !== description) throw missing('the description of the LUN', uuid)
    },

    async deleteLun(agreed) {
      const { uuid, name } = agreed
      const lun = (await reader.luns()).find(l => l.uuid === uuid)
      if (lun) mustBeAgreed(lun, agreed)
      const leading = (await reader.targets()).filter(t => t.mappings.some(m => m.lun === uuid))
      mustBeIdle(agreed, leading)
      for (const target of leading)
        await session.call('SYNO.Core.ISCSI.LUN', 'unmap_target', 1, { uuid, target_ids: [target.id] })
      if (lun) await session.call('SYNO.Core.ISCSI.LUN', 'delete', 1, { uuid })
      if ((await reader.luns()).some(l => l.uuid === uuid)) throw stillThere(access.url, `the LUN ${name}`)
      const target = await targetNamed(name)
      if (target && target.mappings.length === 0 && target.sessions.length === 0)
        await session.call('SYNO.Core.ISCSI.Target', 'delete', 1, { target_id: String(target.id) })
    },

    async deleteSnapshot(agreed) {
      const { uuid, lun, name } = agreed
      const found = (await reader.snapshots(lun)).find(s => s.uuid === uuid)
      if (!found) return
      mustBeOwnSnapshot(found, agreed)
      await session.call('SYNO.Core.ISCSI.LUN', 'delete_snapshot', 1, { snapshot_uuid: uuid })
      if ((await reader.snapshots(lun)).some(s => s.uuid === uuid))
        throw stillThere(access.url, `the snapshot ${name}`)
    },

    async dropOwnClone(clone) {
      const { uuid, name, run } = clone
      const lun = (await reader.luns()).find(l => l.uuid === uuid)
      if (lun) {
        mustBeOwnClone(lun, clone)
        await session.call('SYNO.Core.ISCSI.LUN', 'delete', 1, { uuid })
      }
      // The LUN's deletion takes the mapping with it and leaves the target.
      const target = await targetNamed(name)
      if (target && name.startsWith(cloneName(run, '')) && target.mappings.length === 0)
        await session.call('SYNO.Core.ISCSI.Target', 'delete', 1, { target_id: String(target.id) })
      if ((await reader.luns()).some(l => l.uuid === uuid)) throw stillThere(access.url, `the clone ${uuid}`)
    },
  }
}

/** Waits until the NAS has finished a LUN; large clones take minutes, and nothing may touch them meanwhile. */
async function unlocked(reader: NasReader, name: string, access: SynologyAccess): Promise<void> {
  const end = performance.now() + 10 * 60_000
  for (let wait = 1_000; ; wait = Math.min(5_000, wait * 1.5)) {
    const lun = (await reader.luns()).find(l => l.name === name)
    if (lun && !lun.locked) return
    if (performance.now() > end)
      throw new Fault({
        code: 'nas-clone-unfinished',
        blame: 'host',
        message: `the NAS at ${access.url} has worked on ${name} for 10 minutes`,
        remedy: 'Run `recover resume` once the NAS shows it as ready; it is found by its name',
        transient: true,
      })
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, wait * (access.pace ?? 1))
      access.signal?.addEventListener('abort', () => {
        clearTimeout(timer)
        reject(access.signal?.reason)
      })
    })
  }
}

function lunOf(lun: answers.DsmLun): Lun {
  const parent = lun.family_config?.parent_lun_uuid
  return {
    uuid: lun.uuid,
    name: lun.name,
    sizeBytes: lun.size,
    ...(lun.allocated_size === undefined ? {} : { usedBytes: lun.allocated_size }),
    description: lun.description ?? '',
    location: lun.location ?? '',
    status: lun.status ?? 'unknown',
    locked: lun.is_action_locked ?? false,
    ...(parent ? { parent } : {}),
  }
}

function targetOf(target: answers.DsmTarget): Target {
  return {
    id: target.target_id,
    name: target.name,
    iqn: target.iqn,
    enabled: target.is_enabled,
    mappings: target.mapped_luns.map(m => ({ lun: m.lun_uuid, index: m.mapping_index })),
    sessions: target.connected_sessions.map(s => ({ initiator: s.iqn, ip: s.ip })),
    maxSessions: target.max_sessions,
    authenticated: target.auth_type !== 0,
  }
}

function snapshotOf(snapshot: answers.DsmSnapshot): Snapshot {
  return {
    uuid: snapshot.uuid,
    name: snapshot.name,
    lun: snapshot.parent_uuid,
    description: snapshot.description ?? '',
    sizeBytes: snapshot.total_size,
  }
}
