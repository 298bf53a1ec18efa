import type { KubernetesObject } from './kubernetes.ts'

interface Status {
  observedGeneration?: number
  replicas?: number
  readyReplicas?: number
  updatedReplicas?: number
  availableReplicas?: number
  desiredNumberScheduled?: number
  updatedNumberScheduled?: number
  numberReady?: number
  conditions?: { type: string; status: string; message?: string; reason?: string }[]
  phase?: string
}

/**
 * What an object still lacks, as a short text, or undefined when it does what it is there for. An operator with two
 * replicas on one node counts with the first: the second has nowhere to go (cilium/cilium#30177).
 */
export function lacks(object: KubernetesObject): string | undefined {
  const status = (object.status ?? {}) as Status
  const spec = (object.spec ?? {}) as { replicas?: number }
  const behind = (status.observedGeneration ?? 0) < Number(object.metadata.generation ?? 0)
  switch (object.kind) {
    case 'Deployment': {
      if (behind) return 'its controller has not seen it yet'
      const wanted = spec.replicas ?? 1
      const available = status.availableReplicas ?? 0
      return wanted > 0 && available < 1 ? `${available} of ${wanted} replicas are available` : undefined
    }
    case 'StatefulSet': {
      if (behind) return 'its controller has not seen it yet'
      const wanted = spec.replicas ?? 1
      const ready = status.readyReplicas ?? 0
      return ready < wanted ? `${ready} of ${wanted} replicas are ready` : undefined
    }
    case 'DaemonSet': {
      if (behind) return 'its controller has not seen it yet'
      const wanted = status.desiredNumberScheduled ?? 0
      const ready = Math.min(status.numberReady ?? 0, status.updatedNumberScheduled ?? wanted)
      if (wanted === 0) return 'no node runs it yet'
      return ready < wanted ? `${ready} of ${wanted} nodes run it` : undefined
    }
    case 'CustomResourceDefinition':
      return condition(status, 'Established') ? undefined : 'it is not established'
    case 'Node':
      return condition(status, 'Ready') ? undefined : (messageOf(status, 'Ready') ?? 'it is not Ready')
    case 'OnePasswordItem': {
      if (condition(status, 'Ready')) return undefined
      return (
        messageOf(status, 'Ready') ??
        // Rate-limited, the operator returns without touching the status and tries again 15 minutes later.
        'the operator has said nothing about it (1Password may be limiting its rate)'
      )
    }
    default:
      return undefined
  }
}

function condition(status: Status, type: string): boolean {
  return status.conditions?.some(c => c.type === type && c.status === 'True') ?? false
}

function messageOf(status: Status, type: string): string | undefined {
  return status.conditions?.find(c => c.type === type)?.message || undefined
}
