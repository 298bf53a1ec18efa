/** Types of configs, in the terms of the language in which Butane and Ignition are written: their messages name them. */
export type Type = Primitive | Pointer | Slice | Struct

export interface Primitive {
  kind: 'string' | 'int' | 'bool'
  /** `string`, or with the package that defines it: `v0_4.RaidOption`. */
  name: string
}

/** Something that may be absent. */
export interface Pointer {
  kind: 'pointer'
  to: Type
}

export interface Slice {
  kind: 'slice'
  of: Type
  name: string
}

export interface Struct {
  kind: 'struct'
  /** With the package that defines it: `v0_5.File`. */
  name: string
  /** Without the package. */
  plainName: string
  fields: Field[]
}

export interface Field {
  /** The key in YAML or JSON. */
  key: string
  type: Type
  /** It is written even where it is empty. */
  always: boolean
}

/** Values: strings, numbers (whole, beyond 2^53 as bigint), booleans, undefined for nil, lists, and structs. */
export type Value = string | number | bigint | boolean | undefined | Value[] | StructValue

/** A struct: every field of its type has a key. */
export interface StructValue {
  [key: string]: Value
}

/** The value that a type has before anything was set. */
export function zeroOf(type: Type): Value {
  switch (type.kind) {
    case 'string':
      return ''
    case 'int':
      return 0
    case 'bool':
      return false
    case 'pointer':
    case 'slice':
      return undefined
    case 'struct':
      return emptyStruct(type)
  }
}

/** A struct of which nothing was set. */
export function emptyStruct(type: Struct): StructValue {
  return Object.fromEntries(type.fields.map(f => [f.key, zeroOf(f.type)]))
}

/** Whether nothing was set. A list without elements was set. */
export function isZero(type: Type, value: Value): boolean {
  switch (type.kind) {
    case 'string':
      return value === ''
    case 'int':
      return value === 0
    case 'bool':
      return value === false
    case 'pointer':
    case 'slice':
      return value === undefined
    case 'struct':
      return type.fields.every(f => isZero(f.type, (value as StructValue)[f.key]))
  }
}

/** Whether JSON leaves it out: nothing was set, or a list has no elements. */
export function isEmpty(type: Type, value: Value): boolean {
  if (type.kind === 'slice') return value === undefined || (value as Value[]).length === 0
  if (type.kind === 'struct') return type.fields.every(f => isEmpty(f.type, (value as StructValue)[f.key]))
  return isZero(type, value)
}

/**
 * Reads a table of types. A name at the start of a line begins a struct, the indented lines below are its fields: key,
 * type, and the versions that have it (`3..5`, `4..`, `..2`). `Name = type` names a type. `!` behind a field: always
 * written. `...Name` takes over another struct's fields.
 * @param prefix of the package, as messages name it.
 * @param outer types of other packages.
 */
export function readTypes(
  table: string,
  version: number,
  prefix: string,
  outer: (name: string) => Struct | undefined = () => undefined,
): (name: string) => Struct {
  const rows = new Map<string, string[][]>()
  const aliases = new Map<string, string>()
  let fields: string[][] = []
  for (const line of table.split('\n').filter(l => l.trim() !== '')) {
    const words = line.trim().split(/\s+/)
    if (line.startsWith(' ')) fields.push(words)
    else if (words[1] === '=') aliases.set(words[0]!, words[2]!)
    else rows.set(words[0]!, (fields = []))
  }
  const made = new Map<string, Type>()

  const typeOf = (written: string): Type => {
    if (written.startsWith('*')) return { kind: 'pointer', to: typeOf(written.slice(1)) }
    if (written.startsWith('[]')) {
      const of = typeOf(written.slice(2))
      return { kind: 'slice', of, name: `[]${nameOf(of)}` }
    }
    if (written === 'string' || written === 'int' || written === 'bool')
      return { kind: written, name: written }
    const known = made.get(written)
    if (known) return known
    const alias = aliases.get(written)
    const type = alias === undefined ? struct(written) : { ...typeOf(alias), name: `${prefix}.${written}` }
    made.set(written, type as Type)
    return type as Type
  }
  const fieldsOf = (name: string): Field[] =>
    (rows.get(name) ?? []).flatMap(([key, type, ...rest]) => {
      if (key!.startsWith('...')) return fieldsOf(key!.slice(3))
      const span = rest.find(r => r.includes('..'))
      const [from, to] = span === undefined ? ['', ''] : span.split('..')
      if (version < Number(from || 0) || version > Number(to || 99)) return []
      return [{ key: key!, type: typeOf(type!), always: rest.includes('!') }]
    })
  const struct = (name: string): Struct => {
    if (!rows.has(name)) {
      const found = outer(name)
      if (!found) throw new Error(`there is no type ${name}`)
      return found
    }
    return { kind: 'struct', name: `${prefix}.${name}`, plainName: name, fields: fieldsOf(name) }
  }
  return name => typeOf(name) as Struct
}

/** The name of a type in messages. */
export function nameOf(type: Type): string {
  return type.kind === 'pointer' ? nameOf(type.to) : type.name
}
