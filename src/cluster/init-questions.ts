import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  parse,
  parseDocument,
  type Scalar,
} from 'yaml'
import { Fault } from '../runbook/fault.ts'
import { nearest } from './nearest.ts'
import { parseYaml } from './yaml-file.ts'

/**
 * A value that the person's files give, with why it is believed; or the question that they leave open. What stands
 * behind a line break in a question is a command: it keeps a line of its own, to be copied.
 */
export type Finding = { value: string; why?: string } | { question: string }

const width = 110

/** Lines of a cluster file in the making, with its comments and questions. */
export interface Page {
  /** A comment of its own, broken at blanks; what follows a line break is kept as it is. */
  comment(indent: number, text: string): void
  /** A comment line kept as it is. */
  row(indent: number, text: string): void
  /** `key:`, to be followed by what it holds. */
  open(indent: number, key: string): void
  /** `key: value`, the value given as YAML, with a comment behind it or, when that is too long, before it. */
  put(indent: number, key: string, yaml: string, why?: string): void
  /** A value that was found, or its question. `first`: it begins its map, where only a comment behind is its own. */
  find(indent: number, key: string, finding: Finding, first?: 'first'): void
  /** `- value`, given as YAML. */
  item(indent: number, yaml: string): void
  text(): string
}

/** An empty page. Everything that comes from the person's files is quoted or, in comments, kept on its line. */
export function newPage(): Page {
  const lines: string[] = []
  const pad = (indent: number) => ' '.repeat(indent)
  const page: Page = {
    comment(indent, text) {
      const [words = '', ...commands] = text.split('\n')
      for (const line of [...broken(oneLine(words), width - indent - 2), ...commands.map(oneLine)])
        lines.push(`${pad(indent)}# ${line}`)
    },
    row(indent, text) {
      lines.push(`${pad(indent)}# ${oneLine(text)}`)
    },
    open(indent, key) {
      lines.push(`${pad(indent)}${yamlScalar(key)}:`)
    },
    put(indent, key, yaml, why) {
      const line = `${pad(indent)}${yamlScalar(key)}: ${yaml}`
      if (why !== undefined && !why.includes('\n') && `${line} # ${oneLine(why)}`.length <= width) {
        lines.push(`${line} # ${oneLine(why)}`)
        return
      }
      if (why !== undefined) page.comment(indent, why)
      lines.push(line)
    },
    find(indent, key, finding, first) {
      if ('value' in finding) page.put(indent, key, yamlScalar(finding.value), finding.why)
      else if (first) lines.push(`${pad(indent)}${key}: "?" # QUESTION: ${oneLine(finding.question)}`)
      else page.put(indent, key, '"?"', `QUESTION: ${finding.question}`)
    },
    item(indent, yaml) {
      lines.push(`${pad(indent)}- ${yaml}`)
    },
    text: () => `${lines.join('\n')}\n`,
  }
  return page
}

/** Text from somebody's file without what would end a line or speak to a terminal. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]+/g, ' ')
}

function broken(text: string, columns: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= columns)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** Something that no file answers: a scalar `"?"` in recover.yaml. */
export interface Question {
  /** Dotted: `hosts.lithium.disk.serial`. */
  path: string
  /** The comment beside it: why it is asked and how to find out. */
  question: string
  /** `recover.yaml:14:5`. */
  at: string
}

/** The open questions of a cluster file's text, in its order, with the same words as loading it would report. */
export function questionsOf(text: string, shown: string): Question[] {
  const [document] = parseYaml(text, shown)
  if (!document) return []
  return openScalars(parseDocument(text)).map(({ path }) => ({
    path: path.join('.'),
    question: document.comment(path).replace(/^QUESTION:\s*/, '') || 'not answered yet',
    at: document.at(path),
  }))
}

/**
 * Puts answers in the place of open questions and leaves every other character of the text alone.
 * Throws Fault `init-no-such-question` when a path is no open question.
 * @param answers dotted path of a question to its answer, always a string in the result
 */
export function answer(text: string, answers: Record<string, string>): string {
  const open = new Map(openScalars(parseDocument(text)).map(q => [q.path.join('.'), q.scalar]))
  const replacements = Object.entries(answers).map(([path, value]) => {
    const range = open.get(path)?.range
    if (range) return { from: range[0], to: range[1], value }
    const meant = nearest(path, [...open.keys()])
    throw new Fault({
      code: 'init-no-such-question',
      blame: 'operator',
      message: `${path} is no open question of this cluster file`,
      remedy: meant
        ? `Did you mean ${meant}?`
        : open.size > 0
          ? `Open are: ${[...open.keys()].join(', ')}`
          : 'No question is open; edit the file to change what it says',
    })
  })
  // From behind, so that the places in front stay where they are.
  replacements.sort((a, b) => b.from - a.from)
  return replacements.reduce(
    (done, { from, to, value }) => done.slice(0, from) + yamlScalar(value) + done.slice(to),
    text,
  )
}

/** Answers as typed, `path=value` each. Throws Fault `init-answer-malformed`. */
export function parseAnswers(typed: string[]): Record<string, string> {
  return Object.fromEntries(
    typed.map(text => {
      const [, path, value] = /^([^=]+)=(.+)$/s.exec(text) ?? []
      if (path !== undefined && value !== undefined) return [path, value]
      throw new Fault({
        code: 'init-answer-malformed',
        blame: 'operator',
        message: `${JSON.stringify(text)} is no answer`,
        remedy: 'Write --answer PATH=VALUE, as in --answer hosts.lithium.disk.serial=S4EVNX0M123456',
      })
    }),
  )
}

function openScalars(document: Document): { path: PropertyKey[]; scalar: Scalar }[] {
  const walk = (node: unknown, path: PropertyKey[]): { path: PropertyKey[]; scalar: Scalar }[] => {
    if (!isNode(node) || isAlias(node)) return []
    if (isMap(node))
      return node.items.flatMap(({ key, value }) =>
        walk(value, [...path, String(isScalar(key) ? key.value : key)]),
      )
    if (isSeq(node)) return node.items.flatMap((item, i) => walk(item, [...path, i]))
    return isScalar(node) && node.value === '?' ? [{ path, scalar: node }] : []
  }
  return walk(document.contents, [])
}

/**
 * A string as a YAML scalar on one line that reads back as exactly this string, in a block or a flow collection, by
 * YAML 1.1 too (where `no` is a boolean and `1:30` a number).
 */
export function yamlScalar(text: string): string {
  const plain =
    /^[A-Za-z0-9./][\w./:@%+*-]*$/.test(text) &&
    !text.endsWith(':') &&
    !/^(y|n|yes|no|on|off)$/i.test(text) &&
    !/^[\d.]+:|::/.test(text) &&
    readsBack(text)
  return plain ? text : JSON.stringify(text)
}

function readsBack(text: string): boolean {
  try {
    return parse(text) === text && parse(text, { version: '1.1' }) === text
  } catch {
    return false
  }
}
