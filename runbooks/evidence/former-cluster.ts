import { z } from 'zod'
import { blocked, done } from '../../src/runbook/step.ts'
import { readHostFiles } from '../../src/volumes/sources/host-files.ts'
import type { VolumeSource } from '../../src/volumes/sources/volume-source.ts'
import { step } from '../kit.ts'
import { furtherSources, restoredFrom } from '../volume-sources.ts'
import { keepHostFiles } from './survey-hosts.ts'

/** A cluster that was there before, by the UID of its namespace kube-system, and who says so. */
const formerCluster = z.strictObject({ uid: z.string(), sources: z.array(z.string()) })
export type FormerCluster = z.infer<typeof formerCluster>

/**
 * Which cluster it was that died: later, an API that answers is told by this from the one that is made anew. Only a
 * datastore knows it: a controller's, an archive's, or that of an API that still answers.
 */
export const whichClusterItWas = step({
  id: 'evidence/former-cluster',
  title: 'Find out which cluster it was',
  byHand:
    'Write down the UID of the old cluster while it answers: `kubectl get namespace kube-system -o jsonpath={.metadata.uid}`. A new cluster has another.',
  needs: [keepHostFiles],
  danger: 'reads',
  bounds: { expected: '1s', limit: '5m' },
  holdsUntil: 'kubernetes/workers',
  output: z.strictObject({ clusters: z.array(formerCluster) }),
  async observe({ cluster, evidence, signal }) {
    // Not fetched for this alone: a plan knows what is on this computer, and a run has kept the rest by now.
    const kept = cluster.k0sctl.hosts.flatMap(({ name: host }): VolumeSource[] => {
      const folder = evidence.folder(host)
      return folder === undefined ? [] : readHostFiles(host, folder, [...(evidence.kept(host)?.keys() ?? [])])
    })
    const sources = [...(await furtherSources(cluster, signal)), ...kept]
    const uids = new Set(sources.flatMap(s => s.clusterUid ?? []))
    const clusters = [...uids].map(uid => ({
      uid,
      sources: sources.filter(s => s.clusterUid === uid).map(s => s.name),
    }))
    const archive = restoredFrom(cluster)
    const inArchive = clusters.find(c => archive !== undefined && c.sources.includes(archive))
    const others = clusters.filter(c => c !== inArchive)
    if (archive !== undefined && others.length > 0 && inArchive?.sources.length === 1)
      return blocked(
        'restore-other-cluster',
        `the archive that the control plane is to be restored from is of another cluster: its namespace kube-system has the UID ${inArchive.uid}, and the one that died had ${others.map(told).join(', ')}; nothing was changed`,
        'Name an archive of this very cluster in recover.yaml (restore.k0s), or take the source that is wrong out of it (evidence)',
      )
    return done(
      { clusters },
      clusters.length === 0
        ? 'no source holds the old cluster’s datastore: which one it was is not known'
        : `the old cluster’s namespace kube-system had the UID ${clusters.map(told).join(', or ')}`,
    )
  },
})

function told({ uid, sources }: FormerCluster): string {
  return `${uid} (${sources.join(', ')})`
}
