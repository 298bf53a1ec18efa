import { byteLength, bytesOf, quoted, textOfBytes } from '../byte-text.ts'
import {
  emptyStruct,
  nameOf,
  type Struct,
  type StructValue,
  type Type,
  type Value,
  zeroOf,
} from '../go-types.ts'
import { type Resolved, resolveScalar } from './resolve.ts'
import { YamlFault } from './yaml-fault.ts'
import type { MappingNode, ScalarNode, SequenceNode, YamlNode } from './yaml-node.ts'

/**
 * Reads a node into a struct as Go's yaml.v3 does: keys that the type lacks are passed over, null leaves what is there,
 * merge keys fill what the mapping itself does not set.
 * @throws YamlFault with every value of a wrong type, by line and by the name of the type that was wanted.
 */
export function decodeYaml(node: YamlNode, type: Struct): StructValue {
  const decoder = new Decoder()
  const value = emptyStruct(type)
  decoder.into(node, type, value)
  if (decoder.errors.length > 0) throw new YamlFault(`unmarshal errors:\n  ${decoder.errors.join('\n  ')}`)
  return value
}

/** Where a decoded value goes; false: nothing was decoded. */
type Outcome = { value: Value } | false

class Decoder {
  readonly errors: string[] = []
  private readonly open = new Set<YamlNode>()
  private merged: Set<string> | undefined
  private count = 0
  private aliased = 0
  private depth = 0

  /** Reads a mapping (or an alias of one) into a struct that is there already. */
  into(node: YamlNode, type: Struct, value: StructValue): void {
    this.decode(node, type, value)
  }

  private decode(node: YamlNode, type: Type, present: Value): Outcome {
    this.count++
    if (this.depth > 0) this.aliased++
    if (this.aliased > 100 && this.count > 1000 && this.aliased / this.count > allowedAliases(this.count))
      throw new YamlFault('document contains excessive aliasing')
    if (node.kind === 'alias') {
      if (this.open.has(node)) throw new YamlFault(`anchor '${node.value}' value contains itself`)
      this.open.add(node)
      this.depth++
      const outcome = this.decode(node.target, type, present)
      this.depth--
      this.open.delete(node)
      return outcome
    }
    if (node.tag === '!!null' && node.kind === 'scalar' && resolveScalar(node.tag, node.value).value === null)
      return type.kind === 'pointer' || type.kind === 'slice' ? { value: undefined } : false
    if (type.kind === 'pointer') {
      const inner = present === undefined ? zeroOf(type.to) : present
      const outcome = this.decode(node, type.to, inner)
      // The library makes room for the value before it finds that it does not fit; there are errors then anyway.
      return outcome === false ? { value: inner } : outcome
    }
    if (node.kind === 'scalar') return this.scalar(node, type)
    if (node.kind === 'sequence') return this.sequence(node, type)
    return this.mapping(node, type, present)
  }

  private wrongType(node: YamlNode, type: Type): false {
    const value = node.kind === 'scalar' ? node.value : ''
    let shown = ''
    if (node.tag !== '!!seq' && node.tag !== '!!map')
      shown =
        byteLength(value) > 10 ? ` \`${textOfBytes(bytesOf(value).subarray(0, 7))}...\`` : ` \`${value}\``
    this.errors.push(`line ${node.line}: cannot unmarshal ${node.tag}${shown} into ${nameOf(type)}`)
    return false
  }

  private scalar(node: ScalarNode, type: Type): Outcome {
    const resolved: Resolved =
      node.tag === '!!str'
        ? { tag: '!!str', value: node.value }
        : node.tag === '!!binary'
          ? { tag: '!!binary', value: binary(node.value) }
          : resolveScalar(node.tag, node.value)
    if (resolved.value === null) return false
    if (type.kind === 'string')
      return { value: resolved.tag === '!!binary' ? (resolved.value as string) : node.value }
    if (type.kind === 'int') {
      const int = asInt(resolved.value)
      if (int !== undefined) return { value: int }
    }
    if (type.kind === 'bool') {
      if (typeof resolved.value === 'boolean') return { value: resolved.value }
      if (typeof resolved.value === 'string' && resolved.tag !== '!!timestamp') {
        if (/^(?:y|Y|yes|Yes|YES|on|On|ON)$/.test(resolved.value)) return { value: true }
        if (/^(?:n|N|no|No|NO|off|Off|OFF)$/.test(resolved.value)) return { value: false }
      }
    }
    return this.wrongType(node, type)
  }

