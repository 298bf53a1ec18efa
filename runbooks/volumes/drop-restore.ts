import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { step } from '../kit.ts'
import { restoreVolume } from './restore.ts'
import { restoreOf } from './source.ts'

/** The Job that restored a volume goes; what it proved is in the journal. */
export const dropRestore = step({
  id: 'volumes/drop-restore',
  title: volume => `Drop the Job that restored ${volume.claim}`,
  byHand: 'Delete the Job and the Secret with the repository’s password.',
  each: eachVolume,
  only: volume => volume.strategy === 'restore',
  needs: [restoreVolume],
  danger: 'changes',
  bounds: { expected: '2s', limit: '5m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe({ volume, kubernetes, run }) {
    const { namespace, job } = restoreOf(volume, run)
    return (await kubernetes.get({ apiVersion: 'batch/v1', kind: 'Job', namespace, name: job }))
      ? due(`delete the Job ${namespace}/${job}`)
      : done({}, `nothing is left of the restoring of ${volume.claim}`)
  },
  async apply({ volume, kubernetes, run, wait }) {
    const { namespace, job } = restoreOf(volume, run)
    const ref = { apiVersion: 'batch/v1', kind: 'Job', namespace, name: job }
    const live = await kubernetes.get(ref)
    if (!live) return
    await kubernetes.remove(ref, live.metadata.uid ?? '')
    await wait(`the Job ${namespace}/${job} to be gone`, async () =>
      (await kubernetes.get(ref)) ? undefined : true,
    )
  },
})
