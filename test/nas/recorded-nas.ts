import type { Blueprint } from '../../src/lab/blueprint.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import type { Exchange } from '../../src/nas/nas.ts'

// biome-ignore lint/suspicious/noExplicitAny: a recording is what some NAS said
type Said = any

/** The lab's NAS as a recording of `recover nas inspect --record` shows some NAS: its blueprint, and its tables. */
export function recordedNas(exchanges: readonly Exchange[]): {
  change: (blueprint: Blueprint) => void
  state: NasState
} {
  const data = (api: string, method: string, type?: string): Said =>
    exchanges.find(e => e.api === `SYNO.Core.${api}` && e.method === method && e.parameters.type === type)
      ?.answer.data ?? {}
  const define = data('System', 'info', 'define')
  const [volume] = data('Storage.Volume', 'list').volumes
  const luns: Said[] = data('ISCSI.LUN', 'list').luns
  const targets: Said[] = data('ISCSI.Target', 'list').targets
  const of = (api: string, method: string, parameter: string, value: string): Said =>
    exchanges.find(e => e.api.endsWith(api) && e.method === method && e.parameters[parameter] === value)
      ?.answer.data ?? {}
  return {
    change({ nas }) {
      nas.model = data('System', 'info').model
      nas.hostname = data('System', 'info', 'network').hostname
      nas.volumePath = volume.volume_path
      nas.volumeSizeBytes = Number(volume.size_total_byte)
      nas.limits = {
        luns: define.max_iscsiluns,
        targets: define.max_iscsitrgs,
        snapshotsPerLun: define.max_snapshot_per_lun,
      }
      nas.luns = []
    },
    state: {
      nextLun: Math.max(0, ...luns.map(l => l.lun_id)) + 1,
      nextTarget: Math.max(0, ...targets.map(t => t.target_id)) + 1,
      luns: luns.map(l => ({
        uuid: l.uuid,
        lunId: l.lun_id,
        name: l.name,
        size: l.size,
        type: l.type_str,
        location: l.location,
        description: l.description,
        parent: l.family_config?.parent_lun_uuid ?? '',
        lockedUntil: 0,
        fsType: null,
      })),
      targets: targets.map(t => ({
        id: t.target_id,
        name: t.name,
        iqn: t.iqn,
        enabled: t.is_enabled,
        maxSessions: t.max_sessions,
        mappings: t.mapped_luns.map((m: Said) => ({ lun: m.lun_uuid, index: m.mapping_index })),
        sessions: t.connected_sessions,
      })),
      snapshots: luns.flatMap(l =>
        of('ISCSI.LUN', 'list_snapshot', 'src_lun_uuid', l.uuid).snapshots.map((s: Said) => ({
          uuid: s.uuid,
          id: s.snapshot_id,
          name: s.name,
          lun: s.parent_uuid,
          description: s.description,
          takenBy: s.taken_by,
          size: s.total_size,
          created: s.create_time,
        })),
      ),
      shares: data('Share', 'list').shares.map((s: Said) => ({
        name: s.name,
        uuid: s.uuid,
        volume: s.vol_path,
        description: s.desc,
        quota: s.quota_value,
        rules: of('NFS.SharePrivilege', 'load', 'share_name', s.name).rule ?? [],
        permissions: [],
        snapshots: (of('Share.Snapshot', 'list', 'name', s.name).snapshots ?? []).map((snapshot: Said) => ({
          time: snapshot.time,
          uuid: snapshot.ruuid,
          description: snapshot.desc,
          locked: snapshot.lock,
        })),
      })),
    },
  }
}
