import type { KnownApplication } from '../../src/gitops/application.ts'
import { applicationKind, isHeldBack, stateOf } from '../../src/gitops/argocd.ts'
import type { KubernetesReader } from '../../src/kubernetes/kubernetes.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { Acting } from '../../src/runbook/step.ts'

type Named = Pick<KnownApplication, 'name' | 'namespace'>

/** What Argo CD makes of an application: not let at it yet, not well for a reason, or well. */
export async function lookAt(
  { name, namespace }: Named,
  kubernetes: KubernetesReader,
): Promise<{ state: 'held' } | { state: 'unwell'; why: string } | { state: 'well' }> {
  const live = await kubernetes.get({ ...applicationKind, namespace, name })
  if (!live || isHeldBack(live)) return { state: 'held' }
  const { sync, health, complaint } = stateOf(live)
  if (sync === 'Synced' && health === 'Healthy') return { state: 'well' }
  return { state: 'unwell', why: `${sync}, ${health}${complaint ? ` (${complaint})` : ''}` }
}

/** Waits until an application is Synced and Healthy. Fault `application-not-healthy` says what it was last. */
export async function untilWell(
  application: Named,
  kubernetes: KubernetesReader,
  wait: Acting['wait'],
): Promise<void> {
  const { name, namespace } = application
  let last = 'Argo CD has not looked at it'
  try {
    await wait(`${name} to be Synced and Healthy`, async () => {
      const seen = await lookAt(application, kubernetes)
      if (seen.state === 'unwell') last = seen.why
      return seen.state === 'well' || undefined
    })
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
    throw new Fault({
      code: 'application-not-healthy',
      blame: 'host',
      message: `the Application ${name} does not get well: ${last}`,
      remedy: `Look at it (kubectl -n ${namespace} describe application ${name}, then its pods); its data is in place. Once it is mended, run \`recover resume\``,
      cause: thrown,
    })
  }
}
