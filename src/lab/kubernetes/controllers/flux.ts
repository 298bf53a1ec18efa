import type { KubernetesObject } from '../../blueprint.ts'
import type { Stored } from '../stored.ts'
import { now } from '../time.ts'
import { healthOf } from './argocd-health.ts'
import { find, groupOf } from './argocd-objects.ts'
import { type Controlled, type Controller, dig, digList, refOf, runs, withCondition } from './context.ts'

const kind = 'Kustomization.kustomize.toolkit.fluxcd.io'
const sources = 'GitRepository.source.toolkit.fluxcd.io'
const manager = 'kustomize-controller'

/** source-controller: a repository that is not suspended is fetched at once. */
export const fluxSources: Controller = ({ store }) => {
  if (!store.has(sources) || !runs(store, /^source-controller$/)) return
  for (const source of store.all(sources)) {
    if (dig(source, 'spec', 'suspend') === true) continue
    settle(store, source, {
      status: true,
      reason: 'Succeeded',
      message: "stored artifact for revision 'main@sha1:lab'",
      more: { artifact: { revision: 'main@sha1:lab' } },
    })
  }
}

/**
 * kustomize-controller, as far as its API shows: nothing of a suspended Kustomization is touched, not even its status;
 * others wait for their source and for what they depend on, apply what their path renders to, and are Ready when that is
 * applied and, with `wait`, healthy.
 */
export const fluxKustomizations: Controller = controlled => {
  const { store } = controlled
  if (!store.has(kind) || !runs(store, /^kustomize-controller$/)) return
  for (const kustomization of store.all(kind))
    if (dig(kustomization, 'spec', 'suspend') !== true && !kustomization.metadata.deletionTimestamp)
      settle(store, kustomization, reconciled(controlled, kustomization))
}

/** How the condition Ready comes out; undefined is Unknown, as while it works. */
interface Outcome {
  status: boolean | undefined
  reason: string
  message: string
  more?: object
}

function reconciled({ store, world }: Controlled, kustomization: Stored): Outcome {
  const failed = (reason: string, message: string): Outcome => ({ status: false, reason, message })
  const { namespace } = kustomization.metadata
  const source = dig<string>(kustomization, 'spec', 'sourceRef', 'name') ?? ''
  const fetched = store
    .all(sources)
    .find(s => s.metadata.name === source && s.metadata.namespace === namespace)
  if (!fetched || !isReady(fetched))
    return failed('ArtifactFailed', `Source artifact not found, retrying in 30s`)
  for (const { name } of digList(kustomization, 'spec', 'dependsOn')) {
    const other = store.all(kind).find(k => k.metadata.name === name && k.metadata.namespace === namespace)
    if (!other || !isReady(other))
      return failed('DependencyNotReady', `dependency '${namespace}/${name}' is not ready`)
  }
  const key = dig<string>(kustomization, 'spec', 'decryption', 'secretRef', 'name')
  const secret = { resource: store.kind('Secret'), namespace: String(namespace), name: key ?? '' }
  if (key !== undefined && !store.find(secret))
    return failed('BuildFailed', `decryption secret error: Secret "${key}" not found`)
  const path = String(dig(kustomization, 'spec', 'path') ?? '')
    .replace(/^\.\//, '')
    .replace(/\/$/, '')
  const objects = world.blueprint.repository[path]
  if (!objects)
    return failed('ArtifactFailed', `kustomization path not found: stat ${path}: no such file or directory`)
  const target = dig<string>(kustomization, 'spec', 'targetNamespace')
  const applied: KubernetesObject[] = []
  for (const object of [...objects].sort((a, b) => rank(a.kind) - rank(b.kind))) {
    const resource = store.type(object.apiVersion, object.kind)
    if (!resource)
      return failed(
        'ReconciliationFailed',
        `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name} dry-run failed: no matches for kind "${object.kind}" in version "${object.apiVersion}"`,
      )
    const own = resource.namespaced ? (target ?? object.metadata.namespace ?? 'default') : undefined
    const wanted =
      own === undefined ? object : { ...object, metadata: { ...object.metadata, namespace: own } }
    try {
      if (own !== undefined) store.mustHaveNamespace(own)
      store.apply({ resource, namespace: own, name: String(object.metadata.name) }, wanted, manager, {
        force: true,
      })
    } catch (error) {
      return failed('ReconciliationFailed', (error as Error).message)
    }
    applied.push(wanted)
  }
  const revisions = {
    lastAppliedRevision: 'main@sha1:lab',
    lastAttemptedRevision: 'main@sha1:lab',
    inventory: {
      entries: applied.map(o => ({
        id: `${o.metadata.namespace ?? ''}_${o.metadata.name}_${groupOf(o)}_${o.kind}`,
        v: o.apiVersion.split('/').at(-1),
      })),
    },
  }
  const unwell = applied.find(o => healthOf(find(store, o)) !== 'Healthy')
  if (unwell && dig(kustomization, 'spec', 'wait') === true)
    return {
      status: undefined,
      reason: 'Progressing',
      message: `Running health checks for revision main@sha1:lab: ${unwell.kind}/${unwell.metadata.namespace}/${unwell.metadata.name} is not ready`,
      more: revisions,
    }
  const message = 'Applied revision: main@sha1:lab'
  return { status: true, reason: 'ReconciliationSucceeded', message, more: revisions }
}

function isReady(object: Stored): boolean {
  return digList(object, 'status', 'conditions').some(c => c.type === 'Ready' && c.status === 'True')
}

function settle(
  store: Controlled['store'],
  object: Stored,
  { status, reason, message, more }: Outcome,
): void {
  const before = digList(object, 'status', 'conditions')
  const conditions =
    status === undefined
      ? before.some(c => c.type === 'Ready' && c.status === 'Unknown' && c.message === message)
        ? before
        : [{ type: 'Ready', status: 'Unknown', reason, message, lastTransitionTime: now() }]
      : withCondition(before, 'Ready', status, reason, message)
  store.setStatus(refOf(store, object), {
    ...(object.status as object | undefined),
    ...more,
    conditions,
    observedGeneration: object.metadata.generation,
  })
}

const first = [
  'Namespace',
  'CustomResourceDefinition',
  'StorageClass',
  'PersistentVolume',
  'PersistentVolumeClaim',
]

function rank(of: string): number {
  const found = first.indexOf(of)
  return found === -1 ? first.length : found
}
