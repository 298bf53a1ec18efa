import { copyRefusals } from '../../../volumes/programs.ts'
import { isShare, protocolOf } from '../../../volumes/protocol.ts'
import type { PodProgram, ProgramEnd } from '../../nodes/nodes.ts'
import type { ObjectStore } from '../store.ts'
import type { Stored } from '../stored.ts'
import { now } from '../time.ts'
import {
  type Controlled,
  type Controller,
  dig,
  digList,
  isReady,
  refOf,
  runs,
  withCondition,
} from './context.ts'
import { attach, detach, type PodVolume, volumesOf } from './pod-volumes.ts'

/** What kubelets and the CSI node plugin do: pods start once a node, their volumes and their secrets are there. */
export const pods: Controller = controlled => {
  const { store } = controlled
  for (const pod of store.all('Pod')) {
    if (pod.metadata.deletionTimestamp !== undefined) {
      end(controlled, pod)
      continue
    }
    const phase = dig(pod, 'status', 'phase')
    if (phase === 'Succeeded' || phase === 'Failed') continue
    start(controlled, pod)
  }
  detach(controlled)
}

/** A kubelet ends the pod at once: nothing in it takes its time. Without its machine nobody does. */
function end({ store, machines }: Controlled, pod: Stored): void {
  const node = dig(pod, 'spec', 'nodeName') ?? dig(pod, 'status', 'nodeName')
  const { deletionGracePeriodSeconds: grace = 0 } = pod.metadata
  if (grace > 0 && machines.nodes().some(m => m.name === node)) store.remove(refOf(store, pod))
}

/** Gets a pod as far as it can go. True when it runs or ended. */
function start(controlled: Controlled, pod: Stored): boolean {
  const { store, world, nas, nodes, machines } = controlled
  const ref = refOf(store, pod)
  const namespace = String(pod.metadata.namespace)
  const conditions = digList(pod, 'status', 'conditions')
  /** Not even placed, in the scheduler's words. */
  const unplaced = (message: string) => {
    store.setStatus(ref, {
      phase: 'Pending',
      conditions: withCondition(conditions, 'PodScheduled', false, 'Unschedulable', message),
    })
    return false
  }
  const asPlaced = (reason: string, message?: string) => {
    const placedNow = withCondition(conditions, 'PodScheduled', true, '')
    const unready = 'containers with unready status'
    return {
      phase: 'Pending',
      conditions: withCondition(placedNow, 'Ready', false, 'ContainersNotReady', unready),
      containerStatuses: digList(pod, 'spec', 'containers').map(c => ({
        name: c.name,
        ready: false,
        state: { waiting: message === undefined ? { reason } : { reason, message } },
      })),
    }
  }
  /** Placed and not started. The kubelet tells what containers wait for in their states, what a mount lacks in an event. */
  const waiting = (reason: string, message: string) => {
    const mounts = reason === 'FailedMount'
    if (mounts) warn(store, pod, reason, message)
    store.setStatus(ref, mounts ? asPlaced('ContainerCreating') : asPlaced(reason, message))
    return false
  }
  const hostNetwork = dig(pod, 'spec', 'hostNetwork') === true
  const placed = dig(pod, 'spec', 'nodeName') ?? dig(pod, 'status', 'nodeName')
  const candidates = store
    .all('Node')
    .filter(node => machines.nodes().some(m => m.name === node.metadata.name))
    .filter(node => placed === undefined || placed === node.metadata.name)
    // The kubelet's not-ready taint keeps pods away from a node without a network, except those that bring it.
    .filter(node => hostNetwork || isReady(node))
  const volumes = volumesOf(store, pod)
  const unbound = volumes.find(v => v.pv === undefined)
  if (unbound) return unplaced(`persistentvolumeclaim "${unbound.claim}" is not bound`)
  const node = candidates.find(n => mayAttach(volumes, n.metadata.name, controlled)) ?? candidates[0]
  if (!node)
    return unplaced('0 nodes are available: nodes had untolerated taint {node.kubernetes.io/not-ready}')
  const missing = secretsOf(pod).find(
    name => !store.find({ resource: store.kind('Secret'), namespace, name }),
  )
  if (missing) return waiting('CreateContainerConfigError', `secret "${missing}" not found`)
  const machine = machines.nodes().find(m => m.name === node.metadata.name)
  if (!machine) return false
  const csi = volumes.filter(v => v.handle !== undefined)
  if (csi.length > 0 && !runs(store, /synology-csi-node/))
    return waiting(
      'FailedMount',
      'driver name csi.san.synology.com not found in the list of registered CSI drivers',
    )
  const mounted = new Map<PodVolume, string>()
  let whole = true
  for (const volume of csi)
    try {
      if (!isShare(protocolOf(volume.attributes))) {
        const disk = {
          handle: volume.handle as string,
          fsType: volume.fsType ?? '',
          readOnly: volume.readOnly,
        }
        if (!nodes.mount(disk, machine)) whole = false
      } else if (!isReady(pod)) {
        // Staged once: what somebody does to the rules afterwards stays so.
        const addresses = machines.nodes().map(m => m.address)
        const { uuid } = nas.mountShare(volume.attributes, addresses, userOf(store, volume), volume.readOnly)
        mounted.set(volume, uuid)
      }
    } catch (error) {
      return waiting(
        'FailedMount',
        `MountVolume.MountDevice failed for volume "${volume.pv}": ${(error as Error).message}`,
      )
    }
  if (!whole) {
    store.setStatus(ref, { ...asPlaced('ContainerCreating'), nodeName: machine.name })
    return false
  }
  // The agent comes up once the operator has made the definitions of its objects.
  if (isAgent(pod) && !store.has('CiliumNode'))
    return waiting(
      'ContainersNotReady',
      'Still waiting for Cilium Operator to register CustomResourceDefinitions',
    )
  const handleOf = (volume: PodVolume) => mounted.get(volume) ?? (volume.handle as string)
  const job = pod.metadata.ownerReferences?.[0]?.kind === 'Job'
  const crashes = ['application-never-healthy', 'application-degraded']
  if (!job && crashes.some(fault => world.suffers(fault, namespace)))
    return waiting('CrashLoopBackOff', 'back-off 5m0s restarting failed container')
  if (job && hasProgram(pod)) {
    const mounts = csi.flatMap(volume =>
      volume.mounts.map(m => [m.path, { handle: handleOf(volume), readOnly: m.readOnly }] as const),
    )
    runJob(controlled, pod, machine, Object.fromEntries(mounts))
    return true
  }
  if (isReady(pod)) return true
  if (job && hookFails(controlled, pod)) {
    store.setStatus(ref, {
      phase: 'Failed',
      nodeName: node.metadata.name,
      containerStatuses: digList(pod, 'spec', 'containers').map(c => ({
        name: c.name,
        state: {
          terminated: { exitCode: 1, reason: 'Error', message: 'migration failed: made up by the lab' },
        },
      })),
    })
    return true
  }
  if (job) {
    store.setStatus(ref, { phase: 'Succeeded', nodeName: node.metadata.name })
    return true
  }
  // An application that finds nothing where its data should be begins anew: the very thing that must not happen.
  const began = `${namespace}/${pod.metadata.name} began anew\n`
  for (const volume of csi)
    if (!volume.readOnly && !nodes.begin(pod.metadata.uid, handleOf(volume), began)) return false
  for (const volume of csi) attach(store, volume.pv as string, machine.name)
  store.setStatus(ref, running(pod, machine))
  return true
}

