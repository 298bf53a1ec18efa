import { z } from 'zod'
import { orderForApply } from '../../src/kubernetes/apply-order.ts'
import { drift } from '../../src/kubernetes/drift.ts'
import { type KubernetesObject, refOf, showRef } from '../../src/kubernetes/kubernetes.ts'
import { lacks } from '../../src/kubernetes/readiness.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { joinWorkers } from '../kubernetes/workers.ts'
import { eachPart } from './each-part.ts'
import { unlockOnePassword } from './unlock-onepassword.ts'

/**
 * One part of the bootstrap, applied server-side and working. Objects whose kind an operator of this very part brings
 * (Cilium creates its own definitions) are applied in a second pass, once it has.
 */
export const applyPart = step({
  id: 'bootstrap/apply',
  title: part => `Bootstrap ${part.name}`,
  byHand:
    '`kubectl apply --server-side --force-conflicts -f PART.yaml`; again after a minute for kinds that its operator brings; wait until its pods are ready.',
  each: eachPart,
  needs: [joinWorkers, unlockOnePassword],
  after: part => part.before,
  danger: 'changes',
  bounds: { expected: '1m', limit: '20m' },
  retry: { times: 4, delay: '5s' },
  // From then on Argo CD may keep it, as it stands in Git by now, which may be newer than what was rendered once.
  holdsUntil: 'volumes/let-through',
  uses: () => ['api'],
  output: z.strictObject({ objects: z.number() }),
  async observe({ part, manifests, kubernetes, signal }) {
    const objects = await manifests(part.name, signal)
    const open: string[] = []
    for (const object of objects) {
      const live = await kubernetes.get(refOf(object))
      const differs = live ? drift(object, live) : []
      if (!live) open.push(`apply ${showRef(refOf(object))}`)
      else if (differs.length > 0)
        open.push(`apply ${showRef(refOf(object))}, which differs in ${fewOf(differs)}`)
      else {
        const missing = lacks(live)
        if (missing !== undefined) open.push(`wait for ${showRef(refOf(object))}: ${missing}`)
      }
    }
    if (open.length === 0)
      return done(
        { objects: objects.length },
        `all ${objects.length} objects of ${part.name} are there and work`,
      )
    return due(...(open.length > 6 ? [...open.slice(0, 5), `and ${open.length - 5} more`] : open))
  },
  async apply({ part, manifests, kubernetes, signal, progress, note, wait }) {
    const ordered = orderForApply(await manifests(part.name, signal))
    let applied = 0
    const later: KubernetesObject[] = []
    const put = async (object: KubernetesObject) => {
      await kubernetes.apply(object, { force: true })
      applied += 1
      progress(applied, ordered.length, 'objects')
    }
    for (const object of ordered)
      if (await kubernetes.serves(object)) await put(object)
      else later.push(object)
    if (later.length > 0) note(`${later.length} objects wait for kinds that an operator brings`)
    for (const object of later) {
      await wait(
        `the kind ${object.kind} to be known`,
        async () => (await kubernetes.serves(object)) || undefined,
        { every: '2s', limit: '5m' },
      )
      await put(object)
    }
    for (const object of ordered) {
      let missing = ''
      try {
        await wait(`${showRef(refOf(object))} to work`, async () => {
          const live = await kubernetes.get(refOf(object))
          const lack = live ? lacks(live) : 'it is not there'
          missing = lack ?? ''
          return lack === undefined || undefined
        })
      } catch (thrown) {
        if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
        throw new Fault({
          code: 'bootstrap-not-ready',
          blame: 'host',
          message: `${showRef(refOf(object))} of ${part.name} does not work yet: ${missing}`,
          remedy: 'Look at its pods and events (kubectl describe); then run `recover resume`',
          cause: thrown,
        })
      }
    }
  },
})

function fewOf(fields: string[]): string {
  return fields.length > 3
    ? `${fields.slice(0, 2).join(', ')} and ${fields.length - 2} more`
    : fields.join(', ')
}
