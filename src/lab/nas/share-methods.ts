import { additional, type Call, changes, type Method, reads, text } from './method.ts'
import type { ShareRule, ShareState } from './state.ts'
import { DsmError, type NasStore } from './store.ts'

/**
 * Shared folders as the CSI driver makes, resizes, snapshots and deletes them, with the NFS rules without which it takes a
 * share for one of SMB. Sizes are quotas in MB. Types of fields are those that the driver decodes: one of another type makes
 * it lose the whole answer.
 */
export const shareMethods: Record<string, Method> = {
  'SYNO.Core.Share list': reads((store, call) => {
    const shares = store.shares().map(s => shareJson(store, s, additional(call)))
    return { shares, total: shares.length, offset: 0 }
  }),
  'SYNO.Core.Share get': reads((store, call) =>
    shareJson(store, store.share(text(call, 'name')), additional(call)),
  ),
  'SYNO.Core.Share create': changes((store, call) => {
    const info = infoOf(call)
    store.createShare(text(call, 'name'), {
      volume: String(info.vol_path ?? ''),
      description: descriptionOf(info) ?? '',
      quota: quotaOf(info) ?? 0,
      cow: info.enable_share_cow === true,
      ...recycleBinOf(info),
    })
    return {}
  }),
  'SYNO.Core.Share clone': changes((store, call) => {
    const info = infoOf(call)
    const source = store.shares().find(s => s.name === info.name_org)
    const snapshot = call.snapshot
    const taken = source?.snapshots.find(s => s.time === snapshot)
    if (!source || (snapshot !== undefined && !taken)) throw new DsmError(3300)
    const made = store.createShare(text(call, 'name'), {
      volume: String(info.vol_path ?? source.volume),
      description: descriptionOf(info) ?? '',
      // As on some models: a clone has no quota before it is given one.
      quota: quotaOf(info) ?? 0,
      cow: source.cow === true,
      ...recycleBinOf(info),
    })
    store.fillShare(made, taken ? `snapshots/${taken.uuid}` : `shares/${source.uuid}`)
    return { name: made.name }
  }),
  'SYNO.Core.Share set': changes((store, call) => {
    const share = store.share(text(call, 'name'))
    const info = infoOf(call)
    share.quota = quotaOf(info) ?? share.quota
    share.description = descriptionOf(info) ?? share.description
    return {}
  }),
  'SYNO.Core.Share delete': changes((store, call) => {
    const names = Array.isArray(call.name) ? call.name.map(String) : [text(call, 'name')]
    for (const name of names) store.deleteShare(store.share(name))
    return {}
  }),

  'SYNO.Core.Share.Snapshot create': changes((store, call) => {
    const share = store.share(text(call, 'name'))
    const { desc, lock } = (call.snapinfo ?? {}) as { desc?: string; lock?: boolean }
    const time = `GMT+00-${stamp(new Date(), share.snapshots.length)}`
    const uuid = store.world.newUuid()
    // One that says nothing of a lock is locked.
    share.snapshots.push({ time, description: desc ?? '', locked: lock !== false, uuid })
    store.keepShare(share, uuid)
    return time
  }),
  'SYNO.Core.Share.Snapshot list': {
    ...reads((store, call) => {
      const { snapshots } = store.share(text(call, 'name'))
      const asked = additional(call)
      return {
        snapshots: snapshots.map(s => ({
          time: s.time,
          ...only(asked, {
            ruuid: s.uuid,
            desc: s.description,
            lock: s.locked,
            schedule_snapshot: false,
            // A text: the driver's type for it.
            snap_size: '0',
          }),
        })),
        total: snapshots.length,
      }
    }),
    versions: [2],
  },
  'SYNO.Core.Share.Snapshot delete': changes((store, call) => {
    const share = store.share(text(call, 'name'))
    const times = Array.isArray(call.snapshots) ? call.snapshots.map(String) : []
    for (const gone of share.snapshots.filter(s => times.includes(s.time))) store.forgetSnapshot(gone.uuid)
    share.snapshots = share.snapshots.filter(s => !times.includes(s.time))
    // A list of what could not be deleted.
    return []
  }),

  'SYNO.Core.Share.Permission list': reads((store, call) => {
    const of = userGroupType(call)
    return { items: store.share(text(call, 'name')).permissions.filter(p => (p.of ?? of) === of) }
  }),
  'SYNO.Core.Share.Permission set': changes((store, call) => {
    const share = store.share(text(call, 'name'))
    const of = userGroupType(call)
    if (!Array.isArray(call.permissions)) throw new DsmError(403)
    const given = (call.permissions as { name: string }[]).map(p => ({ ...p, of }))
    const others = share.permissions.filter(p => !given.some(g => g.name === p.name && g.of === p.of))
    share.permissions = [...others, ...given]
    return {}
  }),

  'SYNO.Core.FileServ.NFS get': { ...reads(store => store.state.nfs ?? nfsOff), versions: [1, 2] },
  'SYNO.Core.FileServ.NFS set': {
    ...changes((store, call) => {
      store.state.nfs = {
        ...(store.state.nfs ?? nfsOff),
        ...(call.enable_nfs === undefined ? {} : { enable_nfs: call.enable_nfs === true }),
        ...(call.enable_nfs_v4 === undefined ? {} : { enable_nfs_v4: call.enable_nfs_v4 === true }),
        ...(call.enabled_minor_ver === undefined
          ? {}
          : { enabled_minor_ver: Number(call.enabled_minor_ver) }),
      }
      return {}
    }),
    versions: [1, 2],
  },
  'SYNO.Core.FileServ.NFS.SharePrivilege load': reads((store, call) => {
    const share = store.share(text(call, 'share_name'))
    return { share_name: share.name, rule: share.rules }
  }),
  // Saving replaces every rule that there was.
  'SYNO.Core.FileServ.NFS.SharePrivilege save': changes((store, call) => {
    const share = store.share(text(call, 'share_name'))
    share.rules = (Array.isArray(call.rule) ? call.rule : []) as ShareRule[]
    return {}
  }),
}

