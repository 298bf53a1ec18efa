import { type ObjectRef, showRef } from '../kubernetes/kubernetes.ts'
import type { Blame } from '../runbook/fault.ts'
import type { ApplicationState, Push, SyncResult } from './argocd.ts'

/** What keeps an Application from being well. */
export interface Ailment {
  code: string
  blame: Blame
  message: string
  remedy: string
  /** What may mend it and Argo CD does not do by itself. */
  push?: Push
  /** Waiting longer does not help. */
  lasting?: true
  /** Objects to look at for the cause; all that the Application manages where this is not given. */
  objects?: ObjectRef[]
}

/** Self-heal tries after 2, 6, 18, 54 and 162 seconds; whoever changes it once more after that does not stop. */
const healsEnough = 4

/**
 * Why an Application is not well, from its status alone; undefined when it is. A person's wish in Git that something be
 * suspended is well. What each state looks like was seen with Argo CD 3.5.
 */
export function diagnose(name: string, state: ApplicationState): Ailment | undefined {
  return (
    unread(name, state) ??
    running(name, state) ??
    failed(name, state) ??
    different(name, state) ??
    unhealthy(name, state)
  )
}

function unread(name: string, state: ApplicationState): Ailment | undefined {
  const said = (type: string) => state.conditions.find(c => c.type === type)?.message
  const invalid = said('InvalidSpecError')
  if (invalid !== undefined)
    return {
      code: 'application-spec-invalid',
      blame: 'operator',
      message: `Argo CD cannot use the Application ${name} as it is: ${invalid}`,
      remedy:
        'Mend the Application or its AppProject in Git, then run `recover resume --accept cluster-file`',
    }
  const comparison = said('ComparisonError')
  if (comparison !== undefined)
    return {
      code: 'application-not-rendered',
      blame: 'operator',
      message: `Argo CD cannot render ${name}: ${comparison}`,
      remedy:
        'Mend what the message names (the manifests in Git, the access to the repository, a chart that is out of reach), then run `recover resume`',
      push: 'refresh',
    }
  if (state.sync === '')
    return {
      code: 'application-not-looked-at',
      blame: 'host',
      message: `Argo CD has not looked at the Application ${name}`,
      remedy:
        'Look at the application controller (kubectl -n argocd logs statefulset/argocd-application-controller), then run `recover resume`',
    }
  return undefined
}

function running(name: string, state: ApplicationState): Ailment | undefined {
  const { operation } = state
  if (!operation || !state.busy) return undefined
  // A sync is bound to the commit that it began with; what was mended in Git since is not in it.
  const overtaken =
    operation.revision !== undefined && state.revision !== undefined && operation.revision !== state.revision
  const push = overtaken ? ({ push: 'terminate' } as const) : {}
  const hook = /waiting for completion of hook (\S+)/.exec(operation.message)?.[1]
  if (hook !== undefined)
    return {
      code: 'application-hook-stuck',
      blame: 'host',
      message: `the sync of ${name} waits for its hook ${hook} to end`,
      remedy:
        'Find out why it does not end (its pod, its log); mend it in Git or delete it, then run `recover resume`',
      objects: named(hook, state),
      ...push,
    }
  const blocking = /waiting for healthy state of (\S+)/.exec(operation.message)?.[1]
  if (blocking !== undefined)
    return {
      code: 'application-wave-blocked',
      blame: 'host',
      message: `the sync of ${name} waits for ${blocking.replace(/^\//, '')} to be healthy; later sync waves have not begun`,
      remedy: 'Mend that one object, in Git or in the cluster, then run `recover resume`',
      objects: named(blocking, state),
      ...push,
    }
  if (operation.retries > 0)
    return {
      code: 'application-sync-fails',
      blame: 'host',
      message: `the sync of ${name} fails again and again (${operation.retries} so far): ${complaint(operation.results, operation.message)}`,
      remedy: 'Mend what the message names, then run `recover resume`',
      objects: [],
      ...push,
    }
  return {
    code: 'application-sync-unfinished',
    blame: 'host',
    message: `the sync of ${name} does not end${operation.message ? `: ${operation.message}` : ''}`,
    remedy:
      'Look at the application controller (kubectl -n argocd logs statefulset/argocd-application-controller), then run `recover resume`',
    ...push,
  }
}

