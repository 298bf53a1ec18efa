import { addBootDevice, addGrubUsers } from './boot-device.ts'
import { butaneProblems } from './butane-checks.ts'
import { duplicateEntries } from './duplicates.ts'
import { type Entry, isFatal } from './entries.ts'
import { partitionWarnings } from './fcos-partitions.ts'
import { fieldsBeyondTarget, forbiddenFields } from './forbidden-fields.ts'
import type { Struct, StructValue } from './go-types.ts'
import { ignitionProblems } from './ignition-checks.ts'
import { writeIgnition } from './ignition-json.ts'
import { LocalFiles } from './local-files.ts'
import type { Compiled } from './merge.ts'
import type { ButaneMessage, ButaneOptions, ButaneResult } from './messages.ts'
import { addMountUnits } from './mount-units.ts'
import { type Path, positionOf, showPath } from './places.ts'
import { addQuadlets } from './quadlets.ts'
import { showMessages } from './report.ts'
import { semanticVersion } from './semantic-version.ts'
import { type Spec, specOf } from './specs.ts'
import { translate } from './translate.ts'
import { snakeCase } from './translations.ts'
import { addTrees } from './trees.ts'
import { unusedKeys } from './unused-keys.ts'
import { decodeYaml } from './yaml/decode.ts'
import { parseYaml } from './yaml/parser.ts'
import { YamlFault } from './yaml/yaml-fault.ts'
import type { YamlNode } from './yaml/yaml-node.ts'

/** Why there is no config, as Butane words it. */
class CompileFault extends Error {
  readonly entries: Entry[]

  constructor(message: string, entries: Entry[] = []) {
    super(message)
    this.entries = entries
  }
}

/**
 * Compiles a Butane config to an Ignition config, as Butane 0.29 does: the same config, the same messages at the same
 * places, the same stages of which each hides the ones behind it.
 * @param text YAML; bytes that are not UTF-8 as `textOfBytes` gives them.
 */
export function compileButane(text: string, options: ButaneOptions): ButaneResult {
  const files = new LocalFiles(options.filesDir)
  let root: YamlNode | undefined
  let entries: Entry[] = []
  let fault: string | undefined
  let made: { spec: Spec; config: StructValue } | undefined
  try {
    root = parse(text)
    const spec = specIn(root, options)
    const source = decodeWith(root, spec.schema, '')
    entries = unusedKeys(spec.schema, source, root)
    const { compiled, entries: found } = compile(source, spec, files)
    entries.push(...found)
    made = { spec, config: compiled.config }
  } catch (error) {
    if (!(error instanceof CompileFault)) throw error
    entries.push(...error.entries)
    fault = error.message
  }
  const messages = entries.map(entry => messageOf(entry, root))
  const report = showMessages(messages, options.source, text)
  const fails = (ending: string): ButaneResult => ({
    text: '',
    messages: messages.length > 0 || fault === undefined ? messages : [messageOfFault(fault)],
    report: `${report}${ending}`,
    localFiles: files.read,
    exitCode: 1,
  })
  if (fault !== undefined) return fails(`Error translating config: ${fault}`)
  if (options.strict && messages.length > 0)
    return fails('Config produced warnings and --strict was specified')
  const json = writeIgnition(made!.spec.types('Config'), made!.config)
  return {
    config: JSON.parse(json),
    text: `${json}\n`,
    messages,
    report: report.replace(/\n$/, ''),
    localFiles: files.read,
    exitCode: 0,
  }
}

/** Older specs have fields of other forms, too, and no image that reads the experimental ones. */
const oldestTarget = 3

const start: Struct = {
  kind: 'struct',
  name: 'config.commonFields',
  plainName: 'commonFields',
  fields: ['version', 'variant'].map(key => ({
    key,
    type: { kind: 'string', name: 'string' },
    always: false,
  })),
}

