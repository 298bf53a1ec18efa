import { posix } from 'node:path'

/** The shortest name of the same path: no `.`, no `..` that can go, no slash at the end; `.` for nothing. */
export function cleanPath(path: string): string {
  if (path === '') return '.'
  const normal = posix.normalize(path)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}

/** Parts put together and cleaned; empty parts do not count. */
export function joinPath(...parts: string[]): string {
  const there = parts.filter(p => p !== '')
  return there.length === 0 ? '' : cleanPath(there.join('/'))
}

/** What follows the last dot of the last element, with the dot. */
export function extensionOf(path: string): string {
  const last = path.slice(path.lastIndexOf('/') + 1)
  const dot = last.lastIndexOf('.')
  return dot < 0 ? '' : last.slice(dot)
}
