import type { Acting } from '../runbook/step.ts'
import { type KubernetesObject, type KubernetesWriter, refOf, showRef } from './kubernetes.ts'
import { lacks } from './readiness.ts'

/** Looks, one a second, for which a definition may be about to be established; a server that is one of several takes five seconds. */
const patience = 10

/** Annotation by which a definition is changed, and nothing about it. */
const touched = 'recover/looked-at'

/**
 * Waits until a definition is established. An API server that was killed between accepting its names and establishing it
 * leaves it `Installing` and does not look again before the definition changes (seen of kube-apiserver 1.36): then it is
 * given an annotation, which is taken away at the end. Throws Fault `wait-timed-out` after two minutes.
 */
export async function untilEstablished(
  kubernetes: KubernetesWriter,
  definition: KubernetesObject,
  { wait, note }: Pick<Acting, 'wait' | 'note'>,
): Promise<void> {
  const ref = refOf(definition)
  const annotate = (value: string | null) =>
    kubernetes.patch(ref, { metadata: { annotations: { [touched]: value } } })
  let looks = 0
  await wait(
    `${showRef(ref)} to be established`,
    async () => {
      const live = await kubernetes.get(ref)
      if (live === undefined) return undefined
      if (lacks(live) === undefined) {
        if (live.metadata.annotations?.[touched] !== undefined) await annotate(null)
        return true
      }
      looks += 1
      if (looks % patience > 0 || !isInstalling(live)) return undefined
      if (looks === patience)
        note(
          `${showRef(ref)} was left half established by an API server that ended; it is changed so that it is looked at again`,
        )
      await annotate(String(looks))
      return undefined
    },
    { limit: '2m' },
  )
}

function isInstalling({ status }: KubernetesObject): boolean {
  const { conditions = [] } = (status ?? {}) as { conditions?: { type: string; reason?: string }[] }
  return conditions.some(c => c.type === 'Established' && c.reason === 'Installing')
}
