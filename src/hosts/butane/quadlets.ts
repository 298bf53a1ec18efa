import { bytesOf } from './byte-text.ts'
import { dataUrlOf } from './data-url.ts'
import { type Entry, notesInto } from './entries.ts'
import { joinPath } from './go-path.ts'
import type { StructValue } from './go-types.ts'
import { LocalFileFault, type LocalFiles } from './local-files.ts'
import type { Compiled } from './merge.ts'
import type { Path } from './places.ts'
import type { Spec } from './specs.ts'
import { Nodes, nodeExists } from './trees.ts'

/** Adds the files of containers that systemd starts through Podman, and links for instances of templates. */
export function addQuadlets(
  source: StructValue,
  spec: Spec,
  compiled: Compiled,
  files: LocalFiles,
  report: Entry[],
): void {
  const quadlets = ((source.systemd as StructValue).quadlets as StructValue[] | undefined) ?? []
  if (quadlets.length === 0) return
  const notes = notesInto(report, 'source')
  const nodes = new Nodes(compiled, spec)
  const from: Path = ['systemd', 'quadlets']
  compiled.translations.add(from, ['storage'])
  for (const [i, quadlet] of quadlets.entries()) {
    const path = [...from, i]
    const name = quadlet.name as string
    const folder = quadlet.rootful === true ? '/etc/containers/systemd' : '/etc/containers/systemd/users'
    const destination = joinPath(folder, name)
    const template = templateOf(name)
    const parts: [given: StructValue, to: string, from: Path][] = [
      ...(template === undefined ? [[quadlet, destination, path] as [StructValue, string, Path]] : []),
      ...((quadlet.dropins as StructValue[] | undefined) ?? []).map(
        (dropin, j): [StructValue, string, Path] => [
          dropin,
          `${destination}.d/${dropin.name}`,
          [...path, 'dropins', j],
        ],
      ),
    ]
    if (template !== undefined) {
      if (nodes.has(destination)) notes.error(path, nodeExists)
      else {
        const { index } = nodes.add('links', { path: destination, target: template }, path)
        compiled.translations.add([...path, 'name'], ['storage', 'links', index, 'path'])
      }
    }
    for (const [given, to, place] of parts) {
      try {
        addFile(given, to, place, { nodes, compiled, files })
      } catch (error) {
        if (!(error instanceof LocalFileFault)) throw error
        notes.error((error.cause as Path | undefined) ?? place, error.message)
      }
    }
  }
}

/** `foo@.container` for the instance `foo@bar.container`; undefined for what is no instance. */
export function templateOf(name: string): string | undefined {
  const at = name.indexOf('@')
  const dot = name.lastIndexOf('.')
  if (at < 0 || dot < 0 || at + 1 === dot) return undefined
  return `${name.slice(0, at)}@.${name.slice(dot + 1)}`
}

function addFile(
  given: StructValue,
  destination: string,
  path: Path,
  { nodes, compiled, files }: { nodes: Nodes; compiled: Compiled; files: LocalFiles },
): void {
  if (nodes.has(destination)) throw new LocalFileFault(nodeExists)
  const { node, index } = nodes.add('files', { path: destination }, path)
  const to = ['storage', 'files', index]
  compiled.translations.add([...path, 'name'], [...to, 'path'])
  const inline = given.contents as string | undefined
  const local = given.contents_local as string | undefined
  let from: Path = []
  let contents: Buffer = Buffer.alloc(0)
  if (local !== undefined && local !== '') {
    from = [...path, 'contents_local']
    try {
      contents = files.contents(local)
    } catch (error) {
      if (error instanceof LocalFileFault) throw new LocalFileFault(error.message, { cause: from })
      throw error
    }
  }
  if (inline !== undefined && inline !== '') {
    from = [...path, 'contents']
    contents = bytesOf(inline)
  }
  const target = node.contents as StructValue
  const { url, compression } = dataUrlOf(contents, undefined)
  target.source = url
  target.compression = compression
  node.mode = 0o644
  compiled.translations.add(from, [...to, 'contents', 'source'])
  compiled.translations.add(path, [...to, 'contents', 'compression'])
  compiled.translations.add(from, [...to, 'contents'])
  compiled.translations.add(path, [...to, 'mode'])
}
