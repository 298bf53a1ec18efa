import { Fault } from '../runbook/fault.ts'
import {
  cloneName,
  type Lun,
  mayWrite,
  type NasWriter,
  type Share,
  type ShareSnapshot,
  type Snapshot,
  type Target,
} from './nas.ts'

/** What must be so before something on a NAS is deleted or taken for one's own, whatever kind of NAS it is. */

/** Throws Fault `lun-differs` where a LUN is not the one that a person agreed to. */
export function mustBeAgreed(lun: Lun, agreed: Parameters<NasWriter['deleteLun']>[0]): void {
  if (lun.name === agreed.name && lun.sizeBytes === agreed.sizeBytes) return
  throw differs(
    `the LUN ${lun.uuid} is called ${lun.name} and has ${lun.sizeBytes} bytes, not ${agreed.name} and ${agreed.sizeBytes} as was agreed`,
  )
}

/** Throws Fault `lun-differs` where a snapshot is not the one that was agreed to, or not a run's. */
export function mustBeOwnSnapshot(found: Snapshot, agreed: Parameters<NasWriter['deleteSnapshot']>[0]): void {
  if (found.name === agreed.name && agreed.name.startsWith('recover-')) return
  throw differs(`the snapshot ${agreed.uuid} is called ${found.name}, not ${agreed.name} as was agreed`)
}

function differs(message: string): Fault {
  return new Fault({
    code: 'lun-differs',
    blame: 'operator',
    message: `${message}; nothing was deleted`,
    remedy: 'Look at it on the NAS; list what may be deleted again with `recover volumes finalize`',
  })
}

/** Throws Fault `lun-in-use` where somebody is logged in to one of the targets that lead to a LUN. */
export function mustBeIdle(lun: { uuid: string; name: string }, leading: readonly Target[]): void {
  const users = leading.flatMap(t => t.sessions.map(s => `${s.initiator} at ${s.ip}`))
  if (users.length === 0) return
  throw new Fault({
    code: 'lun-in-use',
    blame: 'operator',
    message: `${lun.name} (${lun.uuid}) was not deleted: ${users.join(', ')} is logged in to it`,
    remedy: 'Find out what still uses it; a disk that is in use is none of the old ones',
  })
}

/** Throws Fault `not-our-clone` unless name, description and parent all say that a run made this LUN. */
export function mustBeOwnClone(lun: Lun, clone: Parameters<NasWriter['dropOwnClone']>[0]): void {
  const { name, parent, run } = clone
  const doubts = [
    ...(lun.name === name && name.startsWith(cloneName(run, '')) ? [] : [`its name is ${lun.name}`]),
    ...(lun.description.includes(run) ? [] : ['its description does not name the run']),
    ...(lun.parent === parent ? [] : [`it was cloned from ${lun.parent ?? 'nothing'}`]),
  ]
  if (doubts.length > 0) throw notOurs(`the LUN ${lun.uuid}`, `run ${run} made of ${parent}`, doubts)
}

/** Throws Fault `not-our-clone` unless name and description say that a run made this share; nothing tells its parent. */
export function mustBeOwnShareClone(
  share: Share,
  clone: Parameters<NasWriter['dropOwnShareClone']>[0],
): void {
  const { name, run } = clone
  const doubts = [
    ...(share.name === name && name.startsWith('k8s-csi-recover-') ? [] : [`its name is ${share.name}`]),
    ...(share.description.includes(run) ? [] : ['its description does not name the run']),
  ]
  if (doubts.length > 0) throw notOurs(`the share ${share.uuid}`, `run ${run} made`, doubts)
}

/** Throws Fault `share-differs` where a share is not the one that was agreed to, `share-in-use` while its rules let anybody in. */
export function mustBeClosed(share: Share, agreed: Parameters<NasWriter['deleteShare']>[0]): void {
  if (share.name !== agreed.name)
    throw shareDiffers(`the share ${share.uuid} is called ${share.name}, not ${agreed.name} as was agreed`)
  const letIn = mayWrite(share).concat(share.clients.filter(c => c.may === 'read').map(c => c.client))
  if (letIn.length === 0) return
  throw new Fault({
    code: 'share-in-use',
    blame: 'operator',
    message: `the share ${share.name} was not deleted: its NFS rules let in ${letIn.join(', ')}`,
    remedy:
      'Find out what still uses it; a share that is in use is none of the old ones, whose rules let nobody in',
  })
}

/** Throws Fault `share-differs` where a share's snapshot is not the one that was agreed to, or not a run's. */
export function mustBeOwnShareSnapshot(
  found: ShareSnapshot,
  agreed: Parameters<NasWriter['deleteShareSnapshot']>[0],
): void {
  if (found.description === agreed.description && agreed.description.startsWith('recover-')) return
  throw shareDiffers(
    `the snapshot ${agreed.time} is described as “${found.description}”, not ${agreed.description} as was agreed`,
  )
}

function shareDiffers(message: string): Fault {
  return new Fault({
    code: 'share-differs',
    blame: 'operator',
    message: `${message}; nothing was deleted`,
    remedy: 'Look at it on the NAS; list what may be deleted again with `recover volumes finalize`',
  })
}

function notOurs(what: string, by: string, doubts: string[]): Fault {
  return new Fault({
    code: 'not-our-clone',
    blame: 'bug',
    message: `refused to delete ${what}, since it is not a clone that ${by}: ${doubts.join(', ')}`,
    remedy: 'Report it with the run folder’s journal; nothing was deleted',
  })
}

/** Throws Fault `nas-name-taken` where the LUN of a clone's name is not a clone of that original. */
export function mustBeCloneOf(lun: Lun, original: Lun): void {
  if (lun.sizeBytes === original.sizeBytes && lun.parent === original.uuid) return
  throw nameTaken(`a LUN ${lun.name} that is not a clone of ${original.name}`)
}

/** Throws Fault `nas-name-taken` where the share of a clone's name does not say that it is that clone. */
export function mustBeShareCloneOf(share: Share, original: Share, description: string): void {
  if (share.description === description) return
  throw nameTaken(`a share ${share.name} that is not the clone of ${original.name} which this run makes`)
}

/** Throws Fault `nas-name-taken` where the LUN of a new one's name is none that a run made for itself. */
export function mustBeNew(lun: Lun, wanted: Parameters<NasWriter['createLun']>[0]): void {
  if (lun.parent === undefined && lun.sizeBytes >= wanted.sizeBytes) return
  throw nameTaken(`a LUN ${lun.name} that is not the new one of ${wanted.sizeBytes} bytes`)
}

function nameTaken(what: string): Fault {
  return new Fault({
    code: 'nas-name-taken',
    blame: 'operator',
    message: `the NAS has ${what}; it was left alone`,
    remedy: 'Find out whose it is; rename or delete it on the NAS, then run `recover resume`',
  })
}

/** The NAS reported success, and what it should have made is not there. */
export function notMade(nas: string, what: string): Fault {
  return new Fault({
    code: 'nas-without-effect',
    blame: 'host',
    message: `the NAS at ${nas} reported success, but ${what} is not there`,
    remedy: 'Look at the NAS’s own log, then run `recover resume`',
  })
}

/** The NAS reported success, and what it should have deleted is still there. */
export function stillThere(nas: string, what: string): Fault {
  return new Fault({
    code: 'nas-without-effect',
    blame: 'host',
    message: `the NAS at ${nas} reported success, but ${what} is still there`,
    remedy: 'Look at the NAS’s own log, then run `recover resume`',
  })
}
