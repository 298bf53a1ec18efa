import type { KubernetesReader } from '../../src/kubernetes/kubernetes.ts'
import { targetNamed } from '../../src/nas/lists.ts'
import type { Acting } from '../../src/runbook/step.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import { twinRule } from '../../src/volumes/twins.ts'
import type { Readers } from '../kit.ts'
import { lunDisk } from './disk.ts'
import { sourceOf } from './source.ts'

/**
 * Sees to it that a disk and the clone of it that was measured are not visible on one machine at a time, where their file
 * system does not bear that. Returns the node where the clone was, which the disk should rather not come to.
 */
export async function twinsApart(
  volume: MappedVolume,
  /** As the clone showed it. */
  seen: string | undefined,
  act: Pick<Readers, 'cluster' | 'kubernetes' | 'nas' | 'run'> & Pick<Acting, 'note' | 'wait'>,
): Promise<string | undefined> {
  // What is copied has a file system of its own, and those of shares are the NAS's.
  if (volume.lun === undefined || (volume.strategy !== 'adopt' && volume.strategy !== 'clone'))
    return undefined
  const { cluster, kubernetes, nas, note, run, wait } = act
  const { fsType } = lunDisk(cluster, volume, volume.lun, seen)
  const rule = twinRule(fsType, await kernelsOf(kubernetes))
  if (rule.together) return undefined
  const { clone, namespace, jobs } = sourceOf(volume, run)
  note(`the clone of ${volume.claim} and the disk are kept apart: ${rule.why}`)
  await wait(`the nodes to let go of ${clone}`, async () => {
    const target = targetNamed(await nas.targets(), clone)
    return (target?.sessions.length ?? 0) === 0 || undefined
  })
  const pods = await kubernetes.list({ apiVersion: 'v1', kind: 'Pod', namespace })
  const pod = pods.find(p => p.metadata.labels?.['recover.dev/job'] === jobs.before)
  return (pod?.spec as { nodeName?: string } | undefined)?.nodeName
}

async function kernelsOf(kubernetes: KubernetesReader) {
  const nodes = await kubernetes.list({ apiVersion: 'v1', kind: 'Node' })
  return nodes.map(({ metadata, status }) => ({
    node: metadata.name ?? '',
    kernel: (status as { nodeInfo?: { kernelVersion?: string } } | undefined)?.nodeInfo?.kernelVersion ?? '',
  }))
}