function parse(text: string): YamlNode {
  try {
    const root = parseYaml(text)
    if (root) return root
  } catch (error) {
    if (error instanceof YamlFault) throw new CompileFault(`Error unmarshaling yaml: yaml: ${error.message}`)
    throw error
  }
  throw new CompileFault('error parsing variant; must be specified')
}

function decodeWith(root: YamlNode, type: Struct, prefix: string): StructValue {
  try {
    return decodeYaml(root, type)
  } catch (error) {
    if (error instanceof YamlFault) throw new CompileFault(`${prefix}yaml: ${error.message}`)
    throw error
  }
}

function specIn(root: YamlNode, options: ButaneOptions): Spec {
  const { variant, version } = decodeWith(root, start, 'Error unmarshaling yaml: ') as Record<string, string>
  if (variant === undefined || variant === '')
    throw new CompileFault('error parsing variant; must be specified')
  const known = semanticVersion(version ?? '')
  if (known === undefined) throw new CompileFault('error parsing version; must be a valid semver')
  if (variant === 'rhcos' && known === '0.1.0')
    throw new CompileFault(
      'rhcos variant has been removed; use openshift variant instead: https://coreos.github.io/butane/upgrading-openshift/',
    )
  const { spec: target } = options
  if (target !== undefined && known.endsWith('-experimental') && Number(target.split('.')[1]) < oldestTarget)
    throw new CompileFault(`${variant} ${known} cannot be made for Ignition spec ${target}`)
  const spec = specOf(variant, known, target)
  if (!spec) throw new CompileFault(`No translator exists for variant ${variant} with version ${known}`)
  return spec
}

const invalidSource = 'source config is invalid'

function compile(
  source: StructValue,
  spec: Spec,
  files: LocalFiles,
): { compiled: Compiled; entries: Entry[] } {
  const entries = butaneProblems(spec, source)
  if (isFatal(entries)) throw new CompileFault(invalidSource, entries)

  const report: Entry[] = []
  let compiled = translate(source, spec, files, report)
  compiled = addMountUnits(source, spec, compiled)
  if (spec.part >= 2) addTrees(source, spec, compiled, files, report)
  if (spec.part >= 8) addQuadlets(source, spec, compiled, files, report)
  if (isFatal(report)) throw new CompileFault(invalidSource, [...entries, ...report])
  if (spec.variant === 'fcos') {
    compiled = addBootDevice(source, spec, compiled)
    report.push(...partitionWarnings(compiled.config, spec))
    compiled = addGrubUsers(source, spec, compiled)
  }
  const take = (found: Entry[]) => {
    entries.push(...found.map(entry => inSource(entry, compiled)))
  }
  take(report)

  const type = spec.types('Config')
  take(forbiddenFields(compiled.config, spec))
  if (spec.experimental) take(fieldsBeyondTarget(compiled.config, spec))
  if (isFatal(entries)) throw new CompileFault(invalidSource, entries)

  take(duplicateEntries(type, compiled.config))
  take(ignitionProblems(type, compiled.config, spec.ignition))
  if (isFatal(entries)) throw new CompileFault('config generated was invalid', entries)
  return { compiled, entries }
}

/** An entry about the compiled config as one about the source. */
function inSource(entry: Entry, { translations }: Compiled): Entry {
  if (entry.of === 'source') return entry
  const path: Path =
    translations.get(entry.path) ?? entry.path.map(p => (typeof p === 'string' ? snakeCase(p) : p))
  return { ...entry, path }
}

function messageOf({ severity, text, path }: Entry, root: YamlNode | undefined): ButaneMessage {
  return { severity, path: showPath(path), ...(root ? positionOf(root, path) : {}), text }
}

function messageOfFault(text: string): ButaneMessage {
  const line = /\bline (\d+): /.exec(text)?.[1]
  return { severity: 'error', path: '$', ...(line === undefined ? {} : { line: Number(line) }), text }
}
