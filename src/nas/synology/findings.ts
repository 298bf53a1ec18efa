import type { Exchange, NasAnswer } from '../nas.ts'
import { isOfDriver } from './answers.ts'
import { dsmCodes } from './codes.ts'

/** A value of an answer, wherever it may be missing. */
// biome-ignore lint/suspicious/noExplicitAny: what a NAS says is looked at, not trusted to have a shape
type Said = any

const gib = 2 ** 30

/** The things that an answer lists under a name; none where it has no such list. */
export function listed(answer: unknown, name: string): Said[] {
  const list = (answer as Said)?.[name]
  return Array.isArray(list) ? list.filter(item => item !== null && typeof item === 'object') : []
}

/** What a recovery wants to know of a NAS, from what it said. */
export function findingsOf(exchanges: readonly Exchange[], csrf: boolean): NasAnswer[] {
  const asked = (api: string, method: string, fits: (e: Exchange) => boolean = () => true) =>
    exchanges.find(e => e.api === `SYNO.${api}` && e.method === method && fits(e))
  const data = (api: string, method: string, fits?: (e: Exchange) => boolean): Said =>
    asked(api, method, fits)?.answer.data ?? {}
  const system = data('Core.System', 'info', e => e.parameters.type === undefined)
  const define = data('Core.System', 'info', e => e.parameters.type === 'define')
  const { hostname } = data('Core.System', 'info', e => e.parameters.type === 'network')
  const luns = listed(data('Core.ISCSI.LUN', 'list'), 'luns')
  const targets = listed(data('Core.ISCSI.Target', 'list'), 'targets')
  const shares = listed(data('Core.Share', 'list'), 'shares').filter(isOfDriver)
  const csi = luns.filter(isOfDriver)
  const most = Math.max(0, ...snapshotCounts(exchanges))
  return [
    { about: 'System', says: `${system.model ?? 'unknown'}, ${system.firmware_ver ?? 'unknown'}` },
    {
      about: 'Limits',
      says: `${luns.length} of ${define.max_iscsiluns ?? '?'} LUNs, ${targets.length} of ${define.max_iscsitrgs ?? '?'} targets, at most ${most} of ${define.max_snapshot_per_lun ?? '?'} snapshots of one LUN`,
    },
    ...listed(data('Core.Storage.Volume', 'list'), 'volumes').map(volumeAnswer),
    csrf
      ? {
          about: 'Protection against CSRF',
          says: 'on: recover can work with it, the CSI driver cannot (Control Panel, Security)',
          warns: true as const,
        }
      : { about: 'Protection against CSRF', says: 'off, as the CSI driver needs it' },
    { about: '2-factor authentication', says: 'this account needs none' },
    {
      about: 'LUN descriptions',
      says: `${csi.filter(l => /^[^/\s]+\/[^/\s]+$/.test(l.description ?? '')).length} of ${csi.length} LUNs of the CSI driver name their claim`,
    },
    { about: 'LUN types', says: counted(luns.map(l => l.type_str ?? `type ${l.type}`)) },
    ...oddities(luns, targets, shares.length),
    formerNames(targets, hostname),
    maskingAnswer(asked('Core.ISCSI.Host', 'list')),
    {
      about: 'APIs',
      says: apiVersions(data('API.Info', 'query')),
    },
    { about: 'Refusals', says: refusals(exchanges) },
    {
      about: 'Not found out by reading',
      says: 'whether switching a target off ends live sessions, and how clones of thick LUNs and operations on a locked LUN behave',
    },
  ]
}

function volumeAnswer(v: Said): NasAnswer {
  const free = Math.round(Number(v.size_free_byte) / gib)
  const says = `${v.fs_type}, ${v.status}, ${free} GiB free of ${Math.round(Number(v.size_total_byte) / gib)}`
  return {
    about: `Volume ${v.volume_path}`,
    says: v.fs_type === 'btrfs' ? says : `${says}; clones and snapshots of shares need btrfs`,
    ...(v.status === 'normal' ? {} : { warns: true as const }),
  }
}

