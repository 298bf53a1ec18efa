import {
  mustBeClosed,
  mustBeOwnShareClone,
  mustBeOwnShareSnapshot,
  mustBeShareCloneOf,
  notMade,
  stillThere,
} from '../guards.ts'
import { type NasReader, type NasWriter, type Share, type ShareSnapshot, shareDescription } from '../nas.ts'
import * as answers from './answers.ts'
import { DsmFault } from './faults.ts'
import { makeUnlessThere } from './make.ts'
import type { SynologySession } from './session.ts'

type ShareReader = Pick<NasReader, 'shares' | 'shareSnapshots'>
type ShareChanges = Pick<
  NasWriter,
  | 'snapshotShare'
  | 'closeShare'
  | 'cloneShare'
  | 'describeShare'
  | 'deleteShare'
  | 'deleteShareSnapshot'
  | 'dropOwnShareClone'
>

/** Shared folders, as DSM lists them. DSM knows them by name; by uuid here, since a name may come to be another's. */
export function shareReader(session: SynologySession): ShareReader {
  const asked = { additional: ['share_quota', 'support_snapshot'] }
  const list = () => session.ask('SYNO.Core.Share', 'list', 1, asked, answers.shares)
  return {
    async shares() {
      const { shares } = await list()
      const found: Share[] = []
      for (const share of shares.filter(s => s.uuid !== '')) {
        // Other shares than the CSI driver's are nobody's business here.
        const rules = answers.isOfDriver(share) ? await unlessGone(() => rulesOf(session, share.name)) : []
        if (rules) found.push(shareOf(share, rules))
      }
      return found
    },
    async shareSnapshots(uuid) {
      const share = (await list()).shares.find(s => s.uuid === uuid)
      return (share && (await unlessGone(() => snapshotsOf(session, share.name)))) ?? []
    },
  }
}

/** What DSM says of a share that it listed a moment ago; undefined for one that somebody has deleted since. */
async function unlessGone<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (thrown) {
    if (thrown instanceof DsmFault && thrown.dsm === 402) return undefined
    throw thrown
  }
}

async function snapshotsOf(session: SynologySession, name: string): Promise<ShareSnapshot[]> {
  const asked = { name, additional: ['desc', 'lock'] }
  const { snapshots } = await session.ask(
    'SYNO.Core.Share.Snapshot',
    'list',
    2,
    asked,
    answers.shareSnapshots,
  )
  return snapshots.map(({ time, desc = '', lock = false }) => ({ time, description: desc, locked: lock }))
}

async function rulesOf(session: SynologySession, name: string): Promise<answers.DsmRule[]> {
  const { rule } = await session.ask(
    'SYNO.Core.FileServ.NFS.SharePrivilege',
    'load',
    1,
    { share_name: name },
    answers.rules,
  )
  return rule ?? []
}

