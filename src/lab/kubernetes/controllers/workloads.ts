import type { ObjectStore } from '../store.ts'
import type { Stored } from '../stored.ts'
import { type Controller, dig, digList, isReady, podsOf, refOf, withCondition } from './context.ts'

/** Deployments, StatefulSets and DaemonSets to pods, and what their pods are to their status. */
export const workloads: Controller = ({ store, machines, world }) => {
  for (const deployment of store.all('Deployment')) {
    const replicas = Number(dig(deployment, 'spec', 'replicas') ?? 1)
    wantPods(store, deployment, names(deployment, replicas))
    const ready = podsOf(store, deployment).filter(isReady).length
    const complete = ready >= replicas
    const late = !complete && world.suffers('application-degraded', String(deployment.metadata.namespace))
    store.setStatus(refOf(store, deployment), {
      observedGeneration: deployment.metadata.generation,
      replicas,
      readyReplicas: ready,
      availableReplicas: ready,
      updatedReplicas: replicas,
      conditions: withCondition(
        withCondition(
          digList(deployment, 'status', 'conditions'),
          'Progressing',
          !late,
          complete ? 'NewReplicaSetAvailable' : late ? 'ProgressDeadlineExceeded' : 'ReplicaSetUpdated',
          late ? `ReplicaSet "${deployment.metadata.name}" has timed out progressing.` : '',
        ),
        'Available',
        complete,
        complete ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
      ),
    })
  }
  for (const set of store.all('StatefulSet')) {
    const replicas = Number(dig(set, 'spec', 'replicas') ?? 1)
    claimsOf(store, set, replicas)
    wantPods(store, set, names(set, replicas), ordinal => claimVolumes(set, ordinal))
    const ready = podsOf(store, set).filter(isReady).length
    const revision = `${set.metadata.name}-${set.metadata.generation}`
    store.setStatus(refOf(store, set), {
      observedGeneration: set.metadata.generation,
      replicas,
      readyReplicas: ready,
      availableReplicas: ready,
      updatedReplicas: replicas,
      currentRevision: revision,
      updateRevision: revision,
    })
  }
  for (const set of store.all('DaemonSet')) {
    const nodes = machines.nodes().map(n => n.name)
    wantPods(
      store,
      set,
      nodes.map(node => ({ name: `${set.metadata.name}-${node}`, node })),
    )
    const ready = podsOf(store, set).filter(isReady).length
    store.setStatus(refOf(store, set), {
      observedGeneration: set.metadata.generation,
      desiredNumberScheduled: nodes.length,
      currentNumberScheduled: nodes.length,
      updatedNumberScheduled: nodes.length,
      numberReady: ready,
      numberAvailable: ready,
    })
  }
  for (const job of store.all('Job')) {
    if (digList(job, 'status', 'conditions').some(c => c.status === 'True')) continue
    wantPods(store, job, [{ name: `${job.metadata.name}-0` }])
    const [pod] = podsOf(store, job)
    const phase = dig(pod, 'status', 'phase')
    const ended = phase === 'Succeeded' || phase === 'Failed'
    store.setStatus(refOf(store, job), {
      ...(phase === 'Succeeded' ? { succeeded: 1 } : phase === 'Failed' ? { failed: 1 } : { active: 1 }),
      conditions: ended
        ? withCondition(
            [],
            phase === 'Succeeded' ? 'Complete' : 'Failed',
            true,
            phase === 'Succeeded' ? 'CompletionsReached' : 'BackoffLimitExceeded',
            phase === 'Succeeded'
              ? 'Reached expected number of succeeded pods'
              : 'Job has reached the specified backoff limit',
          )
        : [],
    })
  }
}

interface WantedPod {
  name: string
  node?: string
}

function names(owner: Stored, replicas: number): WantedPod[] {
  return Array.from({ length: replicas }, (_, i) => ({ name: `${owner.metadata.name}-${i}` }))
}

function wantPods(
  store: ObjectStore,
  owner: Stored,
  wanted: WantedPod[],
  volumes: (ordinal: number) => object[] = () => [],
): void {
  const resource = store.kind('Pod')
  const namespace = String(owner.metadata.namespace)
  const template = JSON.stringify(dig(owner, 'spec', 'template') ?? {})
  // A changed template makes new pods, as a rollout would.
  for (const pod of podsOf(store, owner))
    if (
      !wanted.some(w => w.name === pod.metadata.name) ||
      pod.metadata.annotations?.['lab/template'] !== template
    )
      store.remove({ resource, namespace, name: pod.metadata.name })
  for (const [ordinal, { name, node }] of wanted.entries()) {
    if (store.find({ resource, namespace, name })) continue
    const spec = structuredClone(dig<Record<string, unknown>>(owner, 'spec', 'template', 'spec') ?? {})
    store.create(
      resource,
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name,
          namespace,
          labels: dig(owner, 'spec', 'template', 'metadata', 'labels') ?? {},
          annotations: { 'lab/template': template },
          ownerReferences: [
            {
              apiVersion: owner.apiVersion,
              kind: owner.kind,
              name: owner.metadata.name,
              uid: owner.metadata.uid,
              controller: true,
            },
          ],
        },
        spec: {
          ...spec,
          ...(node === undefined ? {} : { nodeName: node }),
          volumes: [...digList(spec, 'volumes'), ...volumes(ordinal)],
        },
      },
      'kube-controller-manager',
    )
  }
}

/** A StatefulSet's claims have names of their own, and one that is there already is taken as it is. */
function claimsOf(store: ObjectStore, set: Stored, replicas: number): void {
  const resource = store.kind('PersistentVolumeClaim')
  const namespace = String(set.metadata.namespace)
  for (const template of digList(set, 'spec', 'volumeClaimTemplates'))
    for (let ordinal = 0; ordinal < replicas; ordinal += 1) {
      const name = `${dig(template, 'metadata', 'name')}-${set.metadata.name}-${ordinal}`
      if (store.find({ resource, namespace, name })) continue
      store.create(
        resource,
        {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { ...(template.metadata as object), name, namespace },
          spec: template.spec,
        },
        'kube-controller-manager',
      )
    }
}

function claimVolumes(set: Stored, ordinal: number): object[] {
  return digList(set, 'spec', 'volumeClaimTemplates').map(template => {
    const name = dig<string>(template, 'metadata', 'name')
    return { name, persistentVolumeClaim: { claimName: `${name}-${set.metadata.name}-${ordinal}` } }
  })
}
