import type { NasSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { FolderNodes } from './folder-nodes.ts'
import type { Nodes } from './nodes.ts'

/** What a world's machines do with disks: really, where there is a real machine for it. */
export async function openNodes(world: World, nas: NasSeam): Promise<Nodes> {
  const { node, nas: disks } = world.blueprint
  if (!node) return new FolderNodes(world, nas)
  if (disks.portal === undefined || (disks.shares ?? []).length > 0)
    throw new Error('a real node mounts real LUNs alone: this world has no portal for them, or shares')
  const { RealNode } = await import('./real-node.ts')
  return new RealNode(node.command, disks.portal, nas, world.path('nodes.log')).open()
}
