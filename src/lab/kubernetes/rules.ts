import { Environment } from '@marcbachmann/cel-js'
import type { FieldProblem, Schema } from './schema.ts'

/** A rule in CEL that a definition holds a part of its objects to (`x-kubernetes-validations`). */
export interface Rule {
  rule: string
  message?: string
  messageExpression?: string
  reason?: string
  fieldPath?: string
  /** It is also asked where there was nothing before; `oldSelf` is an optional then, which the lab does not have. */
  optionalOldSelf?: boolean
}

type Question = (context: { self: unknown; oldSelf: unknown }) => unknown

const environment = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false })
const parsed = new Map<string, Question | undefined>()

/**
 * The rules that an object breaks, in the words of the API server. A rule that mentions `oldSelf` counts where there was
 * a value before. What Kubernetes' own functions decide (quantities, addresses, URLs, regular expressions) is not judged
 * here: such a rule counts as kept.
 * @param before the object that it replaces
 */
export function brokenRules(schema: Schema, object: unknown, before?: unknown): FieldProblem[] {
  const found: FieldProblem[] = []
  const walk = (here: Schema, self: unknown, oldSelf: unknown, field: string): void => {
    if (self === undefined || self === null) return
    for (const rule of here['x-kubernetes-validations'] ?? [])
      if (!isKept(rule, self, oldSelf)) found.push(problemOf(rule, self, oldSelf, field))
    if (Array.isArray(self)) {
      // Which item was which before is known by their keys only; rules about that are left to the real server.
      if (here.items)
        for (const [i, item] of self.entries()) walk(here.items, item, undefined, `${field}[${i}]`)
      return
    }
    if (typeof self !== 'object') return
    const old = (typeof oldSelf === 'object' ? oldSelf : undefined) as Record<string, unknown> | undefined
    for (const [name, value] of Object.entries(self)) {
      const more = here.additionalProperties
      const property = here.properties?.[name] ?? (typeof more === 'object' ? more : undefined)
      if (property) walk(property, value, old?.[name], field === '' ? name : `${field}.${name}`)
    }
  }
  walk(schema, object, before, '')
  return found
}

function isKept(rule: Rule, self: unknown, oldSelf: unknown): boolean {
  if (/\boldSelf\b/.test(rule.rule) && (oldSelf === undefined || rule.optionalOldSelf)) return true
  return answerTo(rule.rule, self, oldSelf) !== false
}

/** What an expression says; undefined where it cannot be asked here. */
function answerTo(expression: string, self: unknown, oldSelf: unknown): unknown {
  if (!parsed.has(expression)) {
    let question: Question | undefined
    try {
      question = environment.parse(expression) as Question
    } catch {
      // Not CEL, or more of it than is known here.
    }
    parsed.set(expression, question)
  }
  try {
    return parsed.get(expression)?.({ self: asCel(self), oldSelf: asCel(oldSelf) })
  } catch {
    return undefined
  }
}

/** CEL tells whole numbers from others, and counts with them exactly. */
function asCel(value: unknown): unknown {
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  if (Array.isArray(value)) return value.map(asCel)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, inside]) => [name, asCel(inside)]))
}

function problemOf(rule: Rule, self: unknown, oldSelf: unknown, field: string): FieldProblem {
  const said = rule.messageExpression && answerTo(rule.messageExpression, self, oldSelf)
  const text = typeof said === 'string' ? said : (rule.message ?? `failed rule: ${rule.rule}`)
  const at = rule.fieldPath === undefined ? field : `${field}${rule.fieldPath}`.replace(/^\./, '')
  const { reason = 'FieldValueInvalid' } = rule
  if (reason === 'FieldValueForbidden') return { field: at, reason, detail: `Forbidden: ${text}` }
  if (reason === 'FieldValueRequired') return { field: at, reason, detail: `Required value: ${text}` }
  // Only what fits into the text is shown.
  const value = typeof self === 'object' ? '' : `${JSON.stringify(self)}: `
  return { field: at, reason, detail: `Invalid value: ${value}${text}` }
}
