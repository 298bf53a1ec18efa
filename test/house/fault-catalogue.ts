import { exitCodeOf, exitCodeOfFailures, exitCodes } from '../../src/cli/exit-codes.ts'
import { type Blame, Fault } from '../../src/runbook/fault.ts'
import { sourceFiles, type Token, textOf, tokens } from './source.ts'

/** One place in the source that makes a coded error. Texts have `…` where something is computed. */
export interface FaultSite {
  code: string
  blames: Blame[]
  messages: string[]
  remedies: string[]
  file: string
  line: number
  /** `step`: a step that cannot go on (`blocked`); `fault`: thrown. */
  by: 'fault' | 'step'
}

/** A place whose code cannot be read from the source. */
export interface Unreadable {
  file: string
  line: number
  /** How it writes the code. */
  written: string
}

export interface Catalogue {
  sites: FaultSite[]
  unreadable: Unreadable[]
}

/** Places that hand on a code which another place has given: the file, and how it writes the code. */
const handsOn = new Set([
  'runbooks/preflight/findings.ts first.code',
  'runbooks/preflight/findings.ts fault.code',
  'src/runbook/not-done.ts seen.code',
  'src/runbook/fault.ts this.code',
  'src/runbook/make-plan.ts code',
  // done() is given warnings whole.
  'src/runbook/step.ts code',
  // diagnosis.ts gives the code.
  'runbooks/applications/well.ts ',
  // prove-system.ts gives the code.
  'runbooks/hosts/install-flatcar.ts wrong.code',
  // explain() gives its stop() the code.
  'src/secrets/onepassword.ts ',
])

/** Codes that are computed, which reading the source as text cannot find. */
const computed: Omit<FaultSite, 'line'>[] = [
  {
    code: 'cluster-file-invalid',
    blames: ['operator'],
    messages: ['… cannot be used as it is: …'],
    remedies: ['Mend each place; nothing was changed'],
    file: 'src/cluster/problem.ts',
    by: 'fault',
  },
  {
    code: 'questions-open',
    blames: ['operator'],
    messages: ['… still has … open questions: …'],
    remedies: ['Answer each where it stands; the comment beside it says how to find out'],
    file: 'src/cluster/problem.ts',
    by: 'fault',
  },
]

/** Every coded error of the program, read from its source. */
export function catalogueOf(top: string): Catalogue {
  const sites: FaultSite[] = computed.map(site => ({ ...site, line: 0 }))
  const unreadable: Unreadable[] = []
  for (const file of sourceFiles(top, ['commands', 'runbooks', 'src'])) {
    const all = tokens(textOf(top, file)).filter(t => t.kind !== 'comment')
    for (let i = 0; i < all.length; i += 1) {
      const token = all[i]!
      const read =
        token.text === '{' && token.kind === 'sign'
          ? faultAt(all, i)
          : token.kind === 'word' &&
              token.text === 'blocked' &&
              all[i + 1]?.text === '(' &&
              all[i - 1]?.text !== 'function'
            ? blockedAt(all, i + 1)
            : undefined
      if (!read) continue
      if (read.codes.length > 0)
        for (const code of read.codes) sites.push({ ...read.site, code, file, line: token.line })
      else if (!handsOn.has(`${file} ${read.written}`) && !computed.some(known => known.file === file))
        unreadable.push({ file, line: token.line, written: read.written })
    }
  }
  sites.sort((a, b) =>
    a.code === b.code ? a.file.localeCompare(b.file) || a.line - b.line : a.code < b.code ? -1 : 1,
  )
  return { sites, unreadable }
}

interface Read {
  codes: string[]
  written: string
  site: Pick<FaultSite, 'blames' | 'messages' | 'remedies' | 'by'>
}

/** The fault that an object literal describes: one with a code, a blame and a remedy, or one that is given to `new Fault`. */
function faultAt(all: Token[], open: number): Read | undefined {
  const fields = fieldsOf(all, open)
  const given =
    all[open - 1]?.text === '(' && all[open - 2]?.text === 'Fault' && all[open - 3]?.text === 'new'
  const { code, blame, remedy } = fields
  if (!given && !(code && blame && remedy)) return undefined
  return {
    codes: code ? choices(code).filter(isCode) : [],
    written: code ? written(code) : '',
    site: {
      blames: (blame ? choices(blame) : []) as Blame[],
      messages: fields.message ? choices(saidBefore(all, open, fields.message)) : [],
      remedies: remedy ? choices(saidBefore(all, open, remedy)) : [],
      by: 'fault',
    },
  }
}

