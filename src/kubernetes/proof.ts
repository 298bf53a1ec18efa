import { type KubernetesReader, type ObjectRef, showRef } from './kubernetes.ts'
import { lacks } from './readiness.ts'

/** An object that must be there, and what must be true of it. */
export interface Proof extends ObjectRef {
  /** Type of a condition that must be True. */
  condition?: string | undefined
  /** Key under which a Secret must hold something. */
  key?: string | undefined
}

interface Condition {
  type: string
  status: string
  reason?: string
  message?: string
}

/** What a proof still lacks, as a sentence's part that names the object; undefined when it is seen. */
export async function proofLacks(kubernetes: KubernetesReader, proof: Proof): Promise<string | undefined> {
  const shown = showRef(proof)
  const live = await kubernetes.get(proof)
  if (!live) return `${shown} is not there`
  if (proof.kind === 'Secret' && proof.apiVersion === 'v1') {
    const keys = Object.entries((live.data ?? {}) as Record<string, string>).flatMap(([k, v]) =>
      v ? [k] : [],
    )
    if (proof.key === undefined) return keys.length > 0 ? undefined : `${shown} is empty`
    return keys.includes(proof.key) ? undefined : `${shown} has nothing under ${proof.key}`
  }
  if (proof.condition !== undefined) {
    const { conditions } = (live.status ?? {}) as { conditions?: Condition[] }
    const found = conditions?.find(c => c.type === proof.condition)
    if (found?.status === 'True') return undefined
    const why = found?.message || found?.reason
    return `${shown} is not ${proof.condition}${why ? `: ${why}` : ''}`
  }
  const lack = lacks(live)
  return lack === undefined ? undefined : `${shown}: ${lack}`
}
