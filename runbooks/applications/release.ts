import { z } from 'zod'
import { isHeld } from '../../src/gitops/application.ts'
import { applicationKind, isHeldBack, stateOf } from '../../src/gitops/argocd.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { holdApplication } from '../bootstrap/hold-applications.ts'
import { step } from '../kit.ts'
import { adoptVolume, boundToAnother } from '../volumes/adopt.ts'
import { bindingOf } from '../volumes/binding.ts'
import { copyVolume } from '../volumes/copy.ts'
import { verifyVolume } from '../volumes/verify.ts'
import { eachApplication } from './each-application.ts'
import { orderOf } from './order.ts'

/** Argo CD may have it: its volumes are bound to the disks with its data, and that was proven. */
export const releaseApplication = step({
  id: 'applications/release',
  title: application => `Release ${application.name}`,
  byHand:
    'Apply the Application as it is in Git, without the annotation, lowest sync wave first, the app of apps last; wait until it is Synced and Healthy.',
  each: eachApplication,
  only: isHeld,
  needs: [holdApplication, verifyVolume],
  after: orderOf,
  danger: 'changes',
  bounds: { expected: '1m', limit: '30m' },
  retry: { times: 4, delay: '5s' },
  output: z.strictObject({}),
  async observe({ application, kubernetes }) {
    const { name, namespace } = application
    const live = await kubernetes.get({ ...applicationKind, namespace, name })
    if (!live || isHeldBack(live)) return due(`let Argo CD have ${name}`)
    const { sync, health, complaint } = stateOf(live)
    return sync === 'Synced' && health === 'Healthy'
      ? done({}, `${name} is Synced and Healthy`)
      : due(`wait for ${name}: ${sync}, ${health}${complaint ? ` (${complaint})` : ''}`)
  },
  async apply({ application, cluster, kubernetes, outputs, wait }) {
    const { name, namespace, claims } = application
    const expected = new Map([...outputs(adoptVolume), ...outputs(copyVolume)])
    for (const claim of claims) {
      const wanted = expected.get(claim)
      if (!wanted) continue
      const binding = await bindingOf(kubernetes, claim)
      if (binding.state !== 'bound' || binding.handle !== wanted.handle)
        throw boundToAnother(claim, binding.state === 'bound' ? binding.handle : 'none', wanted.handle)
    }
    await kubernetes.apply(cluster.applicationManifest(name), { force: true })
    let last = ''
    try {
      await wait(`${name} to be Synced and Healthy`, async () => {
        const live = await kubernetes.get({ ...applicationKind, namespace, name })
        if (!live) return undefined
        const { sync, health, complaint } = stateOf(live)
        last = `${sync}, ${health}${complaint ? `: ${complaint}` : ''}`
        return (sync === 'Synced' && health === 'Healthy') || undefined
      })
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
      throw unwell(name, namespace, last, thrown)
    }
  },
})

export function unwell(name: string, namespace: string, state: string, cause: unknown): Fault {
  return new Fault({
    code: 'application-not-healthy',
    blame: 'host',
    message: `the Application ${name} does not get well: ${state}`,
    remedy: `Look at it (kubectl -n ${namespace} describe application ${name}, then its pods); its data is in place. Once it is mended, run \`recover resume\``,
    cause,
  })
}
