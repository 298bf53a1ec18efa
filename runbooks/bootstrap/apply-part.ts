import { z } from 'zod'
import { type Applied, applyAll } from '../../src/kubernetes/apply.ts'
import { orderForApply } from '../../src/kubernetes/apply-order.ts'
import { drift } from '../../src/kubernetes/drift.ts'
import { isLeftTo } from '../../src/kubernetes/field-owners.ts'
import { inParallel } from '../../src/kubernetes/in-parallel.ts'
import {
  type KubernetesObject,
  type KubernetesReader,
  refOf,
  showRef,
} from '../../src/kubernetes/kubernetes.ts'
import { troubleOf } from '../../src/kubernetes/pods.ts'
import { type Proof, proofLacks } from '../../src/kubernetes/proof.ts'
import { lacks } from '../../src/kubernetes/readiness.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { type Acting, done, due } from '../../src/runbook/step.ts'
import { type Readers, step } from '../kit.ts'
import { joinWorkers } from '../kubernetes/workers.ts'
import { appliedOf } from './deliveries.ts'
import { eachPart } from './each-part.ts'
import { giveSecrets } from './give-secrets.ts'
import { untilDelivered } from './onepassword-delivery.ts'
import { unlockOnePassword } from './unlock-onepassword.ts'

/**
 * One part of the bootstrap, applied server-side and working. Objects whose kind an operator of this very part brings
 * (Cilium creates its own definitions) are applied once it has.
 */
export const applyPart = step({
  id: 'bootstrap/apply',
  title: part => `Bootstrap ${part.name}`,
  byHand:
    '`kubectl apply --server-side -f PART.yaml`; again after a minute for kinds that its operator brings; wait until its pods are ready.',
  each: eachPart,
  needs: [joinWorkers, unlockOnePassword, giveSecrets],
  after: part => part.before,
  danger: 'changes',
  bounds: { expected: '1m', limit: '20m' },
  retry: { times: 4, delay: '5s' },
  // From then on Argo CD may keep it, as it stands in Git by now, which may be newer than what was rendered once.
  holdsUntil: 'volumes/let-through',
  uses: () => ['api'],
  output: z.strictObject({ objects: z.number() }),
  async observe({ part, cluster, manifests, kubernetes, signal }) {
    const objects = appliedOf(cluster, await manifests(part.name, signal))
    const leftTo = (manager: string) => isLeftTo(manager, part.conflicts)
    const looked = await inParallel(objects, async object => {
      const live = await kubernetes.get(refOf(object))
      if (!live) return `apply ${showRef(refOf(object))}`
      const differs = drift(object, live, { leftTo })
      if (differs.length > 0) return `apply ${showRef(refOf(object))}, which differs in ${fewOf(differs)}`
      const missing = lacks(live)
      return missing === undefined ? undefined : `wait for ${showRef(refOf(object))}: ${missing}`
    })
    const open = looked.filter(change => change !== undefined)
    for (const proof of proofsOf(cluster, part.name)) {
      const lack = await proofLacks(kubernetes, proof)
      if (lack !== undefined) open.push(`wait for ${part.name} to be proven: ${lack}`)
    }
    if (open.length === 0)
      return done(
        { objects: objects.length },
        `all ${objects.length} objects of ${part.name} are there and work`,
      )
    return due(...(open.length > 6 ? [...open.slice(0, 5), `and ${open.length - 5} more`] : open))
  },
  async apply(act) {
    const { part, cluster, manifests, kubernetes, signal, progress, note, wait } = act
    const objects = appliedOf(cluster, await manifests(part.name, signal))
    const applied = await applyAll(kubernetes, objects, {
      policy: part.conflicts,
      hands: { wait, note, progress },
    })
    note(`${part.name}: ${countsOf(applied)}`)
    for (const object of orderForApply(objects)) {
      if (object.kind === 'OnePasswordItem') {
        await untilDelivered(refOf(object), itemPathOf(object), act)
        continue
      }
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
        throw await notReady(part.name, object, missing, kubernetes, thrown)
      }
    }
    for (const proof of proofsOf(cluster, part.name)) await untilProven(part.name, proof, kubernetes, wait)
  },
})

function proofsOf({ bootstrap }: Readers['cluster'], part: string): Proof[] {
  return bootstrap.find(p => p.name === part)?.proof ?? []
}

async function untilProven(
  part: string,
  proof: Proof,
  kubernetes: KubernetesReader,
  wait: Acting['wait'],
): Promise<void> {
  let lack: string | undefined
  try {
    await wait(`${showRef(proof)} to prove ${part}`, async () => {
      lack = await proofLacks(kubernetes, proof)
      return lack === undefined || undefined
    })
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
    throw new Fault({
      code: 'bootstrap-unproven',
      blame: 'host',
      message: `${part} is applied, and its proof is not seen: ${lack}`,
      remedy:
        'Look at the object and at who should bring it about; mend that, or the proof in recover.yaml, then run `recover resume`',
      cause: thrown,
    })
  }
}

async function notReady(
  part: string,
  object: KubernetesObject,
  missing: string,
  kubernetes: KubernetesReader,
  cause: Fault,
): Promise<Fault> {
  const trouble = await troubleOf(kubernetes, object).catch(() => undefined)
  return new Fault({
    code: 'bootstrap-not-ready',
    blame: 'host',
    message: `${showRef(refOf(object))} of ${part} does not work yet: ${missing}${trouble === undefined ? '' : `; ${trouble}`}`,
    remedy: 'Look at its pods and events (kubectl describe); then run `recover resume`',
    cause,
  })
}

function itemPathOf(item: KubernetesObject): string {
  return (item.spec as { itemPath?: string } | undefined)?.itemPath ?? showRef(refOf(item))
}

function countsOf(applied: readonly Applied[]): string {
  const counts = (['created', 'changed', 'as it was'] as const).flatMap(how => {
    const count = applied.filter(a => a.how === how).length
    return count === 0 ? [] : [`${count} ${how === 'as it was' ? 'as they were' : how}`]
  })
  return counts.length > 0 ? counts.join(', ') : 'nothing to apply'
}

function fewOf(fields: string[]): string {
  return fields.length > 3
    ? `${fields.slice(0, 2).join(', ')} and ${fields.length - 2} more`
    : fields.join(', ')
}
