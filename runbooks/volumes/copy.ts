import { z } from 'zod'
import { statedClaim, statedClass } from '../../src/cluster/stated.ts'
import { refOf } from '../../src/kubernetes/kubernetes.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { type Acting, done, due, type Observation } from '../../src/runbook/step.ts'
import { copyFault } from '../../src/volumes/copy-faults.ts'
import { jobState, runJob } from '../../src/volumes/jobs.ts'
import { diskHolding, type MappedVolume } from '../../src/volumes/map.ts'
import { copyJob, persistentVolumeClaim } from '../../src/volumes/objects.ts'
import { parseCopyVerdict } from '../../src/volumes/programs.ts'
import { isShare, protocolOf } from '../../src/volumes/protocol.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { type Readers, step, type Writers } from '../kit.ts'
import { fenceVolume } from '../protect/fence.ts'
import { fenced } from '../protect/fenced.ts'
import { boundToAnother } from './bind.ts'
import { bindingOf } from './binding.ts'
import { copiedFiles } from './copied-files.ts'
import { hearingProgress } from './copy-progress.ts'
import { modesOf } from './disk.ts'
import { measureVolume } from './measure.ts'
import { noStrangers } from './no-strangers.ts'
import { sourceOf } from './source.ts'

/** A new disk that holds every file of an old one. */
export const copiedDisk = z.strictObject({
  pv: z.string(),
  handle: z.string(),
  copied: copiedFiles,
})

/** A new disk under the final claim's name, and every file of the old one on it. The old disk is only read, as a clone. */
export const copyVolume = step({
  id: 'volumes/copy',
  title: volume => `Copy ${volume.claim} to a new disk`,
  byHand:
    'Apply the claim under its final name (a new disk), mount it beside the clone’s claim in a Job, and `rsync -aHAXS --numeric-ids --delete /src/ /dst/`.',
  each: eachVolume,
  only: volume => volume.strategy === 'copy' && diskHolding(volume) !== undefined,
  needs: [measureVolume, fenceVolume],
  danger: 'changes',
  bounds: { expected: '2m', limit: '24h' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'volumes/drop-clone',
  uses: () => ['nas'],
  output: copiedDisk,
  observe: look => lookAtCopy(look.volume, look.volume.claim, look),
  async apply(act) {
    const { volume, cluster, note } = act
    const claim = statedClaim(cluster.inventory, volume.claim)
    await noStrangers(act)
    // What an old writer adds after the snapshot would be missing from the copy.
    note(`fence of ${volume.claim}: ${await fenced(volume, act)}`)
    await copyInto(
      volume,
      volume.claim,
      {
        accessModes: modesOf(cluster, volume.claim),
        labels: claim?.labels ?? {},
        annotations: claim?.annotations ?? {},
      },
      act,
    )
  },
})

/** Whether a claim, the volume's own or one that stands in for it, has a new disk with every file of the volume. */
export async function lookAtCopy(
  volume: MappedVolume,
  into: string,
  { cluster, kubernetes, run }: Pick<Readers, 'cluster' | 'kubernetes' | 'run'>,
): Promise<Observation<z.infer<typeof copiedDisk>>> {
  const { namespace, jobs } = sourceOf(volume, run)
  const binding = await bindingOf(kubernetes, into)
  const job = await jobState(kubernetes, namespace, jobs.copy)
  if (binding.state === 'bound' && binding.handle === diskHolding(volume)?.uuid)
    throw boundToAnother(into, binding.handle, 'a new one')
  const copied = job.state === 'complete' ? parseCopyVerdict(job.message) : undefined
  if (binding.state === 'bound' && copied)
    return done(
      { pv: binding.pv, handle: binding.handle, copied },
      `all ${copied.files} files of ${volume.claim} (${copied.folders} folders, ${copied.links} links, ${copied.bytes} bytes) are on the new disk ${binding.handle}, compared by content in a second pass`,
    )
  return due(
    ...(binding.state === 'bound' ? [] : [`make a new disk for ${volume.claim}`]),
    `copy every file in the Job ${namespace}/${jobs.copy} and compare both${limitsOf(volume, cluster)}`,
  )
}

/** What a copy to a share cannot bring along, as the end of a sentence: said before anything is copied. */
function limitsOf(
  { claim, storageClass, share }: MappedVolume,
  { entry, inventory }: Readers['cluster'],
): string {
  const given = entry.giveUp?.[claim] ?? []
  if (given.length > 0) return `, without ${given.join(' and ')}, which recover.yaml gives up`
  // What comes from a share has none that anybody sees.
  if (share) return ''
  const parameters = statedClass(inventory, storageClass)?.parameters
  return isShare(protocolOf(parameters))
    ? '; the class makes shares, which carry no ACLs and no attributes (capabilities among them): the first file that has any ends the copy, unless recover.yaml gives them up (giveUp)'
    : ''
}

/**
 * Has a new disk made for a claim and copies every file of a volume's clone to it. Throws Fault `volume-not-provisioned`
 * and what {@link copyFault} makes of the copying program's end.
 */
export async function copyInto(
  volume: MappedVolume,
  into: string,
  as: { accessModes: string[]; labels: Record<string, string>; annotations: Record<string, string> },
  { cluster, kubernetes, run, progress, wait }: Writers & Pick<Acting, 'progress' | 'wait'>,
): Promise<void> {
  const { namespace, source, jobs, labels } = sourceOf(volume, run)
  const name = into.slice(namespace.length + 1)
  await kubernetes.apply(
    persistentVolumeClaim(
      { namespace, name },
      {
        sizeBytes: volume.sizeBytes,
        storageClass: volume.storageClass,
        ...as,
      },
    ),
  )
  const without = cluster.entry.giveUp?.[volume.claim]
  const job = copyJob(jobs.copy, namespace, source, name, run.id, labels, cluster.jobImage, without)
  // Such a class makes a disk only for a pod that is there and wants it.
  const late = (await bindingModeOf(into, kubernetes)) === 'WaitForFirstConsumer'
  if (late && !(await kubernetes.get(refOf(job)))) await kubernetes.apply(job)
  let why = ''
  try {
    await wait(
      `a new disk for ${into}`,
      async () => {
        const binding = await bindingOf(kubernetes, into)
        why = binding.state === 'pending' ? binding.why : ''
        return binding.state === 'bound' || undefined
      },
      { limit: '5m' },
    )
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
    throw new Fault({
      code: 'volume-not-provisioned',
      blame: 'host',
      message: `no disk was made for ${into}: ${why}`,
      remedy: 'Look at the CSI driver’s log and at the room on the NAS; then run `recover resume`',
      cause: thrown,
    })
  }
  await runJob(
    kubernetes,
    job,
    (what, probe) => wait(what, probe, { every: '2s' }),
    `the files of ${volume.claim} to be copied`,
    {
      hear: hearingProgress(progress),
      faultOf: (exitCode, said) => copyFault(volume.claim, { exitCode, said }),
    },
  )
}

/** When the class of a claim has a disk made for it; the API server has given one that named none the default class. */
async function bindingModeOf(claim: string, kubernetes: Writers['kubernetes']): Promise<unknown> {
  const [namespace = '', name = ''] = claim.split('/')
  const live = await kubernetes.get({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name })
  const { storageClassName } = (live?.spec ?? {}) as { storageClassName?: string }
  if (!storageClassName) return undefined
  const found = await kubernetes.get({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    name: storageClassName,
  })
  return found?.volumeBindingMode
}
