/** How a scalar is written. */
export type ScalarStyle = 'plain' | 'single' | 'double' | 'literal' | 'folded'

/** A node of a YAML document; line and column count from 1. */
export type YamlNode = ScalarNode | SequenceNode | MappingNode | AliasNode

interface Placed {
  line: number
  column: number
  /** Short form: `!!str`. */
  tag: string
}

export interface ScalarNode extends Placed {
  kind: 'scalar'
  value: string
  style: ScalarStyle
}

export interface SequenceNode extends Placed {
  kind: 'sequence'
  items: YamlNode[]
}

export interface MappingNode extends Placed {
  kind: 'mapping'
  pairs: [key: YamlNode, value: YamlNode][]
}

export interface AliasNode extends Placed {
  kind: 'alias'
  value: string
  target: YamlNode
}
