import type { Mark } from './characters.ts'
import type { ScalarStyle } from './yaml-node.ts'

/** A token of YAML, with the places where it begins and ends. */
export type Token = { start: Mark; end: Mark } & (
  | {
      kind:
        | 'stream-start'
        | 'stream-end'
        | 'document-start'
        | 'document-end'
        | 'block-sequence-start'
        | 'block-mapping-start'
        | 'block-end'
        | 'flow-sequence-start'
        | 'flow-sequence-end'
        | 'flow-mapping-start'
        | 'flow-mapping-end'
        | 'block-entry'
        | 'flow-entry'
        | 'key'
        | 'value'
    }
  | { kind: 'version-directive'; major: number; minor: number }
  | { kind: 'tag-directive'; handle: string; prefix: string }
  | { kind: 'alias' | 'anchor'; name: string }
  | { kind: 'tag'; handle: string; suffix: string }
  | { kind: 'scalar'; value: string; style: ScalarStyle }
)

/** Tokens that say no more than that they are there. */
export type Indicator = Exclude<
  Token['kind'],
  'version-directive' | 'tag-directive' | 'alias' | 'anchor' | 'tag' | 'scalar'
>
