import { additional, type Call, changes, list, type Method, number, reads, text } from './method.ts'
import { type LunState, lunAttributes, lunTypes, type SnapshotState } from './state.ts'
import { DsmError, type NasStore } from './store.ts'

/** LUNs and their snapshots, as the CSI driver and our client make, clone, grow, map and delete them. */
export const lunMethods: Record<string, Method> = {
  'SYNO.Core.ISCSI.LUN list': reads((store, call) => ({
    luns: store.state.luns
      .filter(l => call.types === undefined || typesOf(call).includes(l.type))
      .map(l => lunJson(store, l, additional(call))),
  })),
  'SYNO.Core.ISCSI.LUN get': reads((store, call) => ({
    lun: lunJson(store, store.lun(text(call, 'uuid')), additional(call)),
  })),
  'SYNO.Core.ISCSI.LUN create': changes((store, call) => {
    const lun = store.createLun({
      name: text(call, 'name'),
      size: number(call, 'size'),
      type: text(call, 'type'),
      location: text(call, 'location'),
      description: String(call.description ?? ''),
      attributes: attributesOf(call),
    })
    return { uuid: lun.uuid, lun_id: lun.lunId }
  }),
  'SYNO.Core.ISCSI.LUN set': changes((store, call) => {
    const lun = store.lun(text(call, 'uuid'))
    if (call.new_size !== undefined) store.grow(lun, number(call, 'new_size'))
    if (call.new_name !== undefined && call.new_name !== lun.name) {
      store.mustBeFreeName(text(call, 'new_name'))
      lun.name = text(call, 'new_name')
    }
    if (call.dev_attribs !== undefined) lun.attributes = { ...lun.attributes, ...attributesOf(call) }
    if (call.description !== undefined) lun.description = String(call.description)
    return {}
  }),
  'SYNO.Core.ISCSI.LUN delete': changes((store, call) => {
    const uuids = Array.isArray(call.uuids) ? call.uuids.map(String) : [text(call, 'uuid')]
    for (const uuid of uuids) store.deleteLun(store.lun(uuid))
    return {}
  }),
  'SYNO.Core.ISCSI.LUN clone': changes((store, call) => {
    const source = store.lun(text(call, 'src_lun_uuid'))
    if ((call.dst_location ?? source.location) !== source.location) throw new DsmError(18990501)
    return {
      dst_lun_uuid: store.cloneOf(source, `luns/${source.uuid}`, text(call, 'dst_lun_name')).uuid,
    }
  }),
  'SYNO.Core.ISCSI.LUN clone_snapshot': changes((store, call) => {
    const source = store.lun(text(call, 'src_lun_uuid'))
    const snapshot = store.snapshot(text(call, 'snapshot_uuid'))
    if (snapshot.lun !== source.uuid) throw new DsmError(18990532)
    const made = store.cloneOf(source, `snapshots/${snapshot.uuid}`, text(call, 'cloned_lun_name'))
    return { cloned_lun_uuid: made.uuid }
  }),
  'SYNO.Core.ISCSI.LUN stop_clone': changes(() => ({})),
  'SYNO.Core.ISCSI.LUN map_target': changes((store, call) => {
    const lun = store.lun(text(call, 'uuid'))
    for (const id of list(call, 'target_ids')) store.map(lun, store.targetById(Number(id)))
    return {}
  }),
  'SYNO.Core.ISCSI.LUN unmap_target': changes((store, call) => {
    const lun = store.lun(text(call, 'uuid'))
    for (const id of list(call, 'target_ids')) {
      const target = store.targetById(Number(id))
      target.mappings = target.mappings.filter(m => m.lun !== lun.uuid)
    }
    return {}
  }),
  'SYNO.Core.ISCSI.LUN take_snapshot': changes((store, call) => {
    const lun = store.lun(text(call, 'src_lun_uuid'))
    const name = text(call, 'snapshot_name')
    return {
      snapshot_uuid: store.takeSnapshot(
        lun,
        name,
        String(call.description ?? ''),
        String(call.taken_by ?? ''),
      ).uuid,
    }
  }),
  'SYNO.Core.ISCSI.LUN list_snapshot': reads((store, call) => {
    const uuid = store.lun(text(call, 'src_lun_uuid')).uuid
    const snapshots = store.state.snapshots.filter(s => s.lun === uuid).map(snapshotJson)
    return { snapshots, count: snapshots.length }
  }),
  'SYNO.Core.ISCSI.LUN get_snapshot': reads((store, call) => ({
    snapshot: snapshotJson(store.snapshot(text(call, 'snapshot_uuid'))),
  })),
  'SYNO.Core.ISCSI.LUN delete_snapshot': changes((store, call) => {
    const snapshot = store.snapshot(text(call, 'snapshot_uuid'))
    store.deleteSnapshot(snapshot)
    return {}
  }),

  // Rolls a LUN back in place; whoever is logged in to it would go on with what it has in memory.
  'SYNO.Core.ISCSI.LUN restore_snapshot': changes((store, call) => {
    const lun = store.lun(text(call, 'src_lun_uuid'))
    const snapshot = store.snapshot(text(call, 'snapshot_uuid'))
    if (snapshot.lun !== lun.uuid) throw new DsmError(18990532)
    const used = store.state.targets.some(
      t => store.sessionsOf(t).length > 0 && t.mappings.some(m => m.lun === lun.uuid),
    )
    if (used) throw new DsmError(117)
    store.rollBack(lun, snapshot)
    return {}
  }),
}

