import { connectBy } from '../lab/kubernetes/cluster.ts'
import { keepsTheContract } from '../lab/kubernetes/contract/contract.ts'
import { startControlPlane } from './harness/control-plane.ts'
import { describeKube } from './harness/describe-kube.ts'

describeKube('a real control plane', {}, () => {
  keepsTheContract('its API server', async () => {
    const controlPlane = await startControlPlane()
    const connected = connectBy(controlPlane.kubeconfig)
    return {
      ...connected,
      async close() {
        await connected.close()
        await controlPlane.close()
      },
    }
  })
})
