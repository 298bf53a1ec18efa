import { z } from 'zod'
import { applyOver } from '../../src/kubernetes/apply.ts'
import { drift } from '../../src/kubernetes/drift.ts'
import { refOf } from '../../src/kubernetes/kubernetes.ts'
import { done, due } from '../../src/runbook/step.ts'
import { fanOut, step } from '../kit.ts'
import { releaseApplication } from './release.ts'
import { settleApplication } from './settle.ts'

/** ApplicationSets of the cluster. Not there is how one is held: its Applications would start by themselves. */
export const eachApplicationSet = fanOut({
  name: 'applicationSet',
  schema: z.strictObject({ name: z.string() }),
  key: set => set.name,
  subjects: ({ cluster }) => cluster.applicationSets.map(set => ({ name: String(set.metadata.name) })),
})

/**
 * Everything that the set would start has its data and was released one by one; from now on Argo CD makes them by the
 * set. It takes over Applications of the names that it wants.
 */
export const releaseSet = step({
  id: 'applications/release-set',
  title: set => `Release the ApplicationSet ${set.name}`,
  byHand:
    'Last of all `kubectl apply --server-side --force-conflicts -f` the ApplicationSet as it is in Git.',
  each: eachApplicationSet,
  needs: [releaseApplication, settleApplication],
  danger: 'changes',
  bounds: { expected: '2s', limit: '5m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe({ applicationSet, cluster, kubernetes }) {
    const manifest = cluster.applicationSets.find(set => set.metadata.name === applicationSet.name)!
    const live = await kubernetes.get(refOf(manifest))
    return live && drift(manifest, live).length === 0
      ? done({}, `Argo CD has the ApplicationSet ${applicationSet.name} as it is in Git`)
      : due(`apply the ApplicationSet ${applicationSet.name}`)
  },
  async apply({ applicationSet, cluster, kubernetes, note }) {
    const manifest = cluster.applicationSets.find(set => set.metadata.name === applicationSet.name)!
    await applyOver(kubernetes, manifest, note)
  },
})
