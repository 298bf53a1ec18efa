import { readdirSync, readFileSync } from 'node:fs'
import { dirname, extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Root of this repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

const notOurs = new Set(['node_modules', 'dist', 'coverage', '.git', '.recover'])

/** Every file of ours below `folders`, as paths relative to `top` with `/`, sorted. */
export function filesBelow(top: string, folders: readonly string[] = ['.']): string[] {
  const found: string[] = []
  const walk = (folder: string) => {
    for (const entry of readdirSync(join(top, folder), { withFileTypes: true })) {
      if (notOurs.has(entry.name)) continue
      const path = normalize(join(folder, entry.name)).replaceAll('\\', '/')
      if (entry.isDirectory()) walk(path)
      else if (entry.isFile()) found.push(path)
    }
  }
  for (const folder of folders) walk(folder)
  return found.sort()
}

/** The program's own source: what is typed, what is known and what does it. */
export function sourceFiles(top: string, folders = ['commands', 'runbooks', 'src', 'bin']): string[] {
  return filesBelow(top, folders).filter(path => ['.ts', '.js', '.mjs'].includes(extname(path)))
}

/** The text of a file of ours. */
export function textOf(top: string, path: string): string {
  return readFileSync(join(top, path), 'utf8')
}

/** The smallest parts of a TypeScript text. Comments are kept, blanks are not. */
export interface Token {
  kind: 'word' | 'string' | 'template' | 'pattern' | 'sign' | 'comment'
  /** As written; of a string what it says; of a template what it says with `…` for each computed part. */
  text: string
  line: number
}

/** Words after which a `/` begins a regular expression, not a division. */
const beforeOperand = new Set(['return', 'typeof', 'case', 'in', 'of', 'void', 'throw', 'new', 'await', 'do'])

/** Takes a TypeScript text apart. Knows no grammar: enough to tell code from strings and comments. */
export function tokens(text: string): Token[] {
  const found: Token[] = []
  let at = 0
  let line = 1
  const take = (kind: Token['kind'], end: number, says = text.slice(at, end)) => {
    found.push({ kind, text: says, line })
    for (; at < end; at += 1) if (text[at] === '\n') line += 1
  }
  while (at < text.length) {
    const c = text[at]!
    const rest = text.slice(at, at + 2)
    if (/\s/.test(c)) {
      if (c === '\n') line += 1
      at += 1
    } else if (rest === '//') take('comment', endOf(text, '\n', at))
    else if (rest === '/*') take('comment', endOf(text, '*/', at) + 2)
    else if (c === "'" || c === '"') {
      const end = endOfString(text, at)
      take('string', end, unescaped(text.slice(at + 1, end - 1)))
    } else if (c === '`') {
      const { end, says } = template(text, at)
      take('template', end, says)
    } else if (c === '/' && operandMayCome(found)) take('pattern', endOfPattern(text, at))
    else if (/[\w$#\u0080-\uffff]/.test(c)) {
      let end = at + 1
      while (end < text.length && /[\w$\u0080-\uffff]/.test(text[end]!)) end += 1
      take('word', end)
    } else if (['??', '?.', '=>'].includes(rest)) take('sign', at + 2)
    else take('sign', at + 1)
  }
  return found
}

function operandMayCome(before: readonly Token[]): boolean {
  const last = before.findLast(t => t.kind !== 'comment')
  if (!last) return true
  if (last.kind === 'word') return beforeOperand.has(last.text)
  return last.kind === 'sign' && ![')', ']', '}'].includes(last.text)
}

function endOf(text: string, mark: string, from: number): number {
  const end = text.indexOf(mark, from)
  return end === -1 ? text.length : end
}

function endOfString(text: string, from: number): number {
  let at = from + 1
  while (at < text.length && text[at] !== text[from]) at += text[at] === '\\' ? 2 : 1
  return at + 1
}

function endOfPattern(text: string, from: number): number {
  let inClass = false
  let at = from + 1
  for (; at < text.length && (inClass || text[at] !== '/'); at += 1) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '[') inClass = true
    else if (text[at] === ']') inClass = false
  }
  at += 1
  while (/[a-z]/.test(text[at] ?? '')) at += 1
  return at
}

/** Where a template ends and what it says; computed parts may hold strings and templates themselves. */
function template(text: string, from: number): { end: number; says: string } {
  let at = from + 1
  let says = ''
  while (at < text.length && text[at] !== '`') {
    if (text[at] === '\\') {
      says += unescaped(text.slice(at, at + 2))
      at += 2
    } else if (text.startsWith('${', at)) {
      says += '…'
      at = endOfComputed(text, at + 2)
    } else {
      says += text[at]
      at += 1
    }
  }
  return { end: at + 1, says }
}

function endOfComputed(text: string, from: number): number {
  let depth = 1
  let at = from
  while (at < text.length && depth > 0) {
    const c = text[at]!
    if (c === "'" || c === '"') at = endOfString(text, at)
    else if (c === '`') at = template(text, at).end
    else {
      if (c === '{') depth += 1
      else if (c === '}') depth -= 1
      at += 1
    }
  }
  return at
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, (_, c: string) => (c === 'n' ? '\n' : c))
}

/** One way in which a file reaches another, or a package. */
export interface Import {
  /** `place` is a path made with `new URL('./main.js', import.meta.url)`. */
  kind: 'static' | 'types' | 'dynamic' | 'place'
  /** A path relative to the root as it lies in the source, a package's name, or `node:…`; undefined where it is computed. */
  to: string | undefined
  line: number
}

/** Everything that a file imports, re-exports or names by its place. */
export function importsOf(top: string, path: string): Import[] {
  const all = tokens(textOf(top, path)).filter(t => t.kind !== 'comment')
  const found: Import[] = []
  const add = (kind: Import['kind'], target: Token) =>
    found.push({ kind, to: resolved(path, target.text), line: target.line })
  let types = false
  for (const [i, token] of all.entries()) {
    const next = all[i + 1]
    const before = all[i - 1]
    if (token.kind !== 'word' || before?.text === '.') continue
    if (token.text === 'import' || token.text === 'export') types = next?.text === 'type'
    if (token.text === 'from' && next?.kind === 'string') add(types ? 'types' : 'static', next)
    if (token.text === 'import' && next?.kind === 'string') add('static', next)
    if (token.text === 'import' && next?.text === '(') {
      const target = all[i + 2]
      // `typeof import('x')` and `import('x').Type` are types; only the first is used here.
      const kind = before?.text === 'typeof' ? 'types' : 'dynamic'
      if (target?.kind === 'string') add(kind, target)
      else found.push({ kind, to: undefined, line: token.line })
    }
    const place = all[i + 2]
    if (
      token.text === 'URL' &&
      next?.text === '(' &&
      place?.kind === 'string' &&
      /^\.\.?\/.*\.[jt]s$/.test(place.text)
    )
      add('place', place)
  }
  return found
}

function resolved(from: string, target: string): string {
  if (target.startsWith('.'))
    return normalize(join(dirname(from), target))
      .replaceAll('\\', '/')
      .replace(/^((?:src|runbooks|commands|test)\/.*)\.js$/, '$1.ts')
  if (target.startsWith('node:')) return target
  const parts = target.split('/')
  return target.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? target)
}