/** The status of a pod all of whose containers run. */
function running(pod: Stored, machine: { name: string; address: string }): object {
  const conditions = withCondition(digList(pod, 'status', 'conditions'), 'PodScheduled', true, '')
  return {
    phase: 'Running',
    hostIP: machine.address,
    nodeName: machine.name,
    conditions: withCondition(conditions, 'Ready', true, 'ContainersReady'),
    containerStatuses: digList(pod, 'spec', 'containers').map(c => ({
      name: c.name,
      ready: true,
      state: { running: {} },
    })),
  }
}

/** Whether a pod is of a hook of an application whose hooks are to fail. */
function hookFails({ store, world }: Controlled, pod: Stored): boolean {
  const owner = pod.metadata.ownerReferences?.[0]
  const job = store.all('Job', String(pod.metadata.namespace)).find(j => j.metadata.uid === owner?.uid)
  const application = job?.metadata.annotations?.['argocd.argoproj.io/tracking-id']?.split(':')[0]
  return (
    job?.metadata.annotations?.['argocd.argoproj.io/hook'] !== undefined &&
    application !== undefined &&
    world.suffers('application-hook-fails', application)
  )
}

/** A kubelet's warning about a pod; one of each kind is kept. */
function warn(store: ObjectStore, pod: Stored, reason: string, message: string): void {
  const { name, namespace, uid } = pod.metadata
  const ref = {
    resource: store.kind('Event'),
    namespace: String(namespace),
    name: `${name}.${reason.toLowerCase()}`,
  }
  if (dig(store.find(ref), 'message') === message) return
  store.apply(
    ref,
    {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: ref.name, namespace: ref.namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', name, namespace, uid },
      type: 'Warning',
      reason,
      message,
      lastTimestamp: now(),
    },
    'kubelet',
    { force: true },
  )
}

function isAgent(pod: Stored): boolean {
  return pod.metadata.ownerReferences?.some(o => o.kind === 'DaemonSet' && o.name === 'cilium') === true
}

/** Whether this is one of recover's Jobs: a single container that runs a script. */
function hasProgram(pod: Stored): boolean {
  return digList(pod, 'spec', 'containers').some(c => dig(c, 'command', 1) === '-c')
}

