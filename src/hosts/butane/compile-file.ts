import { readFileSync } from 'node:fs'
import { textOfBytes } from './byte-text.ts'
import { compileButane } from './compile.ts'
import { type Danger, dangersOf } from './dangers.ts'
import { indentJson } from './ignition-json.ts'
import { wordsOf } from './local-files.ts'
import type { ButaneOptions, ButaneResult } from './messages.ts'

export interface CompiledFile extends ButaneResult {
  /** What Butane passes over in silence. */
  dangers: Danger[]
}

/** What Butane calls its standard input. */
const stdin = '<stdin>'

/**
 * Compiles a file as the program `butane` does: reads it, compiles it, and has every message ready to print. A file that
 * cannot be read ends as any other failure, in Butane's words.
 * @param path of the file; `-` for standard input.
 * @param options.pretty the config over several lines.
 */
export function compileButaneFile(
  path: string,
  { pretty, ...options }: Omit<ButaneOptions, 'source'> & { pretty?: boolean },
): CompiledFile {
  const source = path === '-' ? stdin : path
  let text: string
  try {
    text = textOfBytes(readFileSync(path === '-' ? 0 : path))
  } catch (error) {
    const folder = (error as NodeJS.ErrnoException).code === 'EISDIR'
    const what = folder ? 'read' : 'open'
    const report = `failed to ${what} ${source}: ${wordsOf(error, source, what)}`
    const messages = [{ severity: 'error' as const, path: '$', text: report }]
    return { text: '', messages, report, localFiles: [], exitCode: 1, dangers: [] }
  }
  const result = compileButane(text, { ...options, source })
  const dangers = dangersOf(text, result, {
    source,
    ...(options.filesDir === undefined ? {} : { filesDir: options.filesDir }),
  })
  return { ...result, text: pretty ? indentJson(result.text) : result.text, dangers }
}
