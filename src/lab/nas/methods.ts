import { lunMethods } from './lun-methods.ts'
import { additional, type Call, changes, type Method, number, reads, text } from './method.ts'
import { shareMethods } from './share-methods.ts'
import type { TargetState } from './state.ts'
import { DsmError, type NasStore } from './store.ts'

/** Of a machine that stands in no file: an old worker that was taken out of the cluster and never switched off. */
const forgottenInitiator = 'iqn.2016-04.com.open-iscsi:forgotten'

/** Everything that the CSI driver and our client ask of a NAS, as its own clients and recordings show it. */
export const methods: Record<string, Method> = {
  'SYNO.Core.System info': reads((store, call) => {
    const { nas } = store.world.blueprint
    if (call.type === 'network') return { hostname: nas.hostname }
    if (call.type === 'define')
      return {
        max_iscsiluns: nas.limits.luns,
        max_iscsitrgs: nas.limits.targets,
        max_snapshot_per_lun: nas.limits.snapshotsPerLun,
        support_iscsi_target: 'yes',
        supportsnapshot: 'yes',
      }
    return { model: nas.model, firmware_ver: 'DSM 7.2.2-72806', serial: 'LAB0000000001' }
  }),
  'SYNO.Core.Storage.Volume list': reads(store => ({ volumes: [volumeJson(store)] })),
  'SYNO.Core.Storage.Volume get': reads((store, call) => {
    if (call.volume_path !== store.world.blueprint.nas.volumePath) throw new DsmError(117)
    return { volume: volumeJson(store) }
  }),
  'SYNO.Core.Network.Interface list': reads(store => [
    {
      ifname: 'eth0',
      ip: store.world.address,
      mask: '255.0.0.0',
      speed: 1000,
      status: 'connected',
      type: 'lan',
      use_dhcp: false,
    },
  ]),
  ...shareMethods,
  'SYNO.Core.ISCSI.Node list': reads(store => ({ nodes: [{ uuid: store.world.uuidFor('nas') }] })),

  ...lunMethods,
  'SYNO.Core.ISCSI.Target list': reads((store, call) => ({
    targets: store.state.targets.map(t => targetJson(store, t, additional(call))),
  })),
  'SYNO.Core.ISCSI.Target get': reads((store, call) => ({
    target: targetJson(store, store.target(call.target_id), additional(call)),
  })),
  'SYNO.Core.ISCSI.Target create': changes((store, call) => ({
    target_id: store.createTarget(
      text(call, 'name'),
      text(call, 'iqn'),
      Number(call.max_sessions ?? 1),
      chapOf(store, call),
    ).id,
  })),
  'SYNO.Core.ISCSI.Target set': changes((store, call) => {
    const target = store.target(call.target_id)
    if (call.max_sessions !== undefined) target.maxSessions = number(call, 'max_sessions')
    if (call.name !== undefined && call.name !== target.name) {
      if (store.state.targets.some(t => t.name === call.name)) throw new DsmError(18990744)
      target.name = text(call, 'name')
    }
    if (call.auth_type !== undefined) {
      const chap = chapOf(store, call, target)
      delete target.chap
      if (chap) target.chap = chap
    }
    return {}
  }),
  'SYNO.Core.ISCSI.Target delete': changes((store, call) => {
    const target = store.target(call.target_id)
    store.state.targets = store.state.targets.filter(t => t !== target)
    return {}
  }),
  'SYNO.Core.ISCSI.Target enable': changes((store, call) => {
    const target = store.target(call.target_id)
    target.enabled = true
    // One that nobody thought of tries again for ever, and is there before anybody else.
    const claims = target.mappings.map(m => store.lun(m.lun).description)
    if (claims.some(claim => store.world.suffers('forgotten-machine', claim)))
      target.sessions.push({ iqn: forgottenInitiator, ip: '192.0.2.99' })
    return {}
  }),
  'SYNO.Core.ISCSI.Target disable': changes((store, call) => {
    const target = store.target(call.target_id)
    target.enabled = false
    // A machine that only lost its network reconnects for ever; the fault is one whose session outlives the order.
    const zombies = store.world.blueprint.hosts.filter(h => store.world.suffers('zombie-host', h.name))
    target.sessions = target.sessions.filter(s => zombies.some(h => h.oldInitiator === s.iqn))
    return {}
  }),
}

function volumeJson(store: NasStore) {
  const { nas } = store.world.blueprint
  const full = store.world.suffers('nas-full', 'nas')
  return {
    display_name: 'Volume 1',
    volume_path: nas.volumePath,
    status: 'normal',
    fs_type: 'btrfs',
    size_total_byte: String(nas.volumeSizeBytes),
    size_free_byte: String(full ? 0 : store.freeBytes()),
    container: 'internal',
    location: 'internal',
    readonly: false,
    raid_type: 'raid_1',
    volume_id: 1,
  }
}

function targetJson(store: NasStore, target: TargetState, asked: Set<string>) {
  return {
    name: target.name,
    iqn: target.iqn,
    target_id: target.id,
    is_enabled: target.enabled,
    is_default_target: false,
    auth_type: target.chap ? 1 : 0,
    user: target.chap?.user ?? '',
    max_sessions: target.maxSessions,
    mapping_index: -1,
    network_portals: [{ interface_name: 'all', ip: '', port: store.disks.port, controller_id: 0 }],
    ...(asked.has('mapped_lun')
      ? { mapped_luns: target.mappings.map(m => ({ lun_uuid: m.lun, mapping_index: m.index })) }
      : {}),
    ...(asked.has('connected_sessions') ? { connected_sessions: store.sessionsOf(target) } : {}),
    ...(asked.has('status') ? { status: target.enabled ? 'online' : 'offline' } : {}),
  }
}

/**
 * Whom a target asks for a password; DSM takes one of 12 to 16 characters. Mutual CHAP is not emulated, nor one account
 * with two passwords, which tgt cannot have.
 */
function chapOf(store: NasStore, call: Call, target?: TargetState): TargetState['chap'] {
  if ((call.auth_type ?? 0) === 0) return undefined
  if (call.auth_type !== 1) throw new DsmError(18990702)
  const { user, password } = call
  const fit = typeof user === 'string' && user !== '' && typeof password === 'string'
  if (!fit || password.length < 12 || password.length > 16) throw new DsmError(18990708)
  const others = store.state.targets.filter(t => t !== target && t.chap?.user === user)
  if (others.some(t => t.chap?.password !== password)) throw new DsmError(18990708)
  return { user, password }
}
