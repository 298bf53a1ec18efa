import { butaneSchema } from './butane-schema.ts'
import type { Struct } from './go-types.ts'
import { ignitionTypes } from './ignition-schema.ts'
import type { IgnitionSpec } from './messages.ts'

/** One version of a variant of Butane: what it reads, and what it makes. */
export interface Spec {
  variant: 'fcos' | 'flatcar'
  version: string
  /** Minor version of the variant. */
  minor: number
  /** Minor version of the part that all variants share. */
  part: number
  schema: Struct
  /** Minor version of the spec of Ignition whose rules count. */
  ignition: number
  /** As `ignition.version` says it. */
  ignitionVersion: IgnitionSpec
  experimental: boolean
  /** Ignition's types as this version makes them. */
  types: (name: string) => Struct
}

const rows: [variant: Spec['variant'], version: string, part: number, ignition: number][] = [
  ['fcos', '1.0.0', 1, 0],
  ['fcos', '1.1.0', 2, 1],
  ['fcos', '1.2.0', 3, 2],
  ['fcos', '1.3.0', 3, 2],
  ['fcos', '1.4.0', 4, 3],
  ['fcos', '1.5.0', 5, 4],
  ['fcos', '1.6.0', 6, 5],
  ['fcos', '1.7.0', 7, 6],
  ['fcos', '1.8.0-experimental', 8, 7],
  ['flatcar', '1.0.0', 4, 3],
  ['flatcar', '1.1.0', 5, 4],
  ['flatcar', '1.2.0-experimental', 8, 7],
]

const newestIgnition = 7

/** Every variant and version that is known, as `fcos 1.5.0`. */
export const knownSpecs: readonly string[] = rows.map(([variant, version]) => `${variant} ${version}`)

/**
 * What a variant and version stand for; undefined where Butane 0.29 has (or we have) no translator.
 * @param target the spec of Ignition to make, where that of the version moved from one Butane to the next.
 */
export function specOf(variant: string, version: string, target?: IgnitionSpec): Spec | undefined {
  const row = rows.find(r => r[0] === variant && r[1] === version)
  if (!row) return undefined
  const [known, , part, own] = row
  const minor = Number(version.split('.')[1])
  const experimental = version.endsWith('-experimental')
  const wanted = experimental ? target : undefined
  const ignition = wanted === undefined ? own : Math.min(Number(wanted.split('.')[1]), newestIgnition)
  return {
    variant: known,
    version,
    minor,
    part,
    schema: schemaOf(known, minor, part),
    ignition,
    ignitionVersion: wanted ?? (`3.${own}.0${experimental ? '-experimental' : ''}` as IgnitionSpec),
    experimental,
    types: ignitionTypes(own),
  }
}

const schemas = new Map<string, Struct>()

function schemaOf(variant: Spec['variant'], minor: number, part: number): Struct {
  const name = `${variant} ${minor}`
  const known = schemas.get(name) ?? butaneSchema(variant, minor, part)
  schemas.set(name, known)
  return known
}
