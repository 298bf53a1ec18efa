import type { Nodes, PodProgramEnd } from '../nodes/nodes.ts'
import type { World } from '../world.ts'
import { dig, digList, isReady } from './controllers/context.ts'
import { volumesOf } from './controllers/pod-volumes.ts'
import type { ObjectStore } from './store.ts'
import type { Stored } from './stored.ts'

/** What a pod runs in. */
export interface PodSurroundings {
  store: ObjectStore
  nodes: Nodes
  world: World
}

/**
 * Carries out a command in a pod of the lab, which has no containers: a few words on the real files of its volumes, and
 * what the blueprint knows an answer to, as long as the pod found its data. Undefined for a program that is not there.
 */
export async function runInPod(
  { store, nodes, world }: PodSurroundings,
  pod: Stored,
  container: string,
  command: string[],
): Promise<PodProgramEnd | undefined> {
  const mounts = mountsOf(store, pod, container)
  const real = await nodes.exec(command, mounts)
  if (real?.exit === 0) return real
  const known = (world.blueprint.answers ?? []).find(
    a => a.namespace === pod.metadata.namespace && JSON.stringify(a.command) === JSON.stringify(command),
  )
  if (!known) return real
  const looks = Object.keys(mounts).map(path => nodes.exec(['test', '-e', `${path}/initialised.txt`], mounts))
  const anew = (await Promise.all(looks)).some(look => look?.exit === 0)
  return anew || !isReady(pod)
    ? { exit: 1, stdout: '', stderr: 'the application began anew: its data is not there\n' }
    : { exit: known.exit, stdout: known.stdout, stderr: '' }
}

/** Where a container's volumes are mounted, to their handles. */
function mountsOf(store: ObjectStore, pod: Stored, container: string): Record<string, string> {
  const handles = new Map(volumesOf(store, pod).map(v => [v.claim, v.handle]))
  const mounts = digList(pod, 'spec', 'containers').find(c => c.name === container)
  return Object.fromEntries(
    digList(mounts, 'volumeMounts').flatMap(mount => {
      const volume = digList(pod, 'spec', 'volumes').find(v => v.name === mount.name)
      const handle = handles.get(dig<string>(volume, 'persistentVolumeClaim', 'claimName') ?? '')
      return handle === undefined ? [] : [[String(mount.mountPath), handle] as const]
    }),
  )
}
