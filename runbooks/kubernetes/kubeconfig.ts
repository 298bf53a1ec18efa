import { z } from 'zod'
import { done, due } from '../../src/runbook/step.ts'
import { whichClusterItWas } from '../evidence/former-cluster.ts'
import { step } from '../kit.ts'
import { startControllers } from './controllers.ts'
import { refuseOtherCluster } from './other-cluster.ts'

/** Our own way into the new cluster, proven by using it. */
export const fetchAccess = step({
  id: 'kubernetes/kubeconfig',
  title: 'Get access to the cluster',
  byHand: '`k0sctl kubeconfig > ~/.kube/config`; `kubectl get --raw=/readyz`.',
  needs: [startControllers, whichClusterItWas],
  danger: 'changes',
  bounds: { expected: '5s', limit: '5m' },
  retry: { times: 4, delay: '3s' },
  uses: () => ['k0sctl'],
  output: z.strictObject({ clusterUid: z.string(), version: z.string() }),
  async observe({ kubernetes, output }) {
    const { ready, why } = await kubernetes.ready()
    if (!ready) return due(`fetch the admin kubeconfig (${why})`)
    const system = await kubernetes.get({ apiVersion: 'v1', kind: 'Namespace', name: 'kube-system' })
    if (!system) return due('wait for the cluster’s own namespaces')
    refuseOtherCluster(
      output(startControllers).clusterUid,
      system.metadata.uid,
      output(whichClusterItWas).clusters,
    )
    const version = await kubernetes.version()
    return done(
      { clusterUid: system.metadata.uid ?? '', version },
      `Kubernetes ${version} answers as cluster ${system.metadata.uid}`,
    )
  },
  async apply({ k0sctl, kubernetes, signal, note, wait, output }) {
    await k0sctl.fetchKubeconfig({ clusterUid: output(startControllers).clusterUid, wait }, signal, note)
    await wait('the API to be ready', async () => (await kubernetes.ready()).ready || undefined)
  },
})
