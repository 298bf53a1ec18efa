import { ignoredDuplicates, keyOf, sharedList } from './entry-keys.ts'
import {
  isZero,
  type Pointer,
  type Slice,
  type Struct,
  type StructValue,
  type Type,
  type Value,
  zeroOf,
} from './go-types.ts'
import type { Path } from './places.ts'
import { Translations } from './translations.ts'

/** A compiled config with the places it comes from. */
export interface Compiled {
  config: StructValue
  translations: Translations
}

interface Mapping {
  side: 'parent' | 'child'
  from: Path
  to: Path
}

/**
 * Merges a config over another, as Ignition merges configs: what the child sets wins, entries of lists with the same key
 * become one at the place of the parent's.
 */
export function mergeCompiled(type: Struct, parent: Compiled, child: Compiled): Compiled {
  const transcript: Mapping[] = []
  const config = mergeStruct(type, parent.config, [], child.config, [], [], transcript)
  const translations = new Translations()
  for (const { side, from, to } of transcript) {
    const source = (side === 'parent' ? parent : child).translations.get(from)
    if (!source) continue
    // Where both had a part in it, the person's own text is the place to show.
    if (translations.get(to) !== undefined && side === 'parent') continue
    translations.add(source, to)
  }
  return { config, translations }
}

function mergeStruct(
  type: Struct,
  parent: StructValue,
  parentPath: Path,
  child: StructValue,
  childPath: Path,
  resultPath: Path,
  transcript: Mapping[],
): StructValue {
  const result: StructValue = {}
  for (const field of type.fields) {
    const { key } = field
    const p = parent[key]
    const c = child[key]
    const pPath = [...parentPath, key]
    const cPath = [...childPath, key]
    const rPath = [...resultPath, key]
    const both = () => {
      transcript.push({ side: 'parent', from: pPath, to: rPath }, { side: 'child', from: cPath, to: rPath })
    }
    const only = (side: 'parent' | 'child') => {
      result[key] = side === 'parent' ? p : c
      transcribe(field.type, result[key], side, side === 'parent' ? pPath : cPath, rPath, transcript)
    }
    if (field.type.kind === 'pointer') {
      const to = (field.type as Pointer).to
      if (to.kind === 'struct' && p !== undefined && c !== undefined) {
        result[key] = mergeStruct(to, p as StructValue, pPath, c as StructValue, cPath, rPath, transcript)
        both()
      } else only(c === undefined ? 'parent' : 'child')
    } else if (field.type.kind === 'struct') {
      if (isZero(field.type, c)) only('parent')
      else if (isZero(field.type, p)) only('child')
      else {
        result[key] = mergeStruct(
          field.type,
          p as StructValue,
          pPath,
          c as StructValue,
          cPath,
          rPath,
          transcript,
        )
        both()
      }
    } else if (field.type.kind === 'slice') {
      const lists = {
        p: (p as Value[] | undefined) ?? [],
        c: (c as Value[] | undefined) ?? [],
        pPath,
        cPath,
        rPath,
      }
      result[key] = mergeList(type, key, field.type, child, lists, transcript)
    } else only('child')
  }
  return result
}

interface Lists {
  p: Value[]
  c: Value[]
  pPath: Path
  cPath: Path
  rPath: Path
}

function mergeList(
  owner: Struct,
  key: string,
  type: Slice,
  child: StructValue,
  { p, c, pPath, cPath, rPath }: Lists,
  transcript: Mapping[],
): Value[] | undefined {
  if (p.length + c.length === 0) return undefined
  const result: Value[] = []
  const take = (side: 'parent' | 'child', item: Value, from: Path) => {
    transcribe(type.of, item, side, from, [...rPath, result.length], transcript)
    result.push(item)
  }
  let fromParent = false
  let fromChild = false
  if (ignoredDuplicates(owner).includes(key)) {
    p.forEach((item, i) => {
      take('parent', item, [...pPath, i])
    })
    c.forEach((item, i) => {
      take('child', item, [...cPath, i])
    })
    fromParent = p.length > 0
    fromChild = c.length > 0
  } else {
    const parentKeys = new Set(p.map(item => keyOf(type.of, item)))
    for (const [i, item] of p.entries()) {
      const found = childEntry(owner, key, child, keyOf(type.of, item))
      const itemPath = [...pPath, i]
      if (!found) {
        take('parent', item, itemPath)
        fromParent = true
      } else if (found.list === key) {
        fromParent = true
        fromChild = true
        const childPath = [...cPath, found.index]
        if (type.of.kind !== 'struct') take('child', found.value, childPath)
        else {
          // A header without a value takes the parent's away.
          if (key === 'httpHeaders' && (found.value as StructValue).value === undefined) continue
          const to = [...rPath, result.length]
          result.push(
            mergeStruct(
              type.of,
              item as StructValue,
              itemPath,
              found.value as StructValue,
              childPath,
              to,
              transcript,
            ),
          )
          transcript.push({ side: 'parent', from: itemPath, to }, { side: 'child', from: childPath, to })
        }
      }
    }
    for (const [i, item] of c.entries()) {
      if (parentKeys.has(keyOf(type.of, item))) continue
      take('child', item, [...cPath, i])
      fromChild = true
    }
  }
  if (fromParent) transcript.push({ side: 'parent', from: pPath, to: rPath })
  if (fromChild) transcript.push({ side: 'child', from: cPath, to: rPath })
  return result
}

/** The last entry of the child with this key, in this list or in one that shares its keys. */
function childEntry(
  owner: Struct,
  key: string,
  child: StructValue,
  wanted: string,
): { list: string; index: number; value: Value } | undefined {
  let found: { list: string; index: number; value: Value } | undefined
  for (const field of owner.fields) {
    if (field.type.kind !== 'slice' || ignoredDuplicates(owner).includes(field.key)) continue
    if (sharedList(owner, field.key) !== sharedList(owner, key)) continue
    const { of } = field.type
    ;((child[field.key] as Value[] | undefined) ?? []).forEach((value, index) => {
      if (keyOf(of, value) === wanted) found = { list: field.key, index, value }
    })
  }
  return found
}

/** Writes down what is taken from one side as it is; whether there was anything. */
function transcribe(
  type: Type,
  value: Value,
  side: 'parent' | 'child',
  from: Path,
  to: Path,
  transcript: Mapping[],
): boolean {
  let any = false
  switch (type.kind) {
    case 'pointer':
      if (value === undefined) return false
      if (type.to.kind === 'struct') return transcribe(type.to, value, side, from, to, transcript)
      any = true
      break
    case 'struct':
      for (const f of type.fields)
        any =
          transcribe(
            f.type,
            (value as StructValue)[f.key],
            side,
            [...from, f.key],
            [...to, f.key],
            transcript,
          ) || any
      break
    case 'slice':
      ;((value as Value[] | undefined) ?? []).forEach((item, i) => {
        any = transcribe(type.of, item, side, [...from, i], [...to, i], transcript) || any
      })
      break
    default:
      any = value !== zeroOf(type)
  }
  if (any) transcript.push({ side, from, to })
  return any
}
