import { z } from 'zod'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { lacks } from '../../src/kubernetes/readiness.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { nodesReady } from './nodes-ready.ts'

const probe = 'recover-probe'

/** One item of the person's own comes through as a Secret: then all others can. */
export const proveOnePassword = step({
  id: 'bootstrap/prove-onepassword',
  title: 'Prove 1Password by one item',
  byHand: 'Apply one OnePasswordItem and see that the Secret of its name appears.',
  needs: [nodesReady],
  danger: 'changes',
  bounds: { expected: '20s', limit: '20m' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'proof/tidy-up',
  output: z.strictObject({ item: z.string() }),
  async observe({ cluster, kubernetes }) {
    const [item] = cluster.inventory.items
    const namespace = cluster.onePassword
    if (!item || namespace === undefined)
      return done({ item: '' }, 'nothing in Git comes from 1Password: nothing is to be proven')
    const live = await kubernetes.get(probeRef(namespace))
    if (!live) return due(`read ${item.path} through 1Password’s operator`)
    const lack = lacks(live)
    if (lack !== undefined) return due(`wait for 1Password: ${lack}`)
    return done({ item: item.path }, `1Password’s operator made a Secret from ${item.path}`)
  },
  async apply({ cluster, kubernetes, wait }) {
    const [item] = cluster.inventory.items
    const namespace = cluster.onePassword
    if (!item || namespace === undefined) return
    const object: KubernetesObject = {
      apiVersion: 'onepassword.com/v1',
      kind: 'OnePasswordItem',
      metadata: { name: probe, namespace },
      spec: { itemPath: item.path },
    }
    await kubernetes.apply(object)
    let lack: string | undefined
    try {
      await wait(
        `1Password to deliver ${item.path}`,
        async () => {
          const live = await kubernetes.get(probeRef(namespace))
          lack = live ? lacks(live) : 'the item is gone'
          return lack === undefined || undefined
        },
        { every: '2s', limit: '16m' },
      )
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
      throw new Fault({
        code: 'onepassword-silent',
        blame: 'network',
        message: `1Password does not deliver ${item.path}: ${lack}`,
        remedy:
          'Look at the log of onepassword-connect-operator; when it says "rate limit", wait until the hour or day is over (op service-account ratelimit), then run `recover resume`',
        cause: thrown,
      })
    }
  },
})

export function probeRef(namespace: string) {
  return { apiVersion: 'onepassword.com/v1', kind: 'OnePasswordItem', namespace, name: probe }
}
