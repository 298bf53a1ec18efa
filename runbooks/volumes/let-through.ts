import { z } from 'zod'
import { isHeld } from '../../src/gitops/application.ts'
import { deliveryBy } from '../../src/gitops/delivery.ts'
import { applyOver } from '../../src/kubernetes/apply.ts'
import { done, due } from '../../src/runbook/step.ts'
import { eachApplication } from '../applications/each-application.ts'
import { lookAt, untilWell } from '../applications/well.ts'
import { holdApplication } from '../bootstrap/hold-applications.ts'
import { step } from '../kit.ts'

/** What owns no data may come: above all the CSI driver, which must work before any volume can. */
export const letThrough = step({
  id: 'volumes/let-through',
  title: application => `Let ${application.name} through`,
  byHand:
    '`kubectl apply --server-side --force-conflicts -f` the Application as it is in Git; the CSI driver must be Synced and Healthy first.',
  each: eachApplication,
  only: application => !isHeld(application),
  needs: [holdApplication],
  danger: 'changes',
  // Whoever runs the applications’ phase alone has no data to wait for, and still needs what brings storage.
  serves: ['applications'],
  bounds: { expected: '30s', limit: '20m' },
  retry: { times: 4, delay: '3s' },
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe({ application, kubernetes }) {
    const { name, storage } = application
    const seen = await lookAt(application, kubernetes)
    if (seen.state === 'held') return due(`apply the Application ${name}`)
    if (!storage) return done({}, `${deliveryBy(application.by).name} works on ${name}`)
    return seen.state === 'well'
      ? done({}, `${seen.evidence}: volumes can be attached`)
      : due(`wait for ${name}: ${seen.why}`)
  },
  async apply({ application, cluster, kubernetes, wait, note }) {
    const { name, storage } = application
    const project = cluster.projectManifest(name)
    if (project) await applyOver(kubernetes, project, note)
    await applyOver(kubernetes, cluster.applicationManifest(name), note)
    if (storage) await untilWell(application, kubernetes, { wait, note })
  },
})
