import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { checkAnswer } from '../applications/check.ts'
import { probeRef, proveOnePassword } from '../bootstrap/prove-onepassword.ts'
import { step } from '../kit.ts'
import { dropClone } from '../volumes/drop-clone.ts'

/** Nothing of ours stays behind that nobody needs. */
export const tidyUp = step({
  id: 'proof/tidy-up',
  title: 'Tidy up',
  byHand: 'Delete the OnePasswordItem that was the proof.',
  needs: [checkAnswer, dropClone, proveOnePassword],
  danger: 'changes',
  bounds: { expected: '5s', limit: '5m' },
  retry: { times: 4, delay: '3s' },
  output: z.strictObject({}),
  async observe({ cluster, kubernetes }) {
    const namespace = cluster.onePassword
    if (namespace !== undefined && (await kubernetes.get(probeRef(namespace))))
      return due('delete the item that proved 1Password')
    return done({}, 'nothing of this run is left in the cluster but what it was begun for')
  },
  async apply({ cluster, kubernetes, wait }) {
    const namespace = cluster.onePassword
    if (namespace === undefined) return
    const live = await kubernetes.get(probeRef(namespace))
    if (!live) return
    await kubernetes.remove(probeRef(namespace), live.metadata.uid ?? '')
    await wait('the item to be gone', async () =>
      (await kubernetes.get(probeRef(namespace))) ? undefined : true,
    )
  },
})
