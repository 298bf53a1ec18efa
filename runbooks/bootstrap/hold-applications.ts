import { z } from 'zod'
import { isHeld } from '../../src/gitops/application.ts'
import { applicationKind, held, isHeldBack } from '../../src/gitops/argocd.ts'
import { done, due } from '../../src/runbook/step.ts'
import { eachApplication } from '../applications/each-application.ts'
import { whatWaits } from '../applications/what-waits.ts'
import { step } from '../kit.ts'
import { proveOnePassword } from './prove-onepassword.ts'

/** Argo CD knows the application and must not touch it: nothing that owns a volume starts before its data is there. */
export const holdApplication = step({
  id: 'bootstrap/hold-application',
  title: application => `Hold ${application.name} back`,
  byHand: 'Apply the Application with the annotation argocd.argoproj.io/skip-reconcile: "true".',
  each: eachApplication,
  only: isHeld,
  needs: [proveOnePassword, whatWaits],
  danger: 'changes',
  bounds: { expected: '2s', limit: '5m' },
  retry: { times: 4, delay: '3s' },
  holdsUntil: 'applications/release',
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe({ application, kubernetes }) {
    const { name, namespace } = application
    const live = await kubernetes.get({ ...applicationKind, namespace, name })
    return live && isHeldBack(live)
      ? done({}, `Argo CD knows ${name} and leaves it alone`)
      : due(`apply the Application ${name}, held`)
  },
  async apply({ application, cluster, kubernetes }) {
    const project = cluster.projectManifest(application.name)
    if (project) await kubernetes.apply(project, { force: true })
    await kubernetes.apply(held(cluster.applicationManifest(application.name)), { force: true })
  },
})
