import type { Stored } from '../stored.ts'
import { dig, digList } from './context.ts'

/** How well an object is, in Argo CD's words. */
export type Health = 'Healthy' | 'Suspended' | 'Progressing' | 'Missing' | 'Degraded' | 'Unknown'
const severity: Health[] = ['Healthy', 'Suspended', 'Progressing', 'Missing', 'Degraded', 'Unknown']

/** The worst of several; Healthy when there is none. */
export function worst(found: Health[]): Health {
  return found.reduce<Health>((a, b) => (severity.indexOf(b) > severity.indexOf(a) ? b : a), 'Healthy')
}

/** Argo CD's own health checks, for the kinds that have one. */
export function healthOf(object: Stored | undefined): Health {
  if (!object) return 'Missing'
  const status = (name: string) => dig<number>(object, 'status', name) ?? 0
  switch (object.kind) {
    case 'Deployment':
      if (
        digList(object, 'status', 'conditions').some(
          c => c.type === 'Progressing' && c.reason === 'ProgressDeadlineExceeded',
        )
      )
        return 'Degraded'
      return status('readyReplicas') >= Number(dig(object, 'spec', 'replicas') ?? 1)
        ? 'Healthy'
        : 'Progressing'
    case 'StatefulSet':
      return status('readyReplicas') >= Number(dig(object, 'spec', 'replicas') ?? 1)
        ? 'Healthy'
        : 'Progressing'
    case 'DaemonSet':
      return status('numberReady') >= status('desiredNumberScheduled') ? 'Healthy' : 'Progressing'
    case 'PersistentVolumeClaim': {
      const phase = dig(object, 'status', 'phase')
      return phase === 'Bound' ? 'Healthy' : phase === 'Lost' ? 'Degraded' : 'Progressing'
    }
    case 'Job':
      return digList(object, 'status', 'conditions').some(c => c.type === 'Failed' && c.status === 'True')
        ? 'Degraded'
        : digList(object, 'status', 'conditions').some(c => c.type === 'Complete')
          ? 'Healthy'
          : 'Progressing'
    case 'OnePasswordItem': {
      const ready = digList(object, 'status', 'conditions').find(c => c.type === 'Ready')
      return ready === undefined ? 'Progressing' : ready.status === 'True' ? 'Healthy' : 'Degraded'
    }
    // Since 1.8 an Application has no health of its own in its parent, unless argocd-cm restores it.
    default:
      return 'Healthy'
  }
}