/** For a name that was given to one text just before (`const message = …`): that text; else the expression as it is. */
function saidBefore(all: Token[], open: number, expression: Token[]): Token[] {
  const [name, ...more] = expression
  if (name?.kind !== 'word' || more.length > 0) return expression
  const given = all.findLastIndex((t, i) => i < open && t.text === name.text && all[i - 1]?.text === 'const')
  const text = given === -1 || all[given + 1]?.text !== '=' ? undefined : all[given + 2]
  const ends = all[given + 3]?.kind !== 'sign' || '{}'.includes(all[given + 3]!.text)
  return text && ends && (text.kind === 'string' || text.kind === 'template') ? [text] : expression
}

/** `blocked(code, reason, remedy)`, which the engine blames on the operator. */
function blockedAt(all: Token[], open: number): Read {
  const [code = [], reason = [], remedy = []] = partsOf(all, open)
  return {
    codes: choices(code).filter(isCode),
    written: written(code),
    site: { blames: ['operator'], messages: choices(reason), remedies: choices(remedy), by: 'step' },
  }
}

function isCode(text: string): boolean {
  return /^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(text)
}

/** The top level of an object literal: what stands behind each name. */
function fieldsOf(all: Token[], open: number): Record<string, Token[]> {
  const fields: Record<string, Token[]> = {}
  for (const part of partsOf(all, open)) {
    const [name, colon] = part
    if (name?.kind === 'word' && (colon === undefined || colon.text === ':'))
      fields[name.text] = colon === undefined ? [name] : part.slice(2)
  }
  return fields
}

/** What stands between an opening bracket and its closing one, divided at commas. */
function partsOf(all: Token[], open: number): Token[][] {
  const parts: Token[][] = []
  let part: Token[] = []
  let depth = 0
  for (let i = open + 1; i < all.length; i += 1) {
    const token = all[i]!
    if (token.kind === 'sign' && '([{'.includes(token.text)) depth += 1
    if (token.kind === 'sign' && ')]}'.includes(token.text)) depth -= 1
    if (depth < 0) break
    if (depth === 0 && token.kind === 'sign' && token.text === ',') {
      parts.push(part)
      part = []
    } else part.push(token)
  }
  if (part.length > 0) parts.push(part)
  return parts
}

/** What an expression may say: every branch of its conditions, strings joined; `…` stands for what is computed. */
function choices(expression: Token[]): string[] {
  let depth = 0
  let question = -1
  let pending = 0
  for (const [i, token] of expression.entries()) {
    if (token.kind !== 'sign') continue
    if ('([{'.includes(token.text)) depth += 1
    else if (')]}'.includes(token.text)) depth -= 1
    else if (depth > 0) continue
    else if (token.text === '?') {
      if (question === -1) question = i
      pending += 1
    } else if (token.text === ':' && question !== -1) {
      pending -= 1
      if (pending === 0)
        return unique([...choices(expression.slice(question + 1, i)), ...choices(expression.slice(i + 1))])
    } else if (token.text === '??' && question === -1)
      return unique(
        [...choices(expression.slice(0, i)), ...choices(expression.slice(i + 1))].filter(c => c !== '…'),
      )
  }
  const brackets = expression[0]?.text === '(' && expression.at(-1)?.text === ')'
  if (brackets) return choices(expression.slice(1, -1))
  const plain = expression.every(t => t.kind === 'string' || t.kind === 'template' || t.text === '+')
  return [plain ? expression.map(t => (t.kind === 'sign' ? '' : t.text)).join('') : '…']
}

function unique(list: string[]): string[] {
  return [...new Set(list)]
}

function written(expression: Token[]): string {
  return expression.map(t => t.text).join('')
}

/** How a command ends that is ended by this code before or beside a run, and how a run ends in which a step has it. */
export function exitsOf(code: string, blame: Blame): { command: number; run: number } {
  const fault = new Fault({ code, blame, message: '', remedy: '' })
  return { command: code === 'usage' ? exitCodes.usage : exitCodeOf(fault), run: exitCodeOfFailures([fault]) }
}