function lunJson(store: NasStore, lun: LunState, asked: Set<string>) {
  const optional = {
    allocated_size: lun.size,
    status: 'normal',
    flashcache_status: 'no_cache',
    is_action_locked: lun.lockedUntil > Date.now(),
    is_mapped: store.state.targets.some(t => t.mappings.some(m => m.lun === lun.uuid)),
    family_config: { parent_lun_uuid: lun.parent },
    acls: [],
  }
  return {
    name: lun.name,
    uuid: lun.uuid,
    lun_id: lun.lunId,
    type: lunTypes[lun.type] ?? lunTypes.BLUN,
    type_str: lun.type,
    location: lun.location,
    size: lun.size,
    description: lun.description,
    dev_attribs: Object.entries({ ...lunAttributes, ...lun.attributes }).map(([dev_attrib, on]) => ({
      dev_attrib,
      enable: on ? 1 : 0,
    })),
    block_size: 512,
    vpd_unit_sn: lun.uuid,
    max_snapshot_count: 256,
    ...Object.fromEntries(Object.entries(optional).filter(([name]) => asked.has(name))),
  }
}

function snapshotJson(snapshot: SnapshotState) {
  return {
    name: snapshot.name,
    uuid: snapshot.uuid,
    parent_uuid: snapshot.lun,
    snapshot_id: snapshot.id,
    status: 'Healthy',
    total_size: snapshot.size,
    create_time: snapshot.created,
    root_path: '/volume1',
    description: snapshot.description,
    taken_by: snapshot.takenBy,
    is_user_locked: false,
  }
}

/** Kinds that a list is about; without them it is about all. */
function typesOf(call: Call): unknown[] {
  const { types } = call
  if (!Array.isArray(types) || types.some(type => lunTypes[String(type)] === undefined))
    throw new DsmError(18990619)
  return types
}

/** `[{"dev_attrib":"emulate_tpu","enable":1}]`; the driver sends an empty list where it wants nothing. */
function attributesOf(call: Call): Record<string, boolean> {
  const wanted = call.dev_attribs === undefined ? [] : list(call, 'dev_attribs')
  return Object.fromEntries(
    wanted.map(attribute => {
      const { dev_attrib, enable } = attribute as { dev_attrib?: unknown; enable?: unknown }
      if (typeof dev_attrib !== 'string' || lunAttributes[dev_attrib] === undefined)
        throw new DsmError(18990622)
      return [dev_attrib, Boolean(enable)]
    }),
  )
}