  private sequence(node: SequenceNode, type: Type): Outcome {
    if (type.kind !== 'slice') return this.wrongType(node, type)
    // What cannot be decoded, null among it, leaves no gap.
    const value = node.items.flatMap(item => {
      const outcome = this.decode(item, type.of, zeroOf(type.of))
      return outcome === false ? [] : [outcome.value]
    })
    return { value }
  }

  private mapping(node: MappingNode, type: Type, present: Value): Outcome {
    const errors = this.errors.length
    node.pairs.forEach(([a], i) => {
      for (const [b] of node.pairs.slice(i + 1))
        if (a.kind === b.kind && contentOf(a) === contentOf(b))
          this.errors.push(
            `line ${b.line}: mapping key ${quoted(contentOf(b))} already defined at line ${a.line}`,
          )
    })
    if (this.errors.length > errors) return false
    if (type.kind !== 'struct') return this.wrongType(node, type)
    const value = present as StructValue
    const merged = this.merged
    this.merged = undefined
    let mergeNode: YamlNode | undefined
    const done = new Set<string>()
    for (const [keyNode, valueNode] of node.pairs) {
      if (isMerge(keyNode)) {
        mergeNode = valueNode
        continue
      }
      const key = this.decode(keyNode, { kind: 'string', name: 'string' }, '')
      if (key === false) continue
      const name = key.value as string
      if (merged) {
        if (merged.has(name)) continue
        merged.add(name)
      }
      const field = type.fields.find(f => f.key === name)
      if (!field) continue
      if (done.has(name)) {
        this.errors.push(`line ${keyNode.line}: field ${name} already set in type ${type.name}`)
        continue
      }
      done.add(name)
      const outcome = this.decode(valueNode, field.type, value[name])
      if (outcome !== false) value[name] = outcome.value
    }
    this.merged = merged
    if (mergeNode) this.merge(node, mergeNode, type, value)
    return { value }
  }

  private merge(parent: MappingNode, source: YamlNode, type: Struct, value: StructValue): void {
    const before = this.merged
    this.merged ??= new Set(
      parent.pairs.flatMap(([key]) => {
        const target = key.kind === 'alias' ? key.target : key
        return target.kind === 'scalar' ? [target.value] : []
      }),
    )
    const mapping = (node: YamlNode) =>
      node.kind === 'mapping' || (node.kind === 'alias' && node.target.kind === 'mapping')
    const sources = source.kind === 'sequence' ? source.items : [source]
    for (const one of sources) {
      if (!mapping(one)) throw new YamlFault('map merge requires map or sequence of maps as the value')
      this.decode(one, type, value)
    }
    this.merged = before
  }
}

function contentOf(node: YamlNode): string {
  return node.kind === 'scalar' || node.kind === 'alias' ? node.value : ''
}

function isMerge(node: YamlNode): boolean {
  return node.kind === 'scalar' && node.value === '<<' && node.tag === '!!merge'
}

function asInt(value: Resolved['value']): number | bigint | undefined {
  const low = -(2n ** 63n)
  if (typeof value === 'bigint') {
    if (value >= 2n ** 63n) return undefined
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value)
      : value
  }
  if (typeof value !== 'number' || !(value <= 2 ** 63)) return undefined
  const whole = Math.trunc(value)
  if (Number.isSafeInteger(whole)) return whole + 0
  return whole < -(2 ** 63) || whole >= 2 ** 63 ? low : BigInt(whole)
}

function binary(text: string): string {
  const bare = text.replaceAll(/[\r\n]/g, '')
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(bare))
    throw new YamlFault('!!binary value contains invalid base64 data')
  return textOfBytes(Buffer.from(bare, 'base64'))
}

function allowedAliases(count: number): number {
  const low = 400_000
  const high = 4_000_000
  if (count <= low) return 0.99
  if (count >= high) return 0.1
  return 0.99 - 0.89 * ((count - low) / (high - low))
}