/** What keeps the CSI driver from finding or mounting a LUN. */
function oddities(luns: Said[], targets: Said[], shares: number): NasAnswer[] {
  const mapped = new Set(targets.flatMap(t => listed(t, 'mapped_luns').map(m => m.lun_uuid)))
  const found: [string, string[]][] = [
    ['not mapped to a target', luns.filter(l => !mapped.has(l.uuid)).map(l => l.name)],
    [
      'without the prefix k8s-csi, which the CSI driver does not see',
      luns.filter(l => !isOfDriver(l)).map(l => l.name),
    ],
    ['not normal', luns.filter(l => l.status !== undefined && l.status !== 'normal').map(l => l.name)],
    ['locked by an action', luns.filter(l => l.is_action_locked).map(l => l.name)],
    ['targets switched off', targets.filter(t => t.is_enabled === false).map(t => t.name)],
    [
      'targets with several LUNs, of which the CSI driver mounts the wrong one',
      targets.filter(t => listed(t, 'mapped_luns').length > 1).map(t => t.name),
    ],
    [
      'targets with a password, which the CSI driver does not give',
      targets.filter(t => t.auth_type > 0).map(t => t.name),
    ],
  ]
  const used = targets.filter(t => listed(t, 'connected_sessions').length > 0).length
  return [
    { about: 'In use now', says: `${used} of ${targets.length} targets have a session` },
    { about: 'Shared folders of the CSI driver', says: String(shares) },
    ...found
      .filter(([, names]) => names.length > 0)
      .map(([what, names]) => ({
        about: `LUNs and targets: ${what}`,
        says: names.join(', '),
        warns: true as const,
      })),
  ]
}

function formerNames(targets: Said[], hostname: unknown): NasAnswer {
  const hosts = targets.flatMap(t => /^iqn\.2000-01\.com\.synology:([^.]+)\./.exec(t.iqn)?.[1] ?? [])
  const former = [...new Set(hosts)].filter(h => h !== hostname)
  return {
    about: 'Former names of the NAS in IQNs',
    says: former.length === 0 ? 'none' : `${former.join(', ')}: harmless, IQNs keep what they were made with`,
  }
}

function maskingAnswer(exchange: Exchange | undefined): NasAnswer {
  const about = 'Host masking'
  if (!exchange?.answer.success)
    return {
      about,
      says: `this NAS has no list of hosts to read (DSM code ${exchange?.answer.error?.code ?? '?'})`,
    }
  const narrow = listed(exchange.answer.data, 'hosts').filter(
    h => h.acls?.length > 0 && h.initiator_ids?.length > 0,
  )
  return narrow.length === 0
    ? { about, says: 'no host is named: every initiator sees every LUN' }
    : {
        about,
        says: `${narrow.length} hosts are named by their initiators: machines that are installed anew have other names and would not see those LUNs`,
        warns: true,
      }
}

function apiVersions(info: Said): string {
  const wanted = [
    'SYNO.API.Auth',
    'SYNO.Core.ISCSI.LUN',
    'SYNO.Core.ISCSI.Target',
    'SYNO.Core.Share',
    'SYNO.Core.Share.Snapshot',
  ]
  return wanted
    .map(api => `${api} ${info[api] ? `${info[api].minVersion}–${info[api].maxVersion}` : 'missing'}`)
    .join(', ')
}

function refusals(exchanges: readonly Exchange[]): string {
  const refused = exchanges.filter(e => !e.answer.success)
  return refused
    .map(e => {
      const code = e.answer.error?.code ?? 100
      return `${e.api} ${e.method} v${e.version}: ${code}${dsmCodes[code] === undefined ? ', which recover does not know' : ''}`
    })
    .join('; ')
}

function snapshotCounts(exchanges: readonly Exchange[]): number[] {
  return exchanges
    .filter(e => e.method === 'list_snapshot' && e.answer.success)
    .map(e => listed(e.answer.data, 'snapshots').length)
}

function counted(values: string[]): string {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return values.length === 0 ? 'none' : [...counts].map(([value, n]) => `${n} ${value}`).join(', ')
}
