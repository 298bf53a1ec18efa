import { parseDocument } from 'yaml'
import { Fault } from '../runbook/fault.ts'
import type { Answer } from './source.ts'

/** What a bundle or a secrets file holds: `{ "nas": { "username": "…", "password": "…" } }`. */
export type SecretContent = Readonly<Record<string, Readonly<Record<string, string>>>>

/** Why a text is not secret content; never quotes the text. `at` is `LINE:COLUMN` where that is known. */
export class ContentProblem extends Error {
  override readonly name = 'ContentProblem'
  readonly at: string | undefined

  constructor(message: string, at?: string) {
    super(message)
    this.at = at
  }
}

/**
 * Reads secret content from JSON or YAML. Throws {@link ContentProblem}. The parsers' own error texts are dropped on
 * purpose: both quote the place that they stumbled over, and that may be a password.
 */
export function parseContent(text: string): SecretContent {
  let value: unknown
  try {
    value = JSON.parse(text) as unknown
  } catch {
    value = parseYamlText(text)
  }
  return checkContent(value)
}

function parseYamlText(text: string): unknown {
  // The failsafe schema keeps every scalar the text that the person wrote: 0123 and 1e5 are passwords, not numbers.
  const document = parseDocument(text, { schema: 'failsafe', prettyErrors: false, logLevel: 'error' })
  const error = document.errors[0] ?? document.warnings[0]
  if (error) {
    const before = text.slice(0, error.pos[0]).split('\n')
    const at = `${before.length}:${(before.at(-1) ?? '').length + 1}`
    const why = error.code.toLowerCase().replaceAll('_', ' ')
    throw new ContentProblem(`neither JSON nor YAML (${why})`, at)
  }
  try {
    return plain(document.toJS({ maxAliasCount: 100, mapAsMap: true }) as unknown)
  } catch (error) {
    if (error instanceof ContentProblem) throw error
    throw new ContentProblem('YAML with references that do not resolve')
  }
}

/** Maps as objects. Keys that are no text are refused here; turned into text, they would be quoted in messages. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (!(value instanceof Map)) return value
  return Object.fromEntries(
    [...(value as Map<unknown, unknown>)].map(([key, item]) => {
      if (typeof key !== 'string') throw new ContentProblem('YAML with a name that is not a text')
      return [key, plain(item)]
    }),
  )
}

/** Checks the shape: secrets by name, fields by name, every value a text. Throws {@link ContentProblem}. */
export function checkContent(value: unknown): SecretContent {
  if (!isMap(value)) throw new ContentProblem('not a map of secrets')
  for (const [secret, fields] of Object.entries(value)) {
    if (!isMap(fields)) throw new ContentProblem(`the secret ${secret} is not a map of fields`)
    for (const [field, text] of Object.entries(fields))
      if (typeof text !== 'string')
        throw new ContentProblem(`the field ${field} of the secret ${secret} is not a text: put it in quotes`)
  }
  return value as SecretContent
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Looks a field up in content that was read from `file`. An empty value counts as missing. */
export function findIn(content: SecretContent, file: string, secret: string, field: string): Answer {
  const fields = Object.hasOwn(content, secret) ? content[secret] : undefined
  const value = fields && Object.hasOwn(fields, field) ? fields[field] : undefined
  if (value) return { value }
  const message =
    fields === undefined
      ? `${file} has no secret ${secret}`
      : value === undefined
        ? `${file} has no field ${field} in the secret ${secret}`
        : `in ${file} the field ${field} of the secret ${secret} is empty`
  return {
    missing: new Fault({
      code: 'secret-not-in-file',
      blame: 'operator',
      message,
      remedy: `Put the field ${field} of the secret ${secret} into ${file}`,
    }),
  }
}

/** The answer when there is no file at all: it holds nothing. */
export function absent(file: string, remedy: string): Answer {
  return {
    missing: new Fault({
      code: 'secret-file-absent',
      blame: 'operator',
      message: `there is no file ${file}`,
      remedy,
    }),
  }
}
