import { Fault } from '../runbook/fault.ts'

/** An iSCSI target as far as a fence goes by it. */
export interface FencedTarget {
  name: string
  enabled: boolean
  mappings: { lun: string }[]
  sessions: { initiator: string; ip: string }[]
  /** 0 means no bound. */
  maxSessions: number
}

/** Why a machine that may have written to the old disk cannot write to it now; `unknown` where nobody can tell. */
export type Standing =
  | { host: string; is: 'reinstalled'; initiator: string }
  | { host: string; is: 'off' }
  | { host: string; is: 'member' }
  | { host: string; is: 'unknown'; why: string }

/** What is asked before a disk that holds data is written to or handed to a writer. */
export interface FenceQuestion {
  claim: string
  lun: { uuid: string; name: string }
  /** As the NAS lists them now. */
  targets: readonly FencedTarget[]
  hosts: readonly Standing[]
}

/**
 * Proves that no old writer can write to a disk, from what is so now, and gives the evidence as one sentence. An empty
 * list of sessions proves only "not now", since open-iscsi reconnects for ever: every machine of the old cluster has to
 * be accounted for as well. Throws Fault `old-writer-alive` for a session that is none of this run's machines', and
 * `fence-missing` for a machine that may still be at work.
 */
export function proveFence({ claim, lun, targets, hosts }: FenceQuestion): string {
  const leading = targets.filter(t => t.mappings.some(m => m.lun === lun.uuid))
  const ours = new Set(hosts.flatMap(h => (h.is === 'reinstalled' ? [h.initiator] : [])))
  const foreign = leading.flatMap(t => t.sessions).filter(s => !ours.has(s.initiator))
  if (foreign.length > 0)
    throw new Fault({
      code: 'old-writer-alive',
      blame: 'host',
      message: `${foreign.map(s => `${s.initiator} at ${s.ip}`).join(', ')} is logged in to the disk of ${claim} (${lun.name}) and is none of this run’s machines; nothing was written to it`,
      remedy: 'Switch that machine off (pull its plug if it does not listen), then run `recover resume`',
    })
  const machines = accountedFor(claim, lun.name, hosts)
  const reach = leading.map(
    t => `target ${t.name} is ${t.enabled ? 'on' : 'off'} with ${sessionsOf(t)} and ${boundOf(t)}`,
  )
  return [...machines, ...(reach.length > 0 ? reach : [`${lun.name} is mapped to no target`])].join('; ')
}

/** What is asked before a share that holds data is written to or handed to a writer. */
export interface ShareFenceQuestion {
  claim: string
  /** As the NAS lists it now. */
  share: { name: string; clients: readonly { client: string; may: 'write' | 'read' | 'nothing' }[] }
  /** Addresses of this cluster's nodes: the CSI driver lets them in as soon as one of them mounts the share. */
  nodes: readonly string[]
  hosts: readonly Standing[]
}

/** Clients that a share's NFS rules let write and that are none of this cluster's nodes. */
export function foreignWriters({ clients }: ShareFenceQuestion['share'], nodes: readonly string[]): string[] {
  return clients.filter(c => c.may === 'write' && !nodes.includes(c.client)).map(c => c.client)
}

/**
 * Proves as much of a share as can be: its NFS rules let nobody write but this cluster's nodes, and every machine of the old
 * cluster is accounted for. Rules name addresses, and a machine that was installed anew has the address of the old one;
 * who has a share mounted no NAS tells. Throws Fault `share-open-to-others`, and `fence-missing` as {@link proveFence}.
 */
export function proveShareFence({ claim, share, nodes, hosts }: ShareFenceQuestion): string {
  const writers = share.clients.filter(c => c.may === 'write').map(c => c.client)
  const foreign = foreignWriters(share, nodes)
  if (foreign.length > 0)
    throw new Fault({
      code: 'share-open-to-others',
      blame: 'host',
      message: `by the NFS rules of ${share.name}, ${foreign.join(', ')} may write to the share of ${claim} and is no node of this cluster; nothing was written to it`,
      remedy:
        'Take that client out of the share’s NFS permissions (Control Panel, Shared Folder), and find out who put it there; then run `recover resume`',
    })
  const machines = accountedFor(claim, share.name, hosts)
  const reach =
    writers.length === 0
      ? `the NFS rules of ${share.name} let nobody write`
      : `the NFS rules of ${share.name} let only nodes of this cluster write (${writers.join(', ')})`
  return [...machines, reach].join('; ')
}

/** How each machine stands, in words. Throws Fault `fence-missing` for one of which nobody knows anything. */
function accountedFor(claim: string, disk: string, hosts: readonly Standing[]): string[] {
  const loose = hosts.filter(h => h.is === 'unknown')
  if (loose.length > 0)
    throw new Fault({
      code: 'fence-missing',
      blame: 'host',
      message: `nobody can say that ${loose.map(h => `${h.host} (${h.why})`).join(', ')} does not write to the disk of ${claim} (${disk}) any more; nothing was written to it`,
      remedy: 'Switch that machine off, or install it anew with this run; then run `recover resume`',
    })
  return hosts.map(h => `${h.host} ${words[h.is]}`)
}

const words = {
  reinstalled: 'was installed anew by this run',
  off: 'is switched off',
  member: 'is a node of this cluster, which does not mount it',
  unknown: 'may be at work',
}

function sessionsOf({ sessions }: FencedTarget): string {
  return sessions.length === 0 ? 'no session' : `${sessions.length} session(s) of this run’s machines`
}

function boundOf({ maxSessions }: FencedTarget): string {
  return maxSessions === 0 ? 'no bound of sessions' : `room for ${maxSessions} session(s)`
}
