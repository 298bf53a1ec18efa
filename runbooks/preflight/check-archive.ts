import { z } from 'zod'
import type { Cluster } from '../../src/cluster/load.ts'
import { done } from '../../src/runbook/step.ts'
import { type K0sArchive, readK0sArchive } from '../../src/volumes/sources/k0s-backup.ts'
import { step } from '../kit.ts'
import { eachArchive, fileOf } from '../kubernetes/each-archive.ts'
import { refused, type Told } from './findings.ts'

/** The archive is whole, of this cluster, and fits what k0sctl.yaml is to make of it: k0s itself finds out too late. */
export const checkArchive = step({
  id: 'preflight/check-archive',
  title: archive => `Check ${archive.file}, which the control plane is restored from`,
  byHand:
    '`tar -tzf ARCHIVE` must end without an error and list pki/ca.key, k0s.yaml, and kine-state-backup.db or etcd-snapshot.db; it must be of this cluster, its k0s no newer than spec.k0s.version and at most one minor release older.',
  each: eachArchive,
  danger: 'reads',
  bounds: { expected: '2s', limit: '10m' },
  holdsUntil: 'kubernetes/workers',
  output: z.strictObject({
    sha256: z.string(),
    clusterUid: z.string(),
    datastore: z.enum(['kine', 'etcd']),
    nodes: z.array(z.string()),
    volumes: z.number(),
  }),
  async observe({ archive, cluster }) {
    const found = await readK0sArchive(fileOf(archive, cluster))
    const [first, ...others] = unfit(found, cluster).map(
      ([why, remedy]): Told => ({
        code: 'restore-archive-unfit',
        blame: 'operator',
        message: `${archive.file}: ${why}`,
        remedy,
      }),
    )
    if (first) return refused([first, ...others])
    const { sha256, datastore, nodes, objects } = found
    // What has none is unfit.
    const clusterUid = found.clusterUid ?? ''
    const volumes = objects.filter(o => o.object.kind === 'PersistentVolume').length
    return done(
      { sha256, clusterUid, datastore, nodes: nodes.map(n => n.name).sort(), volumes },
      `it holds the ${datastore} of the cluster whose kube-system has the UID ${clusterUid}, with ${nodes.length} nodes and ${volumes} volumes`,
    )
  },
})

/** What keeps an archive from being restored here, each with what to do. */
function unfit(archive: K0sArchive, cluster: Cluster): [why: string, remedy: string][] {
  const { k0sctl, entry } = cluster
  const another = 'Name an archive of this very cluster in recover.yaml (restore.k0s)'
  const found: [string, string][] = []
  const controllers = k0sctl.hosts.filter(h => h.role !== 'worker')
  const names = archive.controllers.length > 0 ? archive.controllers : archive.nodes.map(n => n.name)
  const isAmong = (host: string) => names.some(n => n.split('.')[0] === host)
  if (archive.clusterUid === undefined)
    found.push(['the namespace kube-system cannot be read in it, by which a cluster is known', another])
  if (!archive.hasKeys)
    found.push(['it lacks pki/ca.key, without which nothing in it can be opened', another])
  if (names.length > 0 && !controllers.some(h => isAmong(h.name)))
    found.push([
      `it is of a cluster of ${names.join(' and ')}, and none of the controllers here (${controllers.map(h => h.name).join(', ')}) was one of its`,
      another,
    ])
  const storage = storageOf(cluster)
  if (storage !== archive.datastore)
    found.push([
      `it holds ${archive.datastore}, and k0sctl.yaml says ${storage} (spec.k0s.config.spec.storage)`,
      `Set spec.storage.type in k0sctl.yaml to ${archive.datastore}, as the old cluster had it`,
    ])
  if (archive.datastore === 'kine' && controllers.length > 1)
    found.push([
      `it holds kine, which one controller has to itself, and k0sctl.yaml names ${controllers.length}`,
      'Leave one controller in k0sctl.yaml',
    ])
  const { externalAddress, known } = archive.api
  if (externalAddress !== k0sctl.apiExternalAddress)
    found.push([
      `its API is told as ${externalAddress ?? 'no external address'}, and k0sctl.yaml says ${k0sctl.apiExternalAddress ?? 'none'}: certificates and kubelets know the old one alone`,
      'Set spec.api.externalAddress in k0sctl.yaml as the old cluster had it',
    ])
  const [leader] = controllers
  const addresses = [
    leader?.address,
    leader?.privateAddress,
    k0sctl.apiAddress,
    entry.hosts[leader?.name ?? '']?.address,
  ]
  if (
    externalAddress === undefined &&
    known.length > 0 &&
    !addresses.some(a => a !== undefined && known.includes(a))
  )
    found.push([
      `its API was at ${known.join(', ')}, and ${leader?.name} has none of these addresses; k0s does not restore to another`,
      `Give ${leader?.name} its old address again`,
    ])
  return [...found, ...versions(archive, k0sctl.version ?? '')]
}

/** Kubernetes reads what the release before it has written, and what is its own; nothing newer, nothing older. */
function versions({ nodes }: K0sArchive, pinned: string): [why: string, remedy: string][] {
  const wanted = minorOf(pinned)
  const theirs = nodes.flatMap(n => (n.kubeletVersion === undefined ? [] : [n.kubeletVersion])).sort()
  const unfit = theirs.find(v => {
    const minor = minorOf(v)
    return minor !== undefined && wanted !== undefined && (minor > wanted || minor < wanted - 1)
  })
  if (unfit === undefined) return []
  return [
    [
      `it was made by Kubernetes ${unfit}, and k0sctl.yaml pins ${pinned}, which must be the same minor release or the one after it`,
      `Pin the k0s of that release in k0sctl.yaml (spec.k0s.version), and update afterwards`,
    ],
  ]
}

function minorOf(version: string): number | undefined {
  const minor = /^v?1\.(\d+)/.exec(version)?.[1]
  return minor === undefined ? undefined : Number(minor)
}

/** As k0s decides it: kine on a controller that is alone by its role, etcd elsewhere, unless the config says it. */
function storageOf({ k0sctl }: Cluster): string {
  const { type } = (k0sctl.config.storage ?? {}) as { type?: string }
  return type ?? (k0sctl.hosts.some(h => h.role === 'single') ? 'kine' : 'etcd')
}
