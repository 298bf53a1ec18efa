import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { applyK0s } from './apply-k0s.ts'
import { fetchAccess } from './kubeconfig.ts'

/** Every machine is a node. Not Ready yet: there is no network before Cilium. */
export const joinWorkers = step({
  id: 'kubernetes/workers',
  title: 'Join the workers',
  byHand: '`k0sctl apply --no-wait` with all hosts; `kubectl get nodes` lists them, NotReady.',
  needs: [fetchAccess],
  danger: 'changes',
  bounds: { expected: '1m', limit: '45m' },
  retry: { times: 3, delay: '5s' },
  uses: () => ['k0sctl'],
  output: z.strictObject({ nodes: z.array(z.string()) }),
  async observe({ cluster, kubernetes }) {
    const wanted = cluster.k0sctl.hosts.filter(h => h.role !== 'controller').map(h => h.name)
    const nodes = (await kubernetes.list({ apiVersion: 'v1', kind: 'Node' })).map(n => n.metadata.name ?? '')
    const missing = wanted.filter(name => !nodes.some(n => n.split('.')[0] === name))
    return missing.length === 0
      ? done({ nodes }, `${nodes.join(' and ')} are nodes of the cluster`)
      : due(`join ${missing.join(' and ')}`)
  },
  async apply(act) {
    const { kubernetes, cluster, wait } = act
    await applyK0s('all', act)
    const wanted = cluster.k0sctl.hosts.filter(h => h.role !== 'controller').length
    await wait(`${wanted} nodes to register`, async () => {
      if (!(await kubernetes.ready()).ready) return undefined
      const nodes = await kubernetes.list({ apiVersion: 'v1', kind: 'Node' })
      return nodes.length >= wanted || undefined
    })
  },
})
