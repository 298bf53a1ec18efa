import { z } from 'zod'
import { lunNamed, shareNamed, targetNamed } from '../../src/nas/lists.ts'
import { type Acting, done, due, type Observation } from '../../src/runbook/step.ts'
import { diskHolding, type MappedVolume } from '../../src/volumes/map.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { type Readers, step, type Writers } from '../kit.ts'
import { measureVolume } from './measure.ts'
import { sourceOf } from './source.ts'
import { verifyVolume } from './verify.ts'

/**
 * The clone that the proof was taken from goes, with the objects that led to it. Deletes nothing but what this run
 * made: the NAS client insists on the clone's name, description and parent; objects are deleted by uid.
 */
export const dropClone = step({
  id: 'volumes/drop-clone',
  title: volume => `Drop the clone of ${volume.claim}`,
  byHand:
    'Delete the Jobs, the clone’s claim and PersistentVolume, then the clone and its target in SAN Manager. Never the original.',
  each: eachVolume,
  only: volume => diskHolding(volume) !== undefined,
  needs: [verifyVolume],
  danger: 'changes',
  bounds: { expected: '10s', limit: '10m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['nas'],
  output: z.strictObject({}),
  observe: look => lookForTraces(look.volume, look),
  apply: act => dropTraces(act.volume, act.output(measureVolume).clone, act),
})

/** What is left of a volume's clone: in the cluster, and on the NAS. */
export async function lookForTraces(
  volume: MappedVolume,
  { kubernetes, nas, run }: Pick<Readers, 'kubernetes' | 'nas' | 'run'>,
): Promise<Observation<Record<never, never>>> {
  const own = sourceOf(volume, run)
  const left: string[] = []
  for (const { ref, what } of traces(own)) if (await kubernetes.get(ref)) left.push(`delete ${what}`)
  const clone = volume.share
    ? shareNamed(await nas.shares(), own.clone)
    : lunNamed(await nas.luns(), own.clone)
  if (clone) left.push(`delete our clone ${own.clone}`)
  // The NAS deletes a LUN and leaves its target, which is deleted after it: a run may have ended in between.
  if (targetNamed(await nas.targets(), own.clone)) left.push(`delete our target ${own.clone}`)
  return left.length === 0 ? done({}, `nothing is left of the clone of ${volume.claim}`) : due(...left)
}

/** Deletes the clone, by its uuid, and everything in the cluster that led to it. */
export async function dropTraces(
  volume: MappedVolume,
  clone: string,
  { kubernetes, nas, run, wait }: Writers & Pick<Acting, 'wait'>,
): Promise<void> {
  const own = sourceOf(volume, run)
  for (const { ref, what } of traces(own)) {
    const live = await kubernetes.get(ref)
    if (!live) continue
    await kubernetes.remove(ref, live.metadata.uid ?? '')
    await wait(`${what} to be gone`, async () => ((await kubernetes.get(ref)) ? undefined : true))
  }
  // A node has let go of a share once its PersistentVolume is gone: nothing else tells.
  if (volume.share) return nas.dropOwnShareClone({ uuid: clone, name: own.clone, run: run.id })
  const target = targetNamed(await nas.targets(), own.clone)
  if (target)
    await wait(`the nodes to let go of ${own.clone}`, async () => {
      const now = targetNamed(await nas.targets(), own.clone)
      return (now?.sessions.length ?? 0) === 0 || undefined
    })
  await nas.dropOwnClone({ uuid: clone, name: own.clone, parent: volume.lun!.uuid, run: run.id })
}

/** Everything in the cluster that stood for the clone, in the order in which it can go. */
function traces(own: ReturnType<typeof sourceOf>) {
  const { namespace, source, jobs } = own
  const object = (apiVersion: string, kind: string, name: string, inside?: string) => ({
    ref: { apiVersion, kind, name, namespace: inside },
    what: `${kind} ${inside === undefined ? '' : `${inside}/`}${name}`,
  })
  return [
    ...Object.values(jobs).map(name => object('batch/v1', 'Job', name, namespace)),
    object('v1', 'PersistentVolumeClaim', source, namespace),
    object('v1', 'PersistentVolume', source),
  ]
}
