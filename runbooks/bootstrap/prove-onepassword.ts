import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { type Readers, step } from '../kit.ts'
import { lackOf, untilDelivered } from './onepassword-delivery.ts'
import { proveNetwork } from './prove-network.ts'

const probe = 'recover-probe'

/** One item of the person’s own comes through as a Secret: then all others can. */
export const proveOnePassword = step({
  id: 'bootstrap/prove-onepassword',
  title: 'Prove 1Password by one item',
  byHand: 'Apply one OnePasswordItem and see that the Secret of its name appears.',
  needs: [proveNetwork],
  danger: 'changes',
  bounds: { expected: '20s', limit: '20m' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'proof/tidy-up',
  output: z.strictObject({ item: z.string() }),
  async observe({ cluster, kubernetes }) {
    const path = probeItem(cluster)
    const namespace = cluster.onePassword
    if (path === undefined || namespace === undefined)
      return done({ item: '' }, 'nothing in Git comes from 1Password: nothing is to be proven')
    const lack = await lackOf(kubernetes, probeRef(namespace))
    if (lack === 'absent') return due(`read ${path} through 1Password’s operator`)
    if (lack !== undefined) return due(`wait for 1Password: ${lack}`)
    return done({ item: path }, `1Password’s operator made a Secret from ${path}`)
  },
  async apply({ cluster, kubernetes, manifests, signal, wait }) {
    const path = probeItem(cluster)
    const namespace = cluster.onePassword
    if (path === undefined || namespace === undefined) return
    await kubernetes.apply({
      apiVersion: 'onepassword.com/v1',
      kind: 'OnePasswordItem',
      metadata: { name: probe, namespace },
      spec: { itemPath: path },
    })
    await untilDelivered(probeRef(namespace), path, { cluster, kubernetes, manifests, signal, wait })
  },
})

/** The item that recover.yaml names, or the first that Git asks for. */
function probeItem(cluster: Readers['cluster']): string | undefined {
  return cluster.entry.secrets.probe ?? cluster.inventory.items[0]?.path
}

/** The item that is asked for as a proof, and taken away again when it has arrived. */
export function probeRef(namespace: string) {
  return { apiVersion: 'onepassword.com/v1', kind: 'OnePasswordItem', namespace, name: probe }
}
