import { bytesOf, textOfBytes } from './byte-text.ts'
import type { ButaneMessage } from './messages.ts'
import { isSpace } from './unit-file.ts'

/** How many lines are shown before and behind the one that is meant. */
const surroundings = 2

/** Messages as Butane 0.29 prints them, with the lines that they are about; every one ends with a line feed. */
export function showMessages(messages: readonly ButaneMessage[], source: string, text: string): string {
  // Columns count characters, and the underline counts bytes, there as here.
  const lines = text.split('\n').map(line => bytesOf(line))
  return messages.map(message => showMessage(message, source, lines)).join('\n')
}

function showMessage(message: ButaneMessage, source: string, lines: Buffer[]): string {
  const { severity, path, line, column, text } = message
  const named = path === '$' ? '' : path
  if (line === undefined || column === undefined)
    return `${severity}${named === '' ? '' : ` at ${named}`}: ${text}\n`
  const shown = lines[line - 1]
  if (shown === undefined || column > shown.length) {
    const where = [named, `line ${line} col ${column}`].filter(w => w !== '').join(', ')
    return `${severity} at ${where}: ${text}\n`
  }
  const last = Math.min(lines.length, line + surroundings)
  const width = String(last).length
  const margin = ` ${' '.repeat(width)} |`
  const out = [`${severity}${named === '' ? '' : `[${named}]`}:`, `  --> ${source}:${line}:${column}`, margin]
  for (let n = Math.max(1, line - surroundings); n <= last; n++) {
    out.push(` ${String(n).padStart(width)} | ${textOfBytes(lines[n - 1]!)}`)
    if (n === line)
      out.push(`${margin} ${' '.repeat(column - 1)}${'^'.repeat(wordLength(shown, column - 1))} ${text}`)
  }
  return `${[...out, margin].join('\n')}\n`
}

function wordLength(line: Buffer, from: number): number {
  const rest = textOfBytes(line.subarray(from))
  for (let i = 0; i < rest.length; i++) if (isSpace(rest[i]!)) return bytesOf(rest.slice(0, i)).length
  return line.length - from
}
