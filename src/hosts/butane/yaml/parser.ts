import type { Mark } from './characters.ts'
import { resolveTag, shortTag } from './resolve.ts'
import { maxDepth, Scanner } from './scanner.ts'
import type { Token } from './token.ts'
import { YamlFault } from './yaml-fault.ts'
import type { MappingNode, ScalarNode, ScalarStyle, SequenceNode, YamlNode } from './yaml-node.ts'

/**
 * The first document of a YAML text; undefined where there is none. What follows it is not looked at.
 * @throws YamlFault in the words of Go's yaml.v3.
 */
export function parseYaml(text: string): YamlNode | undefined {
  try {
    return new Parser(text).document()
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown
    // Nested deeper than we can go: the scanner, which does not go into it, knows what the library says of that.
    const scanner = new Scanner(text)
    while (scanner.take().kind !== 'stream-end');
    throw new YamlFault(`exceeded max depth of ${maxDepth}`)
  }
}

interface Properties {
  start: Mark
  anchor: string
  tag: string
}

class Parser {
  private readonly scanner: Scanner
  private readonly anchors = new Map<string, YamlNode>()
  private readonly tagPrefixes = new Map<string, string>()

  constructor(text: string) {
    this.scanner = new Scanner(text)
  }

  document(): YamlNode | undefined {
    const { scanner } = this
    scanner.take()
    const first = scanner.peek()
    if (first.kind === 'stream-end') return undefined
    const explicit = ['version-directive', 'tag-directive', 'document-start'].includes(first.kind)
    this.directives()
    let node: YamlNode
    if (explicit) {
      const token = scanner.peek()
      if (token.kind !== 'document-start') this.fail('did not find expected <document start>', token.start)
      scanner.take()
      const content = scanner.peek()
      const none = ['version-directive', 'tag-directive', 'document-start', 'document-end', 'stream-end']
      node = none.includes(content.kind) ? this.empty(content.start) : this.node(true, false)
    } else node = this.node(true, false)
    // Whatever is wrong right behind the document still counts.
    scanner.peek()
    return node
  }

  // The library counts lines from 0 here, so that the number that it says is that of the line before.
  private fail(problem: string, at: Mark, context?: Mark): never {
    const line = context && context.line !== 0 ? context.line : at.line
    throw new YamlFault(line === 0 ? problem : `line ${line}: ${problem}`)
  }

  private directives(): void {
    const { scanner } = this
    let version = false
    for (;;) {
      const token = scanner.peek()
      if (token.kind === 'version-directive') {
        if (version) this.fail('found duplicate %YAML directive', token.start)
        if (token.major !== 1 || token.minor !== 1) this.fail('found incompatible YAML document', token.start)
        version = true
      } else if (token.kind === 'tag-directive') {
        if (this.tagPrefixes.has(token.handle)) this.fail('found duplicate %TAG directive', token.start)
        this.tagPrefixes.set(token.handle, token.prefix)
      } else break
      scanner.take()
    }
    if (!this.tagPrefixes.has('!')) this.tagPrefixes.set('!', '!')
    if (!this.tagPrefixes.has('!!')) this.tagPrefixes.set('!!', 'tag:yaml.org,2002:')
  }

  private node(block: boolean, indentless: boolean): YamlNode {
    const { scanner } = this
    const token = scanner.peek()
    if (token.kind === 'alias') {
      scanner.take()
      const target = this.anchors.get(token.name)
      if (!target) throw new YamlFault(`unknown anchor '${token.name}' referenced`)
      return { kind: 'alias', value: token.name, target, tag: '', ...placeOf(token.start) }
    }
    const properties = this.properties(token)
    const content = scanner.peek()
    if (indentless && content.kind === 'block-entry') return this.indentlessSequence(properties)
    if (content.kind === 'scalar') {
      scanner.take()
      return this.scalar(properties, content.value, content.style)
    }
    if (content.kind === 'flow-sequence-start') return this.flowSequence(properties)
    if (content.kind === 'flow-mapping-start') return this.flowMapping(properties)
    if (block && content.kind === 'block-sequence-start') return this.blockSequence(properties)
    if (block && content.kind === 'block-mapping-start') return this.blockMapping(properties)
    if (properties.anchor !== '' || properties.tag !== '') return this.scalar(properties, '', 'plain')
    this.fail('did not find expected node content', content.start, properties.start)
  }

  private properties(first: Token): Properties {
    const { scanner } = this
    const start = first.start
    let anchor = ''
    let tag = ''
    for (let i = 0; i < 2; i++) {
      const token = scanner.peek()
      if (token.kind === 'anchor' && anchor === '') {
        anchor = token.name
        scanner.take()
      } else if (token.kind === 'tag' && tag === '') {
        scanner.take()
        scanner.peek()
        tag =
          token.handle === ''
            ? token.suffix
            : this.resolveHandle(token.handle, token.suffix, token.start, start)
      } else break
    }
    return { start, anchor, tag }
  }

  private resolveHandle(handle: string, suffix: string, at: Mark, start: Mark): string {
    const prefix = this.tagPrefixes.get(handle)
    if (prefix === undefined || prefix + suffix === '') this.fail('found undefined tag handle', at, start)
    return prefix + suffix
  }

  private scalar({ start, anchor, tag }: Properties, value: string, style: ScalarStyle): ScalarNode {
    const own = tag !== '' && tag !== '!' ? shortTag(tag) : undefined
    const implied = style !== 'plain' ? '!!str' : value === '<<' ? '!!merge' : resolveTag(value)
    const node: ScalarNode = { kind: 'scalar', value, style, tag: own ?? implied, ...placeOf(start) }
    if (anchor !== '') this.anchors.set(anchor, node)
    return node
  }