/** What changes shared folders; each looks first and reads back. */
export function shareChanges(session: SynologySession, reader: ShareReader, url: string): ShareChanges {
  const missing = (what: string, name: string) => notMade(url, `${what} ${name}`)
  const unless = makeUnlessThere(missing)
  const shareWith = async (uuid: string) => {
    const share = (await reader.shares()).find(s => s.uuid === uuid)
    if (!share) throw missing('the share', uuid)
    return share
  }
  const shareNamed = async (name: string) => (await reader.shares()).find(s => s.name === name)
  const remove = async ({ uuid, name }: Share) => {
    await session.call('SYNO.Core.Share', 'delete', 1, { name: [name] })
    if ((await reader.shares()).some(s => s.uuid === uuid)) throw stillThere(url, `the share ${name}`)
  }
  /** Saving replaces all rules that there were. */
  const saveRules = (name: string, rule: readonly answers.DsmRule[]) =>
    session.call('SYNO.Core.FileServ.NFS.SharePrivilege', 'save', 1, { share_name: name, rule })

  return {
    async snapshotShare(uuid, description) {
      const { name } = await shareWith(uuid)
      return unless(
        async () => (await snapshotsOf(session, name)).find(s => s.description === description),
        () =>
          session.call('SYNO.Core.Share.Snapshot', 'create', 1, {
            name,
            snapinfo: { desc: description, lock: true },
          }),
        'the snapshot of the share',
        name,
      )
    },

    async closeShare(uuid) {
      const before = await shareWith(uuid)
      if (isClosed(before)) return before
      await saveRules(before.name, shut(await rulesOf(session, before.name)))
      const after = await shareWith(uuid)
      if (!isClosed(after)) throw missing('a rule of no access for every client of the share', after.name)
      return after
    },

    async cloneShare({ share: uuid, snapshot }, { name, description }) {
      const original = await shareWith(uuid)
      const desc = shareDescription(description)
      const shareinfo = {
        name,
        name_org: original.name,
        vol_path: original.location,
        desc,
        enable_share_cow: true,
        share_quota: Math.ceil(original.sizeBytes / 2 ** 20),
      }
      const clone = await unless(
        () => shareNamed(name),
        () => session.call('SYNO.Core.Share', 'clone', 1, { name, shareinfo, snapshot }),
        'the clone',
        name,
      )
      mustBeShareCloneOf(clone, original, desc)
      // On some models a clone has no quota before it is given one.
      if (clone.sizeBytes !== original.sizeBytes)
        await session.call('SYNO.Core.Share', 'set', 1, {
          name,
          shareinfo: { name, vol_path: original.location, share_quota: shareinfo.share_quota },
        })
      const rules = shut(await rulesOf(session, original.name))
      if (clone.clients.length === 0 && rules.length > 0) await saveRules(name, rules)
      const made = await shareWith(clone.uuid)
      if (made.clients.length === 0 && rules.length > 0) throw missing('the NFS rules of the clone', name)
      return made
    },

    async describeShare(uuid, description) {
      const { name, location, description: now } = await shareWith(uuid)
      const desc = shareDescription(description)
      if (now === desc) return
      await session.call('SYNO.Core.Share', 'set', 1, { name, shareinfo: { name, vol_path: location, desc } })
      if ((await shareWith(uuid)).description !== desc) throw missing('the description of the share', name)
    },

    async deleteShare(agreed) {
      const share = (await reader.shares()).find(s => s.uuid === agreed.uuid)
      if (!share) return
      mustBeClosed(share, agreed)
      await remove(share)
    },

    async deleteShareSnapshot(agreed) {
      const { share: uuid, time } = agreed
      const find = async () => (await reader.shareSnapshots(uuid)).find(s => s.time === time)
      const found = await find()
      if (!found) return
      mustBeOwnShareSnapshot(found, agreed)
      const { name } = await shareWith(uuid)
      await session.call('SYNO.Core.Share.Snapshot', 'delete', 1, { name, snapshots: [time] })
      if (await find()) throw stillThere(url, `the snapshot ${time} of the share ${name}`)
    },

    async dropOwnShareClone(clone) {
      const share = (await reader.shares()).find(s => s.uuid === clone.uuid)
      if (!share) return
      mustBeOwnShareClone(share, clone)
      await remove(share)
    },
  }
}

/** Every client stays in the rules, and none is let in. */
function shut(rules: readonly answers.DsmRule[]): answers.DsmRule[] {
  return rules.map(rule => ({ ...rule, privilege: 'no' }))
}

function isClosed({ clients }: Share): boolean {
  return clients.every(c => c.may === 'nothing')
}

function shareOf(share: answers.DsmShare, rules: answers.DsmRule[]): Share {
  return {
    uuid: share.uuid,
    name: share.name,
    description: share.desc ?? '',
    sizeBytes: (share.quota_value ?? 0) * 2 ** 20,
    ...(share.share_quota_used === undefined
      ? {}
      : { usedBytes: Math.round(share.share_quota_used * 2 ** 20) }),
    location: share.vol_path ?? '',
    // As the driver itself tells them apart.
    protocol: rules.length > 0 ? 'nfs' : 'smb',
    clients: rules.map(({ client, privilege }) => ({
      client,
      may: privilege === 'rw' ? 'write' : privilege === 'ro' ? 'read' : 'nothing',
    })),
    snapshots: share.support_snapshot !== false,
  }
}
