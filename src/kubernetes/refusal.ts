import { Fault } from '../runbook/fault.ts'

/** What an API server answered. */
export interface Answer {
  status: number
  value: unknown
}

/** A field that somebody else manages, as server-side apply names it. */
export interface ConflictingField {
  /** As managedFields calls them: `kubectl-edit`, `cilium-operator-generic`. */
  manager: string
  /** `.spec.template.spec.containers[name="agent"].image` */
  field: string
}

/** Why server-side apply was refused; the cause of Fault `field-conflict`. */
export class FieldConflicts extends Error {
  override readonly name = 'FieldConflicts'
  readonly fields: readonly ConflictingField[]

  constructor(message: string, fields: readonly ConflictingField[]) {
    super(message)
    this.fields = fields
  }
}

interface Status {
  message?: string
  reason?: string
  details?: { kind?: string; name?: string; causes?: { reason?: string; message?: string; field?: string }[] }
}

/**
 * The Fault that an answer stands for. What passes by itself is transient: throttling, a server that restarts, an
 * object that somebody else changed at the same moment, a webhook whose pods are not up, a namespace on its way out.
 * The texts are those of kube-apiserver 1.36.
 * @param doing what was refused: `apply Deployment grafana/grafana`
 */
export function refusal(doing: string, answer: Answer): Fault {
  const { status, value } = answer
  const { reason, details } = (typeof value === 'object' && value !== null ? value : {}) as Status
  const said = messageOf(answer)
  const causes = details?.causes ?? []
  const conflicts = causes.filter(c => c.reason === 'FieldManagerConflict')
  if (conflicts.length > 0) return fieldConflict(doing, said, conflicts)
  if (status === 401)
    return new Fault({
      code: 'api-unauthorized',
      blame: 'operator',
      message: `the cluster does not know us: it refused to ${doing} (${status}): ${said}`,
      remedy: 'Run `recover resume`: the kubeconfig is fetched from the controller again',
    })
  const terminating = causes.find(c => c.reason === 'NamespaceTerminating')
  if (terminating)
    return new Fault({
      code: 'namespace-terminating',
      blame: 'host',
      message: `the cluster refused to ${doing}: ${terminating.message ?? said}`,
      remedy:
        'Look at what keeps it (kubectl get namespace NAME -o yaml, status.conditions): objects with finalizers whose controller is gone, or an APIService that does not answer; then run `recover resume`',
      transient: true,
    })
  const webhook = /failed calling webhook "([^"]+)"/.exec(said)?.[1]
  if (webhook !== undefined)
    return new Fault({
      code: 'webhook-away',
      blame: 'host',
      message: `the cluster could not ${doing}, since the admission webhook ${webhook} does not answer: ${said}`,
      remedy: `Look at the pods behind ${webhook} (kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations); it is asked again by itself for a while`,
      transient: true,
    })
  if (/^admission webhook ".*" denied the request|ValidatingAdmissionPolicy '.*' .*denied request/.test(said))
    return new Fault({
      code: 'admission-denied',
      blame: 'operator',
      message: `the cluster refused to ${doing}: ${said}`,
      remedy: 'Change the manifest or the policy that refuses it, then run `recover resume`',
    })
  if (status === 404 && details?.kind === 'namespaces')
    return new Fault({
      code: 'namespace-missing',
      blame: 'operator',
      message: `the cluster refused to ${doing}: there is no namespace ${details.name}`,
      remedy: 'Put the Namespace into the same manifests, or into those that are applied before',
    })
  // The schema's own refusal of a field that does not exist comes as a 500 and does not pass.
  if (
    status === 422 ||
    reason === 'Invalid' ||
    /field not declared in schema|failed to create typed patch object/.test(said)
  )
    return new Fault({
      code: 'manifest-refused',
      blame: 'operator',
      message: `the cluster refused to ${doing}: ${said}`,
      remedy:
        'Mend the manifest in Git (or render it with the version that fits this cluster), then run `recover resume`',
    })
  return new Fault({
    code: 'api-refused',
    blame: 'host',
    message: `the cluster refused to ${doing} (${status}): ${said}`,
    remedy: 'Mend what the message names, then run `recover resume`',
    // A precondition that failed (another uid) will fail again.
    transient:
      status === 429 ||
      status >= 500 ||
      (status === 409 && !/^Precondition failed| in the precondition \(/.test(said)),
  })
}

/** What the server said, as text. */
export function messageOf({ value }: Answer): string {
  const message = (value as Status | null | undefined)?.message
  return message ?? (typeof value === 'string' ? value.trim() : JSON.stringify(value))
}

function fieldConflict(
  doing: string,
  said: string,
  causes: { message?: string | undefined; field?: string | undefined }[],
): Fault {
  const fields = causes.map(({ message = '', field = '' }) => ({
    manager: /"((?:[^"\\]|\\.)*)"/.exec(message)?.[1] ?? message,
    field,
  }))
  return new Fault({
    code: 'field-conflict',
    blame: 'operator',
    message: `the cluster refused to ${doing}: ${showConflicts(fields)}`,
    remedy:
      'Find out who manages it (kubectl get --show-managed-fields); take it out of one of the two, or say in recover.yaml who is right (conflicts: take or leave)',
    cause: new FieldConflicts(said, fields),
  })
}

/** `.spec.replicas is managed by kubectl-edit`, for people. */
export function showConflicts(fields: readonly ConflictingField[]): string {
  const managers = [...new Set(fields.map(f => f.manager))]
  return managers
    .map(manager => {
      const own = fields.filter(f => f.manager === manager).map(f => f.field.replace(/^\./, ''))
      const shown =
        own.length > 4 ? `${own.slice(0, 3).join(', ')} and ${own.length - 3} more` : own.join(', ')
      return `${shown} ${own.length === 1 ? 'is' : 'are'} managed by ${manager}`
    })
    .join('; ')
}
