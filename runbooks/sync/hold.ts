import { deliveryBy } from '../../src/gitops/delivery.ts'
import type { KubernetesReader, KubernetesWriter } from '../../src/kubernetes/kubernetes.ts'
import { refTo } from './bringers.ts'
import type { Bringer } from './moves.ts'

/** Says on an Application or Kustomization which run holds it: what somebody else held before stays held afterwards. */
const mark = 'recover.dev/held'

/** Those that are not held back yet. */
export async function looseOnes(all: readonly Bringer[], kubernetes: KubernetesReader): Promise<Bringer[]> {
  const loose: Bringer[] = []
  for (const one of all) {
    const live = await kubernetes.get(refTo(one))
    if (live && !deliveryBy(one.by).isHeld(live)) loose.push(one)
  }
  return loose
}

/** Those that this run holds back. */
export async function heldByUs(
  all: readonly Bringer[],
  kubernetes: KubernetesReader,
  run: string,
): Promise<Bringer[]> {
  const held: Bringer[] = []
  for (const one of all) {
    const live = await kubernetes.get(refTo(one))
    if (live?.metadata.annotations?.[mark] === run) held.push(one)
  }
  return held
}

/** Holds back what is loose; the mark and the note of whose it is are one write. */
export async function holdBack(
  all: readonly Bringer[],
  kubernetes: KubernetesWriter,
  run: string,
): Promise<void> {
  for (const one of await looseOnes(all, kubernetes))
    await kubernetes.patch(refTo(one), merged(deliveryBy(one.by).patches.hold, run))
}

/** Lets go what this run held back, and nothing else. */
export async function letGo(
  all: readonly Bringer[],
  kubernetes: KubernetesWriter,
  run: string,
): Promise<void> {
  for (const one of await heldByUs(all, kubernetes, run))
    await kubernetes.patch(refTo(one), merged(deliveryBy(one.by).patches.letGo, null))
}

function merged(patch: object, by: string | null): object {
  const { metadata, ...rest } = patch as { metadata?: { annotations?: object } }
  return { ...rest, metadata: { annotations: { ...metadata?.annotations, [mark]: by } } }
}