  private empty(mark: Mark): ScalarNode {
    return { kind: 'scalar', value: '', style: 'plain', tag: '!!null', ...placeOf(mark) }
  }

  private openSequence({ start, anchor, tag }: Properties): SequenceNode {
    const own = tag !== '' && tag !== '!' ? shortTag(tag) : '!!seq'
    const node: SequenceNode = { kind: 'sequence', items: [], tag: own, ...placeOf(start) }
    if (anchor !== '') this.anchors.set(anchor, node)
    return node
  }

  private openMapping({ start, anchor, tag }: Properties): MappingNode {
    const own = tag !== '' && tag !== '!' ? shortTag(tag) : '!!map'
    const node: MappingNode = { kind: 'mapping', pairs: [], tag: own, ...placeOf(start) }
    if (anchor !== '') this.anchors.set(anchor, node)
    return node
  }

  private blockSequence(properties: Properties): SequenceNode {
    const { scanner } = this
    const node = this.openSequence(properties)
    const context = scanner.take().start
    for (;;) {
      const token = scanner.peek()
      if (token.kind === 'block-end') break
      if (token.kind !== 'block-entry') this.fail("did not find expected '-' indicator", token.start, context)
      scanner.take()
      const next = scanner.peek().kind
      node.items.push(
        next === 'block-entry' || next === 'block-end' ? this.empty(token.end) : this.node(true, false),
      )
    }
    scanner.take()
    return node
  }

  private indentlessSequence(properties: Properties): SequenceNode {
    const { scanner } = this
    const node = this.openSequence(properties)
    for (let token = scanner.peek(); token.kind === 'block-entry'; token = scanner.peek()) {
      scanner.take()
      const next = scanner.peek().kind
      const none = ['block-entry', 'key', 'value', 'block-end'].includes(next)
      node.items.push(none ? this.empty(token.end) : this.node(true, false))
    }
    return node
  }

  private blockMapping(properties: Properties): MappingNode {
    const { scanner } = this
    const node = this.openMapping(properties)
    const context = scanner.take().start
    for (;;) {
      const token = scanner.peek()
      if (token.kind === 'block-end') break
      if (token.kind !== 'key') this.fail('did not find expected key', token.start, context)
      scanner.take()
      const key = this.blockPart(token.end)
      const between = scanner.peek()
      if (between.kind !== 'value') {
        node.pairs.push([key, this.empty(between.start)])
        continue
      }
      scanner.take()
      node.pairs.push([key, this.blockPart(between.end)])
    }
    scanner.take()
    return node
  }

  private blockPart(mark: Mark): YamlNode {
    const none = ['key', 'value', 'block-end'].includes(this.scanner.peek().kind)
    return none ? this.empty(mark) : this.node(true, true)
  }

  private flowSequence(properties: Properties): SequenceNode {
    const { scanner } = this
    const node = this.openSequence(properties)
    const context = scanner.take().start
    for (let first = true; scanner.peek().kind !== 'flow-sequence-end'; first = false) {
      if (!first) {
        const token = scanner.peek()
        if (token.kind !== 'flow-entry') this.fail("did not find expected ',' or ']'", token.start, context)
        scanner.take()
      }
      const token = scanner.peek()
      if (token.kind === 'key') node.items.push(this.flowPair(token))
      else if (token.kind !== 'flow-sequence-end') node.items.push(this.node(false, false))
    }
    scanner.take()
    return node
  }

  /** `[a: b]`, a mapping of one pair. */
  private flowPair(keyToken: Token): MappingNode {
    const { scanner } = this
    const node = this.openMapping({ start: keyToken.start, anchor: '', tag: '' })
    scanner.take()
    const token = scanner.peek()
    const noKey = ['value', 'flow-entry', 'flow-sequence-end'].includes(token.kind)
    let key: YamlNode
    if (noKey) {
      scanner.take()
      key = this.empty(token.end)
    } else key = this.node(false, false)
    let value: YamlNode | undefined
    const between = scanner.peek()
    if (between.kind === 'value') {
      scanner.take()
      const next = scanner.peek().kind
      if (next !== 'flow-entry' && next !== 'flow-sequence-end') value = this.node(false, false)
    }
    node.pairs.push([key, value ?? this.empty(between.start)])
    return node
  }

  private flowMapping(properties: Properties): MappingNode {
    const { scanner } = this
    const node = this.openMapping(properties)
    const context = scanner.take().start
    for (let first = true; scanner.peek().kind !== 'flow-mapping-end'; first = false) {
      if (!first) {
        const token = scanner.peek()
        if (token.kind !== 'flow-entry') this.fail("did not find expected ',' or '}'", token.start, context)
        scanner.take()
      }
      const token = scanner.peek()
      if (token.kind === 'key') {
        scanner.take()
        const next = scanner.peek()
        const none = ['value', 'flow-entry', 'flow-mapping-end'].includes(next.kind)
        const key = none ? this.empty(next.start) : this.node(false, false)
        node.pairs.push([key, this.flowValue()])
      } else if (token.kind !== 'flow-mapping-end') {
        const key = this.node(false, false)
        node.pairs.push([key, this.empty(scanner.peek().start)])
      }
    }
    scanner.take()
    return node
  }

  private flowValue(): YamlNode {
    const { scanner } = this
    const token = scanner.peek()
    if (token.kind !== 'value') return this.empty(token.start)
    scanner.take()
    const next = scanner.peek().kind
    if (next !== 'flow-entry' && next !== 'flow-mapping-end') return this.node(false, false)
    return this.empty(scanner.peek().start)
  }
}

function placeOf(mark: Mark): { line: number; column: number } {
  return { line: mark.line + 1, column: mark.column + 1 }
}
