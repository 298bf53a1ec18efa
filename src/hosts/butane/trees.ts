import type { Stats } from 'node:fs'
import { dataUrlOf } from './data-url.ts'
import { type Entry, notesInto } from './entries.ts'
import { joinPath } from './go-path.ts'
import { emptyStruct, isZero, type StructValue } from './go-types.ts'
import { LocalFileFault, type LocalFiles, linkTarget, noFilesDir, walk } from './local-files.ts'
import type { Compiled } from './merge.ts'
import type { Path } from './places.ts'
import type { Spec } from './specs.ts'

type Kind = 'files' | 'directories' | 'links'

const typeOfKind = { files: 'File', directories: 'Directory', links: 'Link' } as const

/** What a tree or a quadlet finds where it wants to put something of its own. */
export const nodeExists = 'matching filesystem node has existing contents or different type'

/** The files, directories and links of a config by their path, and room for more. */
export class Nodes {
  private readonly compiled: Compiled
  private readonly spec: Spec
  private readonly indices: Record<Kind, Map<string, number>>

  constructor(compiled: Compiled, spec: Spec) {
    this.compiled = compiled
    this.spec = spec
    const indexOf = (kind: Kind) => new Map(this.list(kind).map((n, i) => [n.path as string, i]))
    this.indices = { files: indexOf('files'), directories: indexOf('directories'), links: indexOf('links') }
  }

  /** Whether anything of any kind is at the path. */
  has(path: string): boolean {
    return Object.values(this.indices).some(map => map.has(path))
  }

  /** What of this kind is at the path, and its index. */
  get(kind: Kind, path: string): { node: StructValue; index: number } | undefined {
    const index = this.indices[kind].get(path)
    return index === undefined ? undefined : { node: this.list(kind)[index]!, index }
  }

  /** Adds one that came from a place of the source. */
  add(kind: Kind, given: StructValue & { path: string }, from: Path): { node: StructValue; index: number } {
    const type = this.spec.types(typeOfKind[kind])
    const node: StructValue = { ...emptyStruct(type), ...given }
    const list = this.list(kind)
    const index = list.length
    list.push(node)
    ;(this.compiled.config.storage as StructValue)[kind] = list
    this.indices[kind].set(given.path, index)
    const { translations } = this.compiled
    translations.addAll(from, ['storage', kind, index], type, node)
    if (index === 0) translations.add(from, ['storage', kind])
    return { node, index }
  }

  private list(kind: Kind): StructValue[] {
    return ((this.compiled.config.storage as StructValue)[kind] as StructValue[] | undefined) ?? []
  }
}

/** Adds the files and links of every tree. What the config has at their paths already is filled, if it is empty. */
export function addTrees(
  source: StructValue,
  spec: Spec,
  compiled: Compiled,
  files: LocalFiles,
  report: Entry[],
): void {
  const trees = ((source.storage as StructValue).trees as StructValue[] | undefined) ?? []
  const notes = notesInto(report, 'source')
  const nodes = new Nodes(compiled, spec)
  for (const [i, tree] of trees.entries()) {
    const path = ['storage', 'trees', i]
    if (!files.there) {
      notes.error(path, noFilesDir)
      return
    }
    let root: string
    try {
      root = files.treeRoot(tree.local as string)
    } catch (error) {
      if (!(error instanceof LocalFileFault)) throw error
      notes.error(path, error.message)
      continue
    }
    for (const found of walk(root)) {
      if (found.fault !== undefined) {
        notes.error(path, found.fault)
        continue
      }
      try {
        addNode(new TreePart(tree, root, path), found.path, found.stats, { nodes, spec, compiled, files })
      } catch (error) {
        if (!(error instanceof LocalFileFault)) throw error
        notes.error(path, error.message)
      }
    }
  }
}

/** One tree, and where its parts go. */
class TreePart {
  readonly tree: StructValue
  readonly path: Path
  private readonly root: string

  constructor(tree: StructValue, root: string, path: Path) {
    this.tree = tree
    this.root = root
    this.path = path
  }

  destination(place: string): string {
    const top = this.tree.path as string | undefined
    const relative = place === this.root ? '.' : place.slice(this.root === '/' ? 1 : this.root.length + 1)
    const below = this.root === '.' && place !== '.' ? place : relative
    return joinPath(top === undefined || top === '' ? '/' : top, below)
  }
}

interface Surroundings {
  nodes: Nodes
  spec: Spec
  compiled: Compiled
  files: LocalFiles
}

function addNode(
  part: TreePart,
  place: string,
  stats: Stats,
  { nodes, spec, compiled, files }: Surroundings,
): void {
  const { tree, path } = part
  const destination = part.destination(place)
  const owner = ownerOf(tree, spec)
  if (stats.isDirectory()) {
    if (tree.dir_mode === undefined && owner === undefined) return
    if (nodes.has(destination)) throw new LocalFileFault(nodeExists)
    const mode = (tree.dir_mode as number | undefined) ?? 0o755
    nodes.add('directories', { path: destination, mode, ...owner }, path)
  } else if (stats.isFile()) {
    const known = nodes.get('files', destination)
    const contents = known?.node.contents as StructValue | undefined
    if (known ? !['', undefined].includes(contents?.source as string | undefined) : nodes.has(destination))
      throw new LocalFileFault(nodeExists)
    const { node, index } = known ?? nodes.add('files', { path: destination, ...owner }, path)
    const to = ['storage', 'files', index]
    const target = node.contents as StructValue
    const { url, compression } = dataUrlOf(files.contentsAt(place), target.compression as string | undefined)
    target.source = url
    compiled.translations.add(path, [...to, 'contents', 'source'])
    if (compression !== undefined) {
      target.compression = compression
      compiled.translations.add(path, [...to, 'contents', 'compression'])
    }
    compiled.translations.add(path, [...to, 'contents'])
    if (node.mode === undefined) {
      node.mode = (tree.file_mode as number | undefined) ?? ((stats.mode & 0o111) === 0 ? 0o644 : 0o755)
      compiled.translations.add(path, [...to, 'mode'])
    }
  } else if (stats.isSymbolicLink()) {
    const known = nodes.get('links', destination)
    if (known ? !['', undefined].includes(known.node.target as string | undefined) : nodes.has(destination))
      throw new LocalFileFault(nodeExists)
    const { node, index } = known ?? nodes.add('links', { path: destination, ...owner }, path)
    node.target = linkTarget(place)
    compiled.translations.add(path, ['storage', 'links', index, 'target'])
  } else throw new LocalFileFault('trees may only contain files, directories, and symlinks')
}

/** The user and group that a tree gives to what is in it; undefined where it names none. */
function ownerOf(tree: StructValue, spec: Spec): StructValue | undefined {
  if (tree.user === undefined) return undefined
  const user = tree.user as StructValue
  const group = tree.group as StructValue
  const type = spec.types('NodeUser')
  if (isZero(type, user) && isZero(type, group)) return undefined
  return { user: { ...user }, group: { ...group } }
}
