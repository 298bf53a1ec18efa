import { z } from 'zod'
import { detourLeft, endDetour } from '../../src/gitops/argocd-repository.ts'
import { done, due } from '../../src/runbook/step.ts'
import { releaseSet } from '../applications/release-set.ts'
import { settleApplication } from '../applications/settle.ts'
import { argocdNamespace, eachMirror } from '../bootstrap/each-mirror.ts'
import { serveRepository } from '../bootstrap/serve-repository.ts'
import { step } from '../kit.ts'
import { resumeOsUpdates } from './resume-os-updates.ts'
import { tidyUp } from './tidy-up.ts'

/** Argo CD reads the repository itself again: when this process ends, nobody serves it any more. */
export const stopServing = step({
  id: 'proof/stop-serving',
  title: mirror => `Serve ${mirror.url} no more`,
  byHand:
    'Take the field `proxy` out of the repository Secret in Argo CD’s namespace, and what was added for the host out of argocd-tls-certs-cm.',
  each: eachMirror,
  needs: [serveRepository, settleApplication, releaseSet, tidyUp, resumeOsUpdates],
  danger: 'changes',
  serves: ['bootstrap', 'volumes', 'applications'],
  bounds: { expected: '2s', limit: '5m' },
  retry: { times: 4, delay: '3s' },
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe({ mirror: { url }, cluster, kubernetes, outputOf }) {
    const { remote = url } = cluster.entry.gitops
    const left = await detourLeft(kubernetes, await argocdNamespace(cluster, kubernetes), remote)
    if (left.length > 0)
      return due(`take the way through this computer out of ${left.join(' and ')}, and serve no more`)
    return done(
      {},
      outputOf(serveRepository, url)?.served
        ? `${url} was served from the kit for this run; applications stay as they are, and Argo CD shows Unknown until it is back`
        : `nothing was served in the place of ${url}`,
    )
  },
  async apply({ mirror: { url }, cluster, kubernetes, mirrors }) {
    const { remote = url } = cluster.entry.gitops
    await endDetour(kubernetes, await argocdNamespace(cluster, kubernetes), remote)
    await mirrors.stop()
  },
})
