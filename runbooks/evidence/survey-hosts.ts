import { z } from 'zod'
import type { HostFacts } from '../../src/hosts/facts.ts'
import { fitting, type SmallFile } from '../../src/hosts/local-data.ts'
import { describeData, type Survey } from '../../src/hosts/victims.ts'
import { done, due } from '../../src/runbook/step.ts'
import { eachHost } from '../hosts/each-host.ts'
import { step } from '../kit.ts'
import { claimsOf, volumePaths } from './lost-claims.ts'

const surveyedData = z.strictObject({
  kind: z.enum([
    'volume',
    'local-path',
    'openebs',
    'longhorn',
    'rook',
    'ceph',
    'lvm',
    'kine',
    'etcd',
    'kubelet',
    'nfs',
    'tang',
  ]),
  path: z.string(),
  disk: z.string(),
  bytes: z.number().optional(),
  entries: z.array(z.string()),
  claims: z.array(z.string()),
  saved: z.boolean(),
})

const smallFile = z.strictObject({
  kind: z.enum(['kine', 'k0s-config', 'exports', 'tang', 'iscsi']),
  path: z.string(),
  bytes: z.number(),
})

const surveyed = z.strictObject({
  saw: z.enum(['disk', 'memory', 'silent']),
  data: z.array(surveyedData),
  /** What is small enough to be kept. */
  files: z.array(smallFile),
})
type Surveyed = z.infer<typeof surveyed>

/**
 * What lives on each machine's own disks, while there is still somebody to ask. A machine that does not answer is
 * surveyed, too: as one of which nothing is known, which the person is told before they agree to wiping it.
 */
export const surveyHost = step({
  id: 'evidence/survey-hosts',
  title: host => `Look for data on ${host.name}’s own disks`,
  byHand:
    'On each machine that still runs look for hostPath and local volumes, Longhorn, Rook, exports and Tang keys, and copy what you need; save /var/lib/k0s/db or /var/lib/k0s/etcd.',
  each: eachHost,
  danger: 'reads',
  bounds: { expected: '5s', limit: '3m' },
  retry: { times: 3, delay: '2s' },
  holdsUntil: 'hosts/bring-up-installer',
  uses: host => [`host:${host.name}`],
  output: surveyed,
  async observe({ host, hosts, cluster, signal }) {
    const { name } = host
    const probe = await hosts.probe(name, signal)
    if (probe.state === 'answers')
      return done<Surveyed>({ saw: 'disk', data: [], files: [] }, `${name} is this run’s machine already`)
    if (probe.state !== 'other-key')
      return done<Surveyed>(
        { saw: 'silent', data: [], files: [] },
        `${name} ${silences[probe.state]}: nobody can say what is on its disks`,
      )
    const { facts, report } = await hosts.anyone(name, signal, async h => {
      const facts = await h.facts(signal)
      return { facts, report: await h.localData(volumePaths(cluster, name), facts, signal) }
    })
    const files = fitting(report.files)
    const data = report.data.map(d => ({
      ...d,
      claims: claimsOf(d, cluster, name),
      saved: isSaved(d, files),
    }))
    const saw = runsFromMemory(facts) ? 'memory' : 'disk'
    const says = data.map(describeData)
    return done<Surveyed>(
      { saw, data, files },
      `${facts.os.name || 'some system'} answers on ${name}${facts.access === 'none' ? ', without root or sudo: much may be hidden' : ''}: ${says.join('; ') || (saw === 'memory' ? 'it runs from memory, with none of its disks mounted' : 'no data of its own was found')}`,
    )
  },
})

/** Keeps what is small: kine's database, Tang's keys, exports, iSCSI records, k0s's configuration. */
export const keepHostFiles = step({
  id: 'evidence/keep-host-files',
  title: host => `Keep ${host.name}’s small files`,
  byHand: 'Copy /var/lib/k0s/db, /etc/k0s, /etc/exports, /var/db/tang and /etc/iscsi to another machine.',
  each: eachHost,
  needs: [surveyHost],
  danger: 'changes',
  bounds: { expected: '3s', limit: '10m' },
  retry: { times: 3, delay: '2s' },
  holdsUntil: 'hosts/bring-up-installer',
  uses: host => [`host:${host.name}`],
  output: z.strictObject({ files: z.number() }),
  async observe({ host, evidence, output }) {
    const { files } = output(surveyHost)
    if (files.length === 0) return done({ files: 0 }, `${host.name} has no small files to keep`)
    const kept = evidence.kept(host.name)
    if (kept === undefined)
      return due(
        `save ${files.length} small files of ${host.name} to the run’s folder on this computer: ${listed(files)}`,
      )
    const bytes = [...kept.values()].reduce((sum, n) => sum + n, 0)
    return done(
      { files: kept.size },
      `${kept.size} of ${files.length} files (${bytes} bytes) of ${host.name} are in the run’s folder`,
    )
  },
  async apply({ host, hosts, evidence, output, signal, note }) {
    const { files } = output(surveyHost)
    const fetched = await hosts.anyone(host.name, signal, h =>
      h.fetchFiles(
        files.map(f => f.path),
        signal,
      ),
    )
    if (files.some(f => f.kind === 'kine'))
      note(`kine’s database on ${host.name} was copied as it lay on the disk, with its write-ahead log`)
    evidence.keep(host.name, fetched)
  },
})

const silences = {
  unreachable: 'does not answer',
  throttled: 'takes connections and drops them',
  'refused-login': 'lets nobody in with our key',
  refused: 'is up and has no SSH server',
  silent: 'takes connections and says nothing',
} as const

// What a system that was booted from a stick or over the network has as its root.
const inMemory = new Set(['tmpfs', 'ramfs', 'rootfs', 'overlay', 'squashfs'])

function runsFromMemory(facts: HostFacts): boolean {
  return inMemory.has(facts.rootFileSystem) && facts.disks.every(d => !d.mounted)
}

function isSaved(data: Pick<Survey['data'][number], 'kind' | 'path'>, files: SmallFile[]): boolean {
  return (data.kind === 'kine' || data.kind === 'tang') && files.some(f => f.path.startsWith(`${data.path}/`))
}

function listed(files: SmallFile[]): string {
  const paths = files.map(f => f.path)
  return paths.length > 6 ? `${paths.slice(0, 6).join(', ')} and ${paths.length - 6} more` : paths.join(', ')
}
