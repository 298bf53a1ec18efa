import { z } from 'zod'
import { isHeld } from '../../src/gitops/application.ts'
import { deliveryBy } from '../../src/gitops/delivery.ts'
import { applyOver } from '../../src/kubernetes/apply.ts'
import { done, due } from '../../src/runbook/step.ts'
import { holdApplication } from '../bootstrap/hold-applications.ts'
import { step } from '../kit.ts'
import { boundToAnother } from '../volumes/bind.ts'
import { bindingOf } from '../volumes/binding.ts'
import { expectedDisk } from '../volumes/expected.ts'
import { noStrangers } from '../volumes/no-strangers.ts'
import { restoreVolume } from '../volumes/restore.ts'
import { verifyVolume } from '../volumes/verify.ts'
import { eachApplication } from './each-application.ts'
import { lookAt, untilWell } from './well.ts'

/** Argo CD may have it: its volumes are bound to the disks with its data, and that was proven. */
export const releaseApplication = step({
  id: 'applications/release',
  title: application => `Release ${application.name}`,
  byHand:
    '`kubectl apply --server-side --force-conflicts -f` the Application as it is in Git, without the annotation (with Flux: without suspend), lowest sync wave first, the app of apps last; wait until it is Synced and Healthy.',
  each: eachApplication,
  only: isHeld,
  needs: [holdApplication, verifyVolume, restoreVolume],
  // A volume that is not well holds its own application back, and no other.
  needsOf: application => application.claims,
  after: application => application.after,
  danger: 'changes',
  bounds: { expected: '1m', limit: '30m' },
  retry: { times: 4, delay: '5s' },
  output: z.strictObject({}),
  async observe({ application, kubernetes }) {
    const { name } = application
    const seen = await lookAt(application, kubernetes)
    if (seen.state === 'held') return due(`let ${deliveryBy(application.by).name} have ${name}`)
    return seen.state === 'well' ? done({}, seen.evidence) : due(`wait for ${name}: ${seen.why}`)
  },
  async apply(act) {
    const { application, cluster, kubernetes, outputOf, wait, note } = act
    const { name, claims } = application
    await noStrangers(act)
    for (const claim of claims) {
      const wanted = expectedDisk(outputOf, claim)
      if (!wanted) continue
      const binding = await bindingOf(kubernetes, claim)
      if (binding.state !== 'bound' || binding.handle !== wanted.handle)
        throw boundToAnother(claim, binding.state === 'bound' ? binding.handle : 'none', wanted.handle)
    }
    await applyOver(kubernetes, cluster.applicationManifest(name), note)
    await untilWell(application, kubernetes, { wait, note }, () => noStrangers(act))
    await noStrangers(act)
  },
})
