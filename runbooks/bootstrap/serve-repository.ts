import { z } from 'zod'
import { detourLeft, endDetour, setDetour, takesDetour } from '../../src/gitops/argocd-repository.ts'
import { blocked, done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { reachRepository } from '../preflight/reach-repository.ts'
import { applyPart } from './apply-part.ts'
import { argocdNamespace, eachMirror } from './each-mirror.ts'

/**
 * The repository is away, and Argo CD reads it all the same: from the kit's mirror, which this computer serves for as long
 * as the run lasts. No Application is changed.
 */
export const serveRepository = step({
  id: 'bootstrap/serve-repository',
  title: mirror => `Serve ${mirror.url} from the kit`,
  byHand:
    'Serve the mirror as docs/gitops.md says under “By hand”, and put its URL in the place of the repository’s.',
  each: eachMirror,
  needs: [reachRepository, applyPart],
  danger: 'changes',
  // Whoever lets applications go needs what they are read from.
  serves: ['volumes', 'applications'],
  bounds: { expected: '2s', limit: '5m' },
  retry: { times: 4, delay: '3s' },
  // From there on nobody is to be led here again, by whatever process.
  holdsUntil: 'proof/stop-serving',
  uses: () => ['api'],
  output: z.strictObject({ served: z.boolean() }),
  async observe({ mirror: { url }, cluster, kubernetes, mirrors, output, signal }) {
    const { remote = url } = cluster.entry.gitops
    if (!output(reachRepository).away.includes(url)) {
      const left = await detourLeft(kubernetes, await argocdNamespace(cluster, kubernetes), remote)
      return left.length === 0
        ? done({ served: false }, `${url} can be read: nothing is served in its place`)
        : due(`let Argo CD read ${url} itself again (${left.join(', ')})`)
    }
    const stands = await mirrors.standsAt(signal)
    if (stands === undefined)
      return blocked(
        'mirror-missing',
        `${url} is away, and the kit has no mirror of it that could be served in its place`,
        'Run `recover render --fill-kit`, which makes one of the repository on this computer, then `recover resume`',
      )
    const serving = mirrors.serving()
    // Whoever plans has no cluster to look at, and wants to know all the same.
    const isRead =
      serving !== undefined &&
      (await takesDetour(kubernetes, await argocdNamespace(cluster, kubernetes), serving))
    return isRead
      ? done(
          { served: true },
          `Argo CD is led to the kit’s mirror of ${url} on this computer, commit ${stands.commit}; no Application is changed, and that it reads there is seen when they are released`,
        )
      : due(
          `serve ${url} for reading from ${stands.path}, commit ${stands.commit}, for as long as this run lasts`,
          'have Argo CD read it there, by a repository Secret and a certificate that it trusts for that host',
        )
  },
  async apply({ mirror: { url }, cluster, kubernetes, mirrors, output, note }) {
    const { remote = url } = cluster.entry.gitops
    const namespace = await argocdNamespace(cluster, kubernetes)
    if (!output(reachRepository).away.includes(url)) {
      await endDetour(kubernetes, namespace, remote)
      await mirrors.stop()
      return
    }
    await setDetour(kubernetes, namespace, await mirrors.serve())
    note(`${url} is served from the kit until this run ends`)
  },
})