function failed(name: string, { operation }: ApplicationState): Ailment | undefined {
  if (!operation || !['Failed', 'Error'].includes(operation.phase)) return undefined
  const hook = operation.results.find(r => r.failed && r.hook !== undefined)
  if (hook)
    return {
      code: 'application-hook-failed',
      blame: 'host',
      message: `the ${hook.hook} hook ${showRef(hook)} of ${name} failed: ${hook.message || operation.message}`,
      remedy: 'Look at the log of its pod; mend it, then run `recover resume`, which lets it sync once more',
      push: 'sync',
      objects: [{ apiVersion: 'batch/v1', kind: hook.kind, namespace: hook.namespace, name: hook.name }],
    }
  return {
    code: 'application-sync-failed',
    blame: 'host',
    message: `the sync of ${name} failed: ${complaint(operation.results, operation.message)}`,
    remedy: 'Mend what the message names, then run `recover resume`, which lets it sync once more',
    push: 'sync',
    objects: [],
  }
}

function different(name: string, state: ApplicationState): Ailment | undefined {
  const { operation } = state
  if (state.sync !== 'OutOfSync') return undefined
  const objects = state.resources.filter(r => r.sync === 'OutOfSync' && !r.hook).map(r => r.ref)
  const which = objects.map(showRef).slice(0, 5).join(', ') || 'something'
  if (!operation)
    return {
      code: 'application-not-synced',
      blame: 'host',
      message: state.automated
        ? `Argo CD has not synced ${name} yet`
        : `${name} does not sync by itself, and was told to`,
      remedy: `Look at it (kubectl -n argocd describe application ${name}), then run \`recover resume\``,
      ...(state.automated ? {} : { push: 'sync' }),
    }
  return {
    code: 'application-out-of-sync',
    blame: 'operator',
    message: `${name} was synced and differs from Git again in ${which}${operation.healed > 0 ? ` (set right ${operation.healed} times)` : ''}: somebody else changes it, or the cluster does not keep what Git says`,
    remedy:
      'See what differs (argocd app diff) and who manages those fields (kubectl get --show-managed-fields); take them out of one of the two, or put them under ignoreDifferences; then run `recover resume`',
    objects,
    ...(state.selfHeal ? {} : { push: 'sync' }),
    ...(operation.healed >= healsEnough ? { lasting: true } : {}),
  }
}

function unhealthy(name: string, state: ApplicationState): Ailment | undefined {
  const look = `Look at it (kubectl -n argocd describe application ${name}, then its pods); its data is in place. Once it is mended, run \`recover resume\``
  switch (state.health) {
    case 'Healthy':
    case 'Suspended':
      return state.sync === 'Synced' ? undefined : unknown(name, state)
    case 'Degraded':
      return { code: 'application-degraded', blame: 'host', message: `${name} is degraded`, remedy: look }
    case 'Missing':
      return {
        code: 'application-missing',
        blame: 'host',
        message: `objects of ${name} are missing in the cluster`,
        remedy: look,
      }
    case 'Progressing':
      return {
        code: 'application-progressing',
        blame: 'host',
        message: `${name} is not ready yet`,
        remedy: look,
      }
    default:
      return unknown(name, state)
  }
}

function unknown(name: string, { sync, health }: ApplicationState): Ailment {
  return {
    code: 'application-unknown',
    blame: 'host',
    message: `Argo CD does not know how ${name} is: its sync is ${sync}, its health ${health}`,
    remedy:
      'Look at the application controller (kubectl -n argocd logs statefulset/argocd-application-controller), then run `recover resume`',
    push: 'refresh',
  }
}

/** What failed, object by object; the operation's own words where no object says anything. */
function complaint(results: SyncResult[], message: string): string {
  const said = results.filter(r => r.failed && r.message !== '').map(r => `${showRef(r)}: ${r.message}`)
  return said.length > 0 ? said.slice(0, 3).join('; ') : message
}

/** The object that `group/Kind/name` means in an operation's message; a hook may be known by its result alone. */
function named(text: string, { resources, operation }: ApplicationState): ObjectRef[] {
  const [group = '', kind = '', name = ''] = text.split('/')
  const found = resources.filter(r => r.ref.kind === kind && r.ref.name === name).map(r => r.ref)
  if (found.length > 0) return found
  const result = operation?.results.find(r => r.kind === kind && r.name === name)
  return result
    ? [{ apiVersion: group === '' ? 'v1' : `${group}/v1`, kind, namespace: result.namespace, name }]
    : []
}
