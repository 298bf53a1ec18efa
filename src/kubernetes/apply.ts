import { Fault } from '../runbook/fault.ts'
import type { Acting } from '../runbook/step.ts'
import { groupsForApply } from './apply-order.ts'
import { drift } from './drift.ts'
import { untilEstablished } from './established.ts'
import { type ConflictPolicy, isLeftTo, withoutFields } from './field-owners.ts'
import { inParallel } from './in-parallel.ts'
import { type KubernetesObject, type KubernetesWriter, refOf, showRef } from './kubernetes.ts'
import { lacks } from './readiness.ts'
import { FieldConflicts, showConflicts } from './refusal.ts'

/** What became of each object. */
export interface Applied {
  object: string
  how: 'created' | 'changed' | 'as it was'
}

export interface ApplyOptions {
  policy: ConflictPolicy
  hands: Pick<Acting, 'wait' | 'note' | 'progress'>
}

/**
 * Applies objects in the order of their kinds: definitions are established before anything of their kind, webhooks and
 * APIServices come last; a few at a time of those that need not wait for each other. Kinds that nobody serves yet wait for
 * the operator that brings them, for which all the rest is applied first. What passes by itself (throttling, a server that
 * restarts, a webhook whose pod comes by a slow line) is tried again for ten minutes, and once for each further object when
 * that did not help; what is refused is told for each object at the end of its group, and not to be asked for again at once.
 *
 * Throws Fault `objects-refused` for several, `kind-not-brought`, `field-conflict` under the policy `stop`, and what
 * {@link KubernetesWriter.apply} throws.
 */
export async function applyAll(
  kubernetes: KubernetesWriter,
  objects: readonly KubernetesObject[],
  options: ApplyOptions,
): Promise<Applied[]> {
  const { note, progress, wait } = options.hands
  const applied: Applied[] = []
  const waiting: KubernetesObject[] = []
  // A webhook that is away for one object is away for fifty: only the first few are waited for, together.
  let patient = true
  const put = async (group: readonly KubernetesObject[]) => {
    const outcomes = await inParallel(group, async object => {
      const shown = showRef(refOf(object))
      try {
        applied.push(
          await wait(`the API to take ${shown}`, () => applyOne(kubernetes, object, options), {
            limit: patient ? '10m' : '1s',
          }),
        )
      } catch (thrown) {
        if (!(thrown instanceof Fault)) throw thrown
        if (thrown.code === 'wait-timed-out') patient = false
        const fault =
          thrown.code === 'wait-timed-out' && thrown.cause instanceof Fault ? thrown.cause : thrown
        // Without the server nothing else will get on either.
        if (fault.code === 'api-unreachable' || fault.code === 'api-unauthorized') throw fault
        return explained(kubernetes, object, fault)
      } finally {
        progress(applied.length, objects.length, 'objects')
      }
      return undefined
    })
    const refused = outcomes.filter(outcome => outcome !== undefined)
    if (refused.length > 0) throw allRefused(refused)
  }
  const groups = groupsForApply(objects)
  for (const [i, group] of groups.entries()) {
    const served = await servedAmong(kubernetes, group)
    await put(group.filter(o => served.has(kindOf(o))))
    waiting.push(...group.filter(o => !served.has(kindOf(o))))
    for (const definition of group.filter(o => o.kind === 'CustomResourceDefinition'))
      await untilEstablished(kubernetes, definition, options.hands)
    const nextIsLast = i === groups.length - 1 || groups[i + 1]?.some(isGate)
    if (!nextIsLast || waiting.length === 0) continue
    const kinds = [...new Set(waiting.map(o => o.kind))]
    note(
      `${waiting.length} objects wait for kinds that an operator brings, now that it may start: ${kinds.join(', ')}`,
    )
    for (const object of waiting.splice(0)) {
      await untilServed(kubernetes, object, objects, wait)
      await put([object])
    }
  }
  return applied
}

/**
 * Applies an object about which the runbook is right, whoever else writes it: the mark that holds an Application back, the
 * Application as Git has it, a Secret with the person's own values. Nothing is forced where nobody minds; where somebody
 * else manages a field, a note names it and its manager, and the field is taken over.
 */
export async function applyOver(
  kubernetes: KubernetesWriter,
  object: KubernetesObject,
  note: Acting['note'],
): Promise<void> {
  try {
    await kubernetes.apply(object)
  } catch (thrown) {
    if (!(thrown instanceof Fault) || !(thrown.cause instanceof FieldConflicts)) throw thrown
    note(takenOver(showRef(refOf(object)), thrown.cause.fields))
    await kubernetes.apply(object, { force: true })
  }
}

/** What a note says of fields that are taken from others. */
function takenOver(shown: string, fields: FieldConflicts['fields']): string {
  return `${shown} gets the manifest’s values back, by force: ${showConflicts(fields)}`
}

