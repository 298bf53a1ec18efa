import type { FileModel } from './machine-state.ts'

/** Files that an Ignition config writes. */
export function filesOf(ignition: string): Record<string, FileModel> {
  const config = JSON.parse(ignition) as {
    storage?: { files?: { path: string; mode?: number; contents?: { source?: string } }[] }
  }
  return Object.fromEntries(
    (config.storage?.files ?? []).map(file => [
      file.path,
      {
        text: dataUrl(file.contents?.source ?? ''),
        mode: (file.mode ?? 0o644).toString(8).padStart(4, '0'),
      },
    ]),
  )
}

function dataUrl(source: string): string {
  const match = /^data:[^,]*?(;base64)?,(.*)$/s.exec(source)
  if (!match) return ''
  return match[1] ? Buffer.from(match[2] ?? '', 'base64').toString() : decodeURIComponent(match[2] ?? '')
}
