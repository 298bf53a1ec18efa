import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { NasSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { dig, digList, isReady } from './controllers/context.ts'
import { volumesOf } from './controllers/pod-volumes.ts'
import type { ObjectStore } from './store.ts'
import type { Stored } from './stored.ts'

/** How a program in a container ended. */
export interface PodProgramEnd {
  exit: number
  stdout: string
  stderr: string
}

/** What a pod runs in. */
export interface PodSurroundings {
  store: ObjectStore
  nas: NasSeam
  world: World
}

/**
 * Carries out a command in a pod of the lab, which has no containers: a few words on the real files of its volumes, and
 * what the blueprint knows an answer to, as long as the pod found its data. Undefined for a program that is not there.
 */
export function runInPod(
  { store, nas, world }: PodSurroundings,
  pod: Stored,
  container: string,
  command: string[],
): PodProgramEnd | undefined {
  const folders = mountsOf(store, nas, pod, container)
  const real = carryOut(command, folders)
  if (real?.exit === 0) return real
  const known = (world.blueprint.answers ?? []).find(
    a => a.namespace === pod.metadata.namespace && JSON.stringify(a.command) === JSON.stringify(command),
  )
  if (!known) return real
  const anew = [...folders.values()].some(folder => existsSync(join(folder, 'initialised.txt')))
  return anew || !isReady(pod)
    ? ended(1, '', 'the application began anew: its data is not there\n')
    : ended(known.exit, known.stdout, '')
}

/** The few words that a pod of the lab knows; undefined for others. */
function carryOut([program, ...args]: string[], folders: Map<string, string>): PodProgramEnd | undefined {
  const place = (path = '') => {
    for (const [mount, folder] of folders)
      if (path === mount || path.startsWith(`${mount}/`)) return join(folder, path.slice(mount.length))
    return undefined
  }
  switch (program) {
    case 'true':
      return ended(0, '', '')
    case 'false':
      return ended(1, '', '')
    case 'echo':
      return ended(0, `${args.join(' ')}\n`, '')
    case 'cat': {
      const file = place(args[0])
      return file && existsSync(file) && statSync(file).isFile()
        ? ended(0, readFileSync(file, 'utf8'), '')
        : ended(1, '', `cat: can't open '${args[0]}': No such file or directory\n`)
    }
    case 'ls': {
      const folder = place(args[0])
      return folder && existsSync(folder)
        ? ended(0, `${readdirSync(folder).sort().join('\n')}\n`, '')
        : ended(1, '', `ls: ${args[0]}: No such file or directory\n`)
    }
    case 'test': {
      const file = place(args[1])
      const stat = file !== undefined && existsSync(file) ? statSync(file) : undefined
      const holds =
        stat !== undefined &&
        (args[0] === '-e' ||
          (args[0] === '-f' && stat.isFile()) ||
          (args[0] === '-d' && stat.isDirectory()) ||
          (args[0] === '-s' && stat.size > 0))
      return ended(holds ? 0 : 1, '', '')
    }
    default:
      return undefined
  }
}

/** Where a container's volumes are mounted, to the folders with their real files. */
function mountsOf(store: ObjectStore, nas: NasSeam, pod: Stored, container: string): Map<string, string> {
  const handles = new Map(volumesOf(store, pod).map(v => [v.claim, v.handle]))
  const mounts = digList(pod, 'spec', 'containers').find(c => c.name === container)
  return new Map(
    digList(mounts, 'volumeMounts').flatMap(mount => {
      const volume = digList(pod, 'spec', 'volumes').find(v => v.name === mount.name)
      const handle = handles.get(dig<string>(volume, 'persistentVolumeClaim', 'claimName') ?? '')
      return handle === undefined ? [] : [[String(mount.mountPath), nas.filesOf(handle)] as const]
    }),
  )
}

function ended(exit: number, stdout: string, stderr: string): PodProgramEnd {
  return { exit, stdout, stderr }
}