/** A namespace on its way out says itself what keeps it: objects left, finalizers, an API that does not answer. */
async function explained(
  kubernetes: KubernetesWriter,
  object: KubernetesObject,
  fault: Fault,
): Promise<Fault> {
  if (fault.code !== 'namespace-terminating') return fault
  const name = object.metadata.namespace ?? 'default'
  const live = await kubernetes.get({ apiVersion: 'v1', kind: 'Namespace', name }).catch(() => undefined)
  const { conditions = [] } = (live?.status ?? {}) as { conditions?: { status: string; message?: string }[] }
  const kept = conditions.flatMap(c => (c.status === 'True' && c.message ? [c.message] : []))
  if (kept.length === 0) return fault
  return new Fault({
    code: 'namespace-terminating',
    blame: 'host',
    message: `${fault.message}: ${kept.join(' ')}`,
    remedy: fault.remedy,
    cause: fault,
    transient: true,
  })
}

/** Webhooks and APIServices, the last group. */
function isGate({ kind }: KubernetesObject): boolean {
  return kind.endsWith('WebhookConfiguration') || kind === 'APIService'
}

function kindOf({ apiVersion, kind }: KubernetesObject): string {
  return `${apiVersion} ${kind}`
}

/** Which kinds of some objects are served now. */
async function servedAmong(
  kubernetes: KubernetesWriter,
  objects: readonly KubernetesObject[],
): Promise<Set<string>> {
  const served = new Set<string>()
  for (const object of new Map(objects.map(o => [kindOf(o), o])).values())
    if (await isServed(kubernetes, object)) served.add(kindOf(object))
  return served
}

/** Whether a kind is served; an aggregated API that is away is one that is not served now. */
async function isServed(kubernetes: KubernetesWriter, object: KubernetesObject): Promise<boolean> {
  try {
    return await kubernetes.serves(object)
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === 'aggregated-api-away') return false
    throw thrown
  }
}

/** One object, with conflicts decided as the policy says. */
async function applyOne(
  kubernetes: KubernetesWriter,
  object: KubernetesObject,
  { policy, hands }: ApplyOptions,
): Promise<Applied> {
  const shown = showRef(refOf(object))
  const before = await kubernetes.get(refOf(object))
  if (before && drift(object, before, { leftTo: manager => isLeftTo(manager, policy) }).length === 0)
    return { object: shown, how: 'as it was' }
  const how = before ? 'changed' : 'created'
  try {
    await kubernetes.apply(object)
    return { object: shown, how }
  } catch (thrown) {
    if (!(thrown instanceof Fault) || !(thrown.cause instanceof FieldConflicts) || policy === 'stop')
      throw thrown
    const { fields } = thrown.cause
    const left = fields.filter(f => isLeftTo(f.manager, policy))
    const taken = fields.filter(f => !left.includes(f))
    if (left.length > 0) hands.note(`${shown} keeps what others look after: ${showConflicts(left)}`)
    if (taken.length > 0) hands.note(takenOver(shown, taken))
    await kubernetes.apply(
      withoutFields(
        object,
        left.map(f => f.field),
      ),
      { force: taken.length > 0 },
    )
    return { object: shown, how }
  }
}

async function untilServed(
  kubernetes: KubernetesWriter,
  object: KubernetesObject,
  all: readonly KubernetesObject[],
  wait: Acting['wait'],
): Promise<void> {
  try {
    await wait(
      `the kind ${object.kind} (${object.apiVersion}) to be known`,
      async () => (await isServed(kubernetes, object)) || undefined,
      { every: '2s', limit: '5m' },
    )
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
    throw new Fault({
      code: 'kind-not-brought',
      blame: 'host',
      message: `the cluster does not know the kind ${object.kind} (${object.apiVersion}), wanted for ${showRef(refOf(object))}; ${await whoBrings(kubernetes, all)}`,
      remedy:
        'Look at that operator’s pods and log; or put the definition into the manifests. Then run `recover resume`',
      cause: thrown,
    })
  }
}

/** Who of these objects may define a kind by running, and how that is. */
async function whoBrings(kubernetes: KubernetesWriter, all: readonly KubernetesObject[]): Promise<string> {
  const workloads = all.filter(o => ['Deployment', 'StatefulSet'].includes(o.kind))
  const likely = workloads.filter(o => /operator|controller/i.test(o.metadata.name ?? ''))
  const states: string[] = []
  for (const object of likely) {
    const live = await kubernetes.get(refOf(object)).catch(() => undefined)
    states.push(`${showRef(refOf(object))} (${live ? (lacks(live) ?? 'which runs') : 'which is not there'})`)
  }
  return states.length > 0
    ? `no definition of it is among these objects, so it would be brought by ${states.join(' or ')}`
    : 'neither a definition of it nor an operator that could bring it is among these objects'
}

function allRefused(refused: Fault[]): Fault {
  const [only, ...others] = refused
  // Whatever passes by itself was waited for: a step that began again would wait as long once more.
  if (only && others.length === 0) return only.waitedOut()
  return new Fault({
    code: 'objects-refused',
    blame: 'operator',
    message: `${refused.length} objects were refused: ${refused.map(r => r.message).join('; ')}`,
    remedy: [...new Set(refused.map(r => r.remedy))].join('; '),
  })
}
