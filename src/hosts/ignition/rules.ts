import { duplicateEntries } from '../butane/duplicates.ts'
import { decodeJson, parseJson } from '../butane/go-json.ts'
import { ignitionProblems } from '../butane/ignition-checks.ts'
import { ignitionTypes } from '../butane/ignition-schema.ts'
import { showPath } from '../butane/places.ts'
import { type IgnitionConfig, invalidIgnition, newestSpec } from './config.ts'
import type { Finding } from './findings.ts'

/** Has a finding of its own, which names the file and the unit. */
const toldElsewhere = 'path conflicts with systemd unit or dropin'

/**
 * What Ignition itself would refuse a config for at the first boot, when the disk is written and nothing answers any more:
 * paths that are not absolute, hashes that are none, an entry that is there twice. Butane has looked at what it compiled;
 * at a config that was made elsewhere nobody has.
 */
export function ruleFindings(config: IgnitionConfig, shown: string): Finding[] {
  const minor = Number(config.ignition.version.split('.')[1])
  if (minor > newestSpec) return []
  const type = ignitionTypes(minor)('Config')
  const value = decodeJson(parseJson(JSON.stringify(config)), type)
  const wrong = [...ignitionProblems(type, value, minor), ...duplicateEntries(type, value)].filter(
    entry => entry.severity === 'error' && entry.text !== toldElsewhere,
  )
  if (wrong.length === 0) return []
  const why = wrong.map(({ path, text }) => `${showPath(path)}: ${text}`).join('; ')
  const { message, remedy } = invalidIgnition(shown, why)
  return [{ severity: 'refusal', code: 'ignition-invalid', blame: 'operator', message, remedy, at: shown }]
}
