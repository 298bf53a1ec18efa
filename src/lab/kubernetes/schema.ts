import type { Rule } from './rules.ts'

/**
 * What a CustomResourceDefinition says of its objects, as the API server takes it: types, required fields, enums, bounds,
 * defaults, fields that nobody defined, lists with keys, rules in CEL.
 */
export interface Schema {
  type?: string
  properties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  items?: Schema
  required?: string[]
  enum?: unknown[]
  minimum?: number
  maximum?: number
  default?: unknown
  'x-kubernetes-preserve-unknown-fields'?: boolean
  'x-kubernetes-int-or-string'?: boolean
  'x-kubernetes-embedded-resource'?: boolean
  'x-kubernetes-list-type'?: string
  'x-kubernetes-list-map-keys'?: string[]
  'x-kubernetes-validations'?: Rule[]
}

/** One thing that is wrong with an object, as a cause of a Status names it. */
export interface FieldProblem {
  field: string
  reason: string
  detail: string
}

// What every object has, whatever its definition says.
const everywhere = ['apiVersion', 'kind', 'metadata']

/** The fields that are the keys of lists, by the name of the list. */
export function listKeysOf(schema: Schema | undefined): Map<string, string[]> {
  const found = new Map<string, string[]>()
  const walk = (here: Schema, field: string) => {
    if (here['x-kubernetes-list-type'] === 'map') found.set(field, here['x-kubernetes-list-map-keys'] ?? [])
    for (const [name, property] of Object.entries(here.properties ?? {})) walk(property, name)
    if (here.items) walk(here.items, '')
    if (typeof here.additionalProperties === 'object') walk(here.additionalProperties, '')
  }
  if (schema) walk(schema, '')
  return found
}

/** Everything that is wrong with an object. */
export function problemsOf(schema: Schema, object: unknown): FieldProblem[] {
  const found: FieldProblem[] = []
  walkFields(schema, object, '', (here, value, field) => {
    const wanted = typeWanted(here, value)
    if (wanted !== undefined) {
      const is = JSON.stringify(typeName(value))
      const detail = `Invalid value: ${is}: ${field} in body must be of type ${wanted}: ${is}`
      found.push({ field, reason: 'FieldValueTypeInvalid', detail })
      return
    }
    for (const name of here.required ?? [])
      if ((value as Record<string, unknown>)[name] === undefined)
        found.push({ field: joined(field, name), reason: 'FieldValueRequired', detail: 'Required value' })
    const invalid = (why: string) =>
      found.push({
        field,
        reason: 'FieldValueInvalid',
        detail: `Invalid value: ${JSON.stringify(value)}: ${field} in body ${why}`,
      })
    if (here.minimum !== undefined && Number(value) < here.minimum)
      invalid(`should be greater than or equal to ${here.minimum}`)
    if (here.maximum !== undefined && Number(value) > here.maximum)
      invalid(`should be less than or equal to ${here.maximum}`)
    if (here.enum && !here.enum.includes(value))
      found.push({
        field,
        reason: 'FieldValueNotSupported',
        detail: `Unsupported value: ${JSON.stringify(value)}: supported values: ${here.enum.map(v => JSON.stringify(v)).join(', ')}`,
      })
  })
  return found
}

/** The first thing for which an object cannot be applied at all, in the words of the server's own library. */
export function untyped(schema: Schema, object: unknown): string | undefined {
  let problem: string | undefined
  walkFields(schema, object, '', (here, value, field) => {
    const wanted = typeWanted(here, value)
    if (problem !== undefined) return
    if (wanted !== undefined)
      problem = `.${field}: expected ${/integer|number/.test(wanted) ? 'numeric (int or float)' : wanted}, got ${typeName(value)}`
    else
      for (const name of undefinedIn(here, value, field === ''))
        problem ??= `.${joined(field, name)}: field not declared in schema`
  })
  return problem
}

/** A copy with what is missing filled in and what nobody defined left out. */
export function settled<T>(schema: Schema, object: T): T {
  const settle = (here: Schema, given: unknown, top: boolean): unknown => {
    if (Array.isArray(given)) return here.items ? given.map(item => settle(here.items!, item, false)) : given
    if (!isMap(given)) return given
    const unknown = undefinedIn(here, given, top)
    const result: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(given)) {
      if (unknown.includes(name)) continue
      const property = schemaOf(here, name)
      result[name] = property ? settle(property, value, false) : value
    }
    for (const [name, property] of Object.entries(here.properties ?? {}))
      if (result[name] === undefined && property.default !== undefined)
        result[name] = structuredClone(property.default)
    return result
  }
  return settle(schema, object, true) as T
}

function walkFields(
  schema: Schema,
  object: unknown,
  field: string,
  look: (schema: Schema, value: unknown, field: string) => void,
): void {
  look(schema, object, field)
  if (Array.isArray(object)) {
    if (schema.items)
      for (const [i, item] of object.entries()) walkFields(schema.items, item, `${field}[${i}]`, look)
  } else if (isMap(object))
    for (const [name, value] of Object.entries(object)) {
      const property = field === '' && everywhere.includes(name) ? undefined : schemaOf(schema, name)
      if (property && value !== null) walkFields(property, value, joined(field, name), look)
    }
}

function undefinedIn(schema: Schema, value: unknown, top: boolean): string[] {
  if (
    !isMap(value) ||
    schema['x-kubernetes-preserve-unknown-fields'] ||
    schema['x-kubernetes-embedded-resource']
  )
    return []
  if (schema.type !== 'object') return []
  return Object.keys(value).filter(
    name => !(top && everywhere.includes(name)) && !schemaOf(schema, name) && !schema.additionalProperties,
  )
}

function schemaOf(schema: Schema, name: string): Schema | undefined {
  const { properties, additionalProperties } = schema
  return properties?.[name] ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined)
}

/** The type that a value should have and has not. */
function typeWanted(schema: Schema, value: unknown): string | undefined {
  if (schema['x-kubernetes-int-or-string'] || schema.type === undefined) return undefined
  const is = typeName(value)
  const fits = is === schema.type || (schema.type === 'number' && is === 'integer')
  return fits ? undefined : schema.type
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  if (value === null) return 'null'
  return typeof value === 'number' && Number.isInteger(value) ? 'integer' : typeof value
}

function joined(field: string, name: string): string {
  return field === '' ? name : `${field}.${name}`
}

function isMap(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}
