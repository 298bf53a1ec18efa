import type { Path } from './places.ts'

/** Something to say of a place, before it is known where in the text that place is. */
export interface Entry {
  severity: 'error' | 'warning'
  text: string
  path: Path
  /** Whether the path is one of the source or one of the compiled config. */
  of: 'source' | 'compiled'
}

/** Takes down what is wrong. */
export interface Notes {
  error(path: Path, text: string | undefined): void
  warning(path: Path, text: string | undefined): void
}

/** Notes that end up in a list; texts that are undefined say nothing. */
export function notesInto(list: Entry[], of: Entry['of']): Notes {
  const add = (severity: Entry['severity']) => (path: Path, text: string | undefined) => {
    if (text !== undefined) list.push({ severity, text, path, of })
  }
  return { error: add('error'), warning: add('warning') }
}

/** Whether one of them is an error. */
export function isFatal(list: readonly Entry[]): boolean {
  return list.some(e => e.severity === 'error')
}
