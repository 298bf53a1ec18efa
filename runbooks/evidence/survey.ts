import { z } from 'zod'
import type { Cluster } from '../../src/cluster/load.ts'
import type { HostFacts } from '../../src/hosts/facts.ts'
import type { HostReader } from '../../src/hosts/host.ts'
import { isInstaller } from '../../src/hosts/install/running-from-memory.ts'
import { fitting, type SmallFile } from '../../src/hosts/local-data.ts'
import { resolveDisk } from '../../src/hosts/resolve-disk.ts'
import { describeData, type Survey, type SurveyedData } from '../../src/hosts/victims.ts'
import type { Warning } from '../../src/runbook/step.ts'
import type { HostsReader } from '../kit.ts'
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
    'files',
  ]),
  path: z.string(),
  disk: z.string(),
  bytes: z.number().optional(),
  entries: z.array(z.string()),
  claims: z.array(z.string()),
  saved: z.boolean(),
})

const smallFile = z.strictObject({
  kind: z.enum(['kine', 'k0s-config', 'exports', 'tang', 'iscsi', 'kubelet']),
  path: z.string(),
  bytes: z.number(),
})

/** What was found on a machine's own disks. */
export const survey = z.strictObject({
  saw: z.enum(['disk', 'hidden', 'memory', 'silent']),
  data: z.array(surveyedData),
  /** What is small enough to be kept. */
  files: z.array(smallFile),
  /** Pods that mounted volumes of the NAS: `NAMESPACE_NAME_UID`. */
  pods: z.array(z.string()),
})
export type Surveyed = z.infer<typeof survey>

/** Looks for data on a machine's own disks, and says in one sentence what there is. One that is silent is no fault. */
export async function surveyed(
  cluster: Cluster,
  hosts: Pick<HostsReader, 'probe' | 'anyone'>,
  name: string,
  signal: AbortSignal,
): Promise<{ found: Surveyed; evidence: string; warnings: Warning[] }> {
  const probe = await hosts.probe(name, signal)
  if (probe.state === 'answers')
    return {
      found: { saw: 'disk', data: [], files: [], pods: [] },
      evidence: `${name} is this run’s machine already`,
      warnings: [],
    }
  if (probe.state !== 'other-key')
    return {
      found: { saw: 'silent', data: [], files: [], pods: [] },
      evidence: `${name} ${silences[probe.state]}: nobody can say what is on its disks`,
      warnings: [
        {
          code: 'host-not-surveyed',
          blame: 'host',
          message: `${name} ${silences[probe.state]}, so that nobody can say what is on its disks`,
          remedy: 'If it can still be switched on, do that and look again; otherwise know what you give up',
        },
      ],
    }
  const { facts, report } = await hosts.anyone(name, signal, async h => {
    const facts = await h.facts(signal)
    return { facts, report: await h.localData(volumePaths(cluster, name), facts, signal) }
  })
  const files = fitting(report.files)
  const data = report.data.map(d => ({ ...d, claims: claimsOf(d, cluster, name), saved: isSaved(d, files) }))
  const saw = facts.access === 'none' ? 'hidden' : runsFromMemory(facts) ? 'memory' : 'disk'
  const says =
    data.map(describeData).join('; ') ||
    (saw === 'memory'
      ? 'it runs from memory, with none of its disks mounted'
      : 'no data of its own was found')
  return {
    found: { saw, data, files, pods: report.pods },
    evidence: `${facts.os.name || 'some system'} answers on ${name}${facts.access === 'none' ? ', without root or sudo: much may be hidden' : ''}: ${says}`,
    warnings:
      saw === 'hidden'
        ? [
            {
              code: 'host-data-hidden',
              blame: 'operator',
              message: `recover logs in on ${name} without root or sudo: data on its disks may be hidden`,
              remedy: 'Let that user run sudo without a password, or name another one in hosts.….user',
            },
          ]
        : [],
  }
}

/**
 * The survey of a machine whose system nobody could ask, made up for from a system that runs in its memory: what lies on
 * the disk that is to be written. Nothing of it is kept.
 */
export async function surveyedFromMemory(
  before: Surveyed,
  machine: HostReader,
  facts: HostFacts,
  cluster: Cluster,
  name: string,
  signal: AbortSignal,
): Promise<Survey> {
  const { disk: selector } = cluster.entry.hosts[name]!
  if (before.saw !== 'silent' && before.saw !== 'memory') return before
  if (facts.access === 'none' || !isInstaller(facts, selector, name)) return before
  const disk = resolveDisk(facts, selector, name)
  const { data, unknown } = await machine.unmountedData(volumePaths(cluster, name), disk, facts, signal)
  const found = data.map(d => ({ ...d, claims: claimsOf(d, cluster, name), saved: false }))
  return { saw: 'unmounted', data: found, unknown }
}

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

function isSaved(data: Pick<SurveyedData, 'kind' | 'path'>, files: SmallFile[]): boolean {
  return (data.kind === 'kine' || data.kind === 'tang') && files.some(f => f.path.startsWith(`${data.path}/`))
}
