import { z } from 'zod'
import { isHeld, type KnownApplication } from '../../src/gitops/application.ts'
import { deliveryBy } from '../../src/gitops/delivery.ts'
import { applyOver } from '../../src/kubernetes/apply.ts'
import type { KubernetesObject, KubernetesReader } from '../../src/kubernetes/kubernetes.ts'
import { blocked, done, due } from '../../src/runbook/step.ts'
import { eachApplication } from '../applications/each-application.ts'
import { whatWaits } from '../evidence/what-waits.ts'
import { type Readers, step } from '../kit.ts'
import { proveOnePassword } from './prove-onepassword.ts'
import { serveRepository } from './serve-repository.ts'

/** Who brings the application from Git knows it and must not touch it: nothing that owns a volume starts before its data is there. */
export const holdApplication = step({
  id: 'bootstrap/hold-application',
  title: application => `Hold ${application.name} back`,
  byHand:
    '`kubectl apply --server-side --force-conflicts -f` the Application with the annotation argocd.argoproj.io/skip-reconcile: "true" (with Flux: suspend: true).',
  each: eachApplication,
  only: isHeld,
  needs: [proveOnePassword, serveRepository, whatWaits],
  danger: 'changes',
  bounds: { expected: '2s', limit: '5m' },
  retry: { times: 4, delay: '3s' },
  holdsUntil: 'applications/release',
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe({ application, cluster, kubernetes }) {
    const { name, namespace, by } = application
    const delivery = deliveryBy(by)
    const live = await kubernetes.get({ ...delivery.kind, namespace, name })
    if (!live || !delivery.isHeld(live)) return due(`apply the Application ${name}, held`)
    const loose = await looseParents(cluster, application, kubernetes)
    if (loose.length > 0)
      return due(
        `hold ${loose.map(p => p.metadata.name).join(', ')} first, which would take the mark off ${name} again`,
      )
    const early = await ownersAlive(cluster, name, kubernetes)
    if (early.length > 0 && cluster.restore)
      return blocked(
        'hold-too-late',
        `${name} is held, and ${early.join(' and ')} came back with the archive; what it writes on its disk before that is verified could not be told from damage`,
        `Its pods wait for LUNs, whose targets are off, and not for shared folders, which the CSI driver opens for them: set it to no replicas (kubectl scale --replicas=0), then run \`recover resume\`. Scale it up again after its release where Git says no replicas`,
      )
    if (early.length > 0)
      return blocked(
        'hold-too-late',
        `${name} is held, and ${early.join(' and ')} runs already, which keeps its data in a volume`,
        `Find out who started it. Whatever it wrote is on a volume that is not its own: scale it to 0 and delete its claims, then run \`recover resume\``,
      )
    return done({}, `${delivery.name} knows ${name} and leaves it alone; nothing runs that owns its data`)
  },
  async apply({ application, cluster, kubernetes, note }) {
    const { hold } = deliveryBy(application.by)
    // Top-down: a parent that heals itself takes the mark off its children.
    for (const parent of await looseParents(cluster, application, kubernetes))
      await applyOver(kubernetes, hold(cluster.applicationManifest(parent.metadata.name ?? '')), note)
    const project = cluster.projectManifest(application.name)
    if (project) await applyOver(kubernetes, project, note)
    await applyOver(kubernetes, hold(cluster.applicationManifest(application.name)), note)
  },
})

/** Live Applications that bring this one and are not held. */
async function looseParents(
  { applications }: Readers['cluster'],
  { name, by }: KnownApplication,
  kubernetes: KubernetesReader,
): Promise<KubernetesObject[]> {
  const delivery = deliveryBy(by)
  const parents = applications.filter(a => a.name !== name && a.brings.includes(name))
  const live = await Promise.all(
    parents.map(p => kubernetes.get({ ...delivery.kind, namespace: p.namespace, name: p.name })),
  )
  return live.filter(p => p !== undefined).filter(p => !delivery.isHeld(p))
}

const workloads: Record<string, string> = {
  Deployment: 'apps/v1',
  StatefulSet: 'apps/v1',
  DaemonSet: 'apps/v1',
}

/** Workloads that keep the application's data and are there although it is held. */
async function ownersAlive(
  { applications }: Readers['cluster'],
  name: string,
  kubernetes: KubernetesReader,
): Promise<string[]> {
  const owners = new Set(applications.find(a => a.name === name)?.owned.map(o => o.by))
  const alive: string[] = []
  for (const owner of owners) {
    const [, kind = '', namespace = '', of = ''] = /^(\S+) ([^/]+)\/(.+)$/.exec(owner) ?? []
    const apiVersion = workloads[kind]
    if (apiVersion === undefined) continue
    const live = await kubernetes.get({ apiVersion, kind, namespace, name: of })
    const { replicas } = (live?.spec ?? {}) as { replicas?: number }
    if (live && replicas !== 0) alive.push(owner)
  }
  return alive
}
