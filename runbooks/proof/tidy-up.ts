import { z } from 'zod'
import {
  type KubernetesObject,
  type KubernetesReader,
  refOf,
  showRef,
} from '../../src/kubernetes/kubernetes.ts'
import { done, due } from '../../src/runbook/step.ts'
import { checkAnswer } from '../applications/check.ts'
import { networkProbeRef } from '../bootstrap/prove-network.ts'
import { probeRef, proveOnePassword } from '../bootstrap/prove-onepassword.ts'
import { step } from '../kit.ts'
import { dropClone } from '../volumes/drop-clone.ts'

/** Nothing of ours stays behind that nobody needs. */
export const tidyUp = step({
  id: 'proof/tidy-up',
  title: 'Tidy up',
  byHand: 'Delete the OnePasswordItem and the Job that were proofs.',
  needs: [checkAnswer, dropClone, proveOnePassword],
  danger: 'changes',
  bounds: { expected: '5s', limit: '5m' },
  retry: { times: 4, delay: '3s' },
  output: z.strictObject({}),
  async observe({ cluster, kubernetes }) {
    const left = await leftBehind(cluster.onePassword, kubernetes)
    return left.length > 0
      ? due(...left.map(object => `delete ${showRef(refOf(object))}, which was a proof`))
      : done({}, 'nothing of this run is left in the cluster but what it was begun for')
  },
  async apply({ cluster, kubernetes, wait }) {
    for (const object of await leftBehind(cluster.onePassword, kubernetes)) {
      await kubernetes.remove(refOf(object), object.metadata.uid ?? '')
      await wait(`${showRef(refOf(object))} to be gone`, async () =>
        (await kubernetes.get(refOf(object))) ? undefined : true,
      )
    }
  },
})

/** What was made for proofs and is still there. */
async function leftBehind(
  onePassword: string | undefined,
  kubernetes: KubernetesReader,
): Promise<KubernetesObject[]> {
  const refs = [networkProbeRef, ...(onePassword === undefined ? [] : [probeRef(onePassword)])]
  const found = await Promise.all(refs.map(ref => kubernetes.get(ref)))
  return found.filter(object => object !== undefined)
}