const nfsOff: NonNullable<NasStore['state']['nfs']> = {
  enable_nfs: false,
  enable_nfs_v4: false,
  enabled_minor_ver: 0,
  nfs_v4_domain: '',
  support_encrypt_share: 1,
  unix_pri_enable: true,
  support_major_ver: 4,
  support_minor_ver: 1,
  read_size: 8192,
  write_size: 8192,
}

/** What is not asked for is not told. */
function shareJson(store: NasStore, share: ShareState, asked: Set<string>) {
  return {
    name: share.name,
    vol_path: share.volume,
    desc: share.description,
    uuid: share.uuid,
    ...only(asked, { encryption: 0, enable_share_cow: share.cow === true, support_snapshot: true }),
    ...(asked.has('share_quota')
      ? { quota_value: share.quota, share_quota_used: store.usedOf(share.uuid) / 2 ** 20 }
      : {}),
    ...(asked.has('recyclebin')
      ? { enable_recycle_bin: share.recycleBin === true, recycle_bin_admin_only: share.adminOnly === true }
      : {}),
  }
}

function only(asked: Set<string>, fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => asked.has(name)))
}

function recycleBinOf(info: Record<string, unknown>): Pick<ShareState, 'recycleBin' | 'adminOnly'> {
  return {
    recycleBin: info.enable_recycle_bin === true,
    adminOnly: info.recycle_bin_admin_only === true,
  }
}

function userGroupType(call: Call): string {
  const of = text(call, 'user_group_type')
  if (!['local_user', 'local_group', 'system'].includes(of)) throw new DsmError(403)
  return of
}

/** `shareinfo` is an object, as JSON; some clients send its text once more quoted. */
function infoOf(call: Record<string, unknown>): Record<string, unknown> {
  const info = typeof call.shareinfo === 'string' ? JSON.parse(call.shareinfo) : call.shareinfo
  if (info === null || typeof info !== 'object') throw new DsmError(403)
  return info as Record<string, unknown>
}

/** DSM's own help: "limited up to 64 displayable Unicode characters". With which code it refuses more nobody has told. */
function descriptionOf({ desc }: Record<string, unknown>): string | undefined {
  if (desc !== undefined && String(desc).length > 64) throw new DsmError(403)
  return desc === undefined ? undefined : String(desc)
}

function quotaOf(info: Record<string, unknown>): number | undefined {
  // quota_value is what is read; the driver sends it along, as 0.
  const quota = info.share_quota
  return quota === undefined ? undefined : Number(quota)
}

/** `2026.11.28-02.15.00`; the second of its minute tells snapshots of one moment apart. */
function stamp(now: Date, nth: number): string {
  const [date = '', time = ''] = new Date(now.getTime() + nth * 1000).toISOString().split('T')
  return `${date.replaceAll('-', '.')}-${time.slice(0, 8).replaceAll(':', '.')}`
}
