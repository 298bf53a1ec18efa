import { z } from 'zod'
import { isHeld } from '../../src/gitops/application.ts'
import { applicationKind, isHeldBack, stateOf } from '../../src/gitops/argocd.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { eachApplication } from '../applications/each-application.ts'
import { holdApplication } from '../bootstrap/hold-applications.ts'
import { step } from '../kit.ts'

/** What owns no data may come: above all the CSI driver, which must work before any volume can. */
export const letThrough = step({
  id: 'volumes/let-through',
  title: application => `Let ${application.name} through`,
  byHand:
    '`kubectl apply --server-side -f` the Application as it is in Git; the CSI driver must be Synced and Healthy first.',
  each: eachApplication,
  only: application => !isHeld(application),
  needs: [holdApplication],
  danger: 'changes',
  bounds: { expected: '30s', limit: '20m' },
  retry: { times: 4, delay: '3s' },
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe({ application, kubernetes }) {
    const { name, namespace, storage } = application
    const live = await kubernetes.get({ ...applicationKind, namespace, name })
    if (!live || isHeldBack(live)) return due(`apply the Application ${name}`)
    const { sync, health, complaint } = stateOf(live)
    if (!storage) return done({}, `Argo CD works on ${name}`)
    return sync === 'Synced' && health === 'Healthy'
      ? done({}, `${name} is Synced and Healthy: volumes can be attached`)
      : due(`wait for ${name}: ${sync}, ${health}${complaint ? ` (${complaint})` : ''}`)
  },
  async apply({ application, cluster, kubernetes, wait }) {
    const { name, namespace, storage } = application
    const project = cluster.projectManifest(name)
    if (project) await kubernetes.apply(project, { force: true })
    await kubernetes.apply(cluster.applicationManifest(name), { force: true })
    if (!storage) return
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
      throw new Fault({
        code: 'application-not-healthy',
        blame: 'host',
        message: `the Application ${name}, which volumes need, does not get well: ${last}`,
        remedy: `Look at it (kubectl -n ${namespace} describe application ${name}); then run \`recover resume\``,
        cause: thrown,
      })
    }
  },
})