/** Has a Job's program run, and tells how it ended. */
function runJob(
  controlled: Controlled,
  pod: Stored,
  machine: { name: string; address: string },
  mounts: PodProgram['mounts'],
): void {
  const { store, nodes } = controlled
  const [container] = digList(pod, 'spec', 'containers')
  const environment = Object.fromEntries(
    digList(container, 'env').map(e => [String(e.name), String(e.value)]),
  )
  for (const from of digList(container, 'envFrom')) Object.assign(environment, secretValues(store, pod, from))
  const end = nodes.run(pod.metadata.uid, {
    script: String(dig(container, 'command', 2)),
    environment,
    capabilities: dig(container, 'securityContext', 'capabilities', 'add'),
    mounts,
    dnsIsUp: runs(store, /^coredns$/),
    halfWay: () => inMidCopy(controlled, pod),
  })
  if (!end) {
    store.setStatus(refOf(store, pod), running(pod, machine))
    return
  }
  store.setStatus(refOf(store, pod), {
    phase: end.code === 0 ? 'Succeeded' : 'Failed',
    nodeName: machine.name,
    containerStatuses: [
      {
        name: container?.name,
        state: {
          terminated: {
            exitCode: end.code,
            reason: end.code === 0 ? 'Completed' : 'Error',
            message: end.message,
          },
        },
      },
    ],
  })
}

/** What happens to the NAS while a pod copies to a claim's disk, and how the copy ends of it. */
function inMidCopy({ store, world, machines, nas }: Controlled, pod: Stored): ProgramEnd | undefined {
  const claims = volumesOf(store, pod).map(v => `${pod.metadata.namespace}/${v.claim}`)
  if (claims.some(claim => world.strikes('nas-fills-up', claim))) {
    // From now on it has no room for anybody.
    world.arm('nas-full', undefined, Number.MAX_SAFE_INTEGER)
    return {
      code: copyRefusals.destinationFull,
      message: 'the destination is full: rsync: write failed: No space left on device (28)',
    }
  }
  if (claims.some(claim => world.strikes('nas-restarts', claim))) {
    for (const machine of machines.nodes()) nas.dropSessions(machine.initiator)
    // It knows no login any more, and answers again after a few attempts.
    world.arm('nas-reboots', undefined, 3)
    return {
      code: copyRefusals.keepsFailing,
      message: 'rsync failed 4 times (exit 11): rsync: write failed: Input/output error (5)',
    }
  }
  return undefined
}

/** What a Secret adds to a container's environment. */
function secretValues(store: ObjectStore, pod: Stored, from: object): Record<string, string> {
  const secret = store.find({
    resource: store.kind('Secret'),
    namespace: String(pod.metadata.namespace),
    name: dig<string>(from, 'secretRef', 'name') ?? '',
  })
  return Object.fromEntries(
    Object.entries((secret?.data ?? {}) as Record<string, string>).map(([key, value]) => [
      key,
      Buffer.from(value, 'base64').toString('utf8'),
    ]),
  )
}

/** Who mounts a share by SMB, as its secret says. */
function userOf(store: ObjectStore, { secret }: PodVolume): string | undefined {
  if (secret === undefined) return undefined
  const found = store.find({ resource: store.kind('Secret'), ...secret })
  const username = dig<string>(found, 'data', 'username')
  return username === undefined ? undefined : Buffer.from(username, 'base64').toString()
}

/** A disk can be attached to one node at a time: pods that share one go where it is. */
function mayAttach(volumes: PodVolume[], node: string, { store }: Controlled): boolean {
  return volumes.every(volume =>
    store
      .all('Pod')
      .filter(p => dig(p, 'status', 'phase') === 'Running')
      .every(
        p =>
          dig(p, 'status', 'nodeName') === node ||
          !volumesOf(store, p).some(v => v.handle !== undefined && v.handle === volume.handle),
      ),
  )
}

function secretsOf(pod: Stored): string[] {
  const names = [
    ...digList(pod, 'spec', 'volumes').flatMap(v => [
      dig(v, 'secret', 'optional') === true ? undefined : dig<string>(v, 'secret', 'secretName'),
    ]),
    ...[...digList(pod, 'spec', 'containers'), ...digList(pod, 'spec', 'initContainers')].flatMap(c => [
      ...digList(c, 'envFrom').map(e =>
        dig(e, 'secretRef', 'optional') === true ? undefined : dig<string>(e, 'secretRef', 'name'),
      ),
      ...digList(c, 'env').map(e =>
        dig(e, 'valueFrom', 'secretKeyRef', 'optional') === true
          ? undefined
          : dig<string>(e, 'valueFrom', 'secretKeyRef', 'name'),
      ),
    ]),
  ]
  return [...new Set(names.filter(n => n !== undefined))]
}
