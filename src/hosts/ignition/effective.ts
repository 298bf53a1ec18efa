import { decodeJson, JsonFault, parseJson } from '../butane/go-json.ts'
import type { StructValue } from '../butane/go-types.ts'
import { writeIgnition } from '../butane/ignition-json.ts'
import { ignitionTypes } from '../butane/ignition-schema.ts'
import { mergeCompiled } from '../butane/merge.ts'
import { Translations } from '../butane/translations.ts'
import { type IgnitionConfig, invalidIgnition, newestSpec } from './config.ts'
import type { SourceTree } from './sources.ts'

/**
 * What a machine makes of a config with everything that it merges, as far as that can be seen: what is merged wins over
 * what merges it, the last one over all. Throws Fault `ignition-invalid`.
 * @param shown the config's file, for messages
 */
export function effectiveConfig(tree: SourceTree, shown: string): IgnitionConfig {
  try {
    return JSON.parse(writeIgnition(configType(), rendered(tree))) as IgnitionConfig
  } catch (thrown) {
    if (thrown instanceof JsonFault) throw invalidIgnition(shown, thrown.message, thrown)
    throw thrown
  }
}

/** A config within another keeps its spec's meaning in the newest one, into which Ignition translates all of them. */
const configType = () => ignitionTypes(newestSpec)('Config')

function rendered({ config, sources, merged }: SourceTree): StructValue {
  const treeOf = (resource: unknown): SourceTree | undefined =>
    sources.find(s => s.resource === resource)?.inner ?? merged.find(m => m.resource === resource)?.tree
  const { replace, merge = [] } = config.ignition.config ?? {}
  const instead = replace?.source ? treeOf(replace) : undefined
  if (instead) return rendered(instead)
  const own = decodeJson(parseJson(JSON.stringify(config)), configType())
  return merge.reduce((over, resource) => {
    const inner = treeOf(resource)
    if (!inner) return over
    const bare = (value: StructValue) => ({ config: value, translations: new Translations() })
    return mergeCompiled(configType(), bare(over), bare(rendered(inner))).config
  }, own)
}
