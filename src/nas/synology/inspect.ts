import type { Exchange, NasInspection } from '../nas.ts'
import { isOfDriver } from './answers.ts'
import { DsmFault } from './faults.ts'
import { findingsOf, listed } from './findings.ts'
import { openSession, type Parameters_, type SynologyAccess, type SynologySession } from './session.ts'

/** What belongs to nobody, to see how a refusal looks. */
const nobodys = '00000000-0000-4000-8000-ffffffffffff'

/**
 * Asks a Synology NAS everything that a recovery depends on and that no file answers, by methods that only get and list.
 * A refusal is an answer, too. Throws what keeps it from being asked at all: the Faults of a login and of the line.
 */
export async function inspectSynology(access: SynologyAccess): Promise<NasInspection> {
  const session = openSession(access)
  const exchanges: Exchange[] = []
  const ask = asking(session, exchanges)
  try {
    await ask('SYNO.API.Info', 'query', 1, { query: 'all' })
    for (const parameters of [{}, { type: 'network' }, { type: 'define' }])
      await ask('SYNO.Core.System', 'info', 1, parameters)
    await ask('SYNO.Core.Storage.Volume', 'list', 1, { offset: 0, limit: -1, location: 'all' })
    await ask('SYNO.Core.Network.Interface', 'list', 1)
    await ask('SYNO.Core.ISCSI.Node', 'list', 1)
    const luns = await ask('SYNO.Core.ISCSI.LUN', 'list', 1, {
      additional: [
        'allocated_size',
        'status',
        'flashcache_status',
        'is_action_locked',
        'is_mapped',
        'family_config',
        'acls',
      ],
    })
    for (const { uuid } of listed(luns, 'luns'))
      await ask('SYNO.Core.ISCSI.LUN', 'list_snapshot', 1, { src_lun_uuid: uuid })
    await ask('SYNO.Core.ISCSI.Target', 'list', 1, {
      additional: ['mapped_lun', 'connected_sessions', 'acls', 'status'],
    })
    await ask('SYNO.Core.ISCSI.Host', 'list', 1, { additional: ['acls'] })
    const shares = await ask('SYNO.Core.Share', 'list', 1, {
      additional: ['encryption', 'enable_share_cow', 'recyclebin', 'support_snapshot', 'share_quota'],
    })
    await ask('SYNO.Core.FileServ.NFS', 'get', 2)
    // Other shares than the CSI driver's are nobody's business here.
    for (const { name } of listed(shares, 'shares').filter(isOfDriver)) {
      await ask('SYNO.Core.FileServ.NFS.SharePrivilege', 'load', 1, { share_name: name })
      await ask('SYNO.Core.Share.Snapshot', 'list', 2, {
        name,
        additional: ['desc', 'lock', 'schedule_snapshot'],
      })
    }
    await ask('SYNO.Core.ISCSI.LUN', 'get', 1, { uuid: nobodys })
    await ask('SYNO.Core.ISCSI.LUN', 'list_snapshot', 1, { src_lun_uuid: nobodys })
    await ask('SYNO.Core.ISCSI.Target', 'get', 1, { target_id: '999999' })
    await ask('SYNO.Core.ISCSI.Target', 'get', 1, { target_id: 999_999 })
    await ask('SYNO.Core.Storage.Volume', 'get', 1, { volume_path: '/volume999' })
    await ask('SYNO.Core.ISCSI.LUN', 'no_such_method', 1)
    await ask('SYNO.Core.ISCSI.LUN', 'list', 999)
    await ask('SYNO.Core.NoSuchApi', 'list', 1)
  } finally {
    await session.close()
  }
  const csrf = await wantsToken(access)
  return { answers: findingsOf(exchanges, csrf), exchanges }
}

function asking(session: SynologySession, exchanges: Exchange[]) {
  return async (
    api: string,
    method: string,
    version: number,
    parameters: Parameters_ = {},
  ): Promise<unknown> => {
    const asked = { api, method, version, parameters }
    try {
      const data = await session.call<unknown>(api, method, version, parameters)
      exchanges.push({ ...asked, answer: { success: true, data } })
      return data
    } catch (thrown) {
      if (!(thrown instanceof DsmFault)) throw thrown
      exchanges.push({ ...asked, answer: { success: false, error: { code: thrown.dsm } } })
      return undefined
    }
  }
}

/** Whether protection against CSRF is on: a session without the token, such as the CSI driver's, is refused with 105. */
async function wantsToken(access: SynologyAccess): Promise<boolean> {
  const session = openSession({ ...access, withoutToken: true })
  try {
    await session.call('SYNO.Core.System', 'info', 1)
    return false
  } catch (thrown) {
    if (thrown instanceof DsmFault && thrown.dsm === 105) return true
    throw thrown
  } finally {
    await session.close()
  }
}
