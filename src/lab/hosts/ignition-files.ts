import { gunzipSync } from 'node:zlib'
import type { FileModel } from './machine-state.ts'

/** The parts of a config that make files. */
interface Config {
  ignition?: { config?: { merge?: Resource[] } }
  storage?: { files?: { path: string; mode?: number; contents?: Resource }[] }
}

interface Resource {
  source?: string
  compression?: string | null
}

/** Files that an Ignition config writes; those of configs that lie inside it win, as in Ignition. */
export function filesOf(ignition: string): Record<string, FileModel> {
  const { ignition: head, storage } = JSON.parse(ignition) as Config
  const own = (storage?.files ?? []).map((file): [string, FileModel] => [
    file.path,
    { text: inside(file.contents ?? {}), mode: (file.mode ?? 0o644).toString(8).padStart(4, '0') },
  ])
  const merged = (head?.config?.merge ?? [])
    .map(inside)
    .filter(text => text !== '')
    .map(filesOf)
  return Object.assign(Object.fromEntries(own), ...merged)
}

/** What lies inside the config; nothing of what lies elsewhere. */
function inside({ source = '', compression }: Resource): string {
  const match = /^data:[^,]*?(;base64)?,(.*)$/s.exec(source)
  if (!match) return ''
  const bytes = Buffer.from(
    match[1] ? (match[2] ?? '') : decodeURIComponent(match[2] ?? ''),
    match[1] ? 'base64' : 'utf8',
  )
  return (compression === 'gzip' ? gunzipSync(bytes) : bytes).toString()
}
