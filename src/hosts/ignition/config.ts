import { gunzipSync } from 'node:zlib'
import { Fault } from '../../runbook/fault.ts'
import { decodeJson, JsonFault, type JsonNode, parseJson } from '../butane/go-json.ts'
import { ignitionTypes } from '../butane/ignition-schema.ts'

/** What a config may take from somewhere: a `data:` URL, or a place that must answer when the machine boots. */
export interface Resource {
  source?: string | null
  compression?: string | null
  httpHeaders?: { name?: string; value?: string | null }[]
  verification?: { hash?: string | null }
}

export interface IgnitionNode {
  path?: string
  overwrite?: boolean
  mode?: number
}

export interface IgnitionFile extends IgnitionNode {
  contents?: Resource
  append?: Resource[]
}

export interface Tang {
  url?: string
  thumbprint?: string | null
  advertisement?: string | null
}

/** The parts of an Ignition 3.x config that we look at (coreos.github.io/ignition/specs). Everything else is handed on. */
export interface IgnitionConfig {
  ignition: {
    version: string
    config?: { merge?: Resource[]; replace?: Resource }
    security?: { tls?: { certificateAuthorities?: Resource[] } }
    [key: string]: unknown
  }
  kernelArguments?: { shouldExist?: string[]; shouldNotExist?: string[] }
  passwd?: {
    users?: { name?: string; sshAuthorizedKeys?: string[]; passwordHash?: string | null; groups?: string[] }[]
    [key: string]: unknown
  }
  storage?: {
    disks?: { device?: string; wipeTable?: boolean; partitions?: { label?: string | null }[] }[]
    raid?: { name?: string; devices?: string[] }[]
    luks?: {
      name?: string
      device?: string | null
      wipeVolume?: boolean
      keyFile?: Resource
      clevis?: { tang?: Tang[]; tpm2?: boolean; threshold?: number; custom?: { pin?: string } }
    }[]
    filesystems?: { device?: string; path?: string | null; wipeFilesystem?: boolean }[]
    files?: IgnitionFile[]
    directories?: IgnitionNode[]
    links?: (IgnitionNode & { target?: string })[]
    [key: string]: unknown
  }
  systemd?: {
    units?: {
      name?: string
      enabled?: boolean
      mask?: boolean
      contents?: string | null
      dropins?: { name?: string; contents?: string | null }[]
    }[]
  }
  [key: string]: unknown
}

/** Reads a config's text. Throws Fault `ignition-invalid`. */
export function parseIgnition(text: string, source: string): IgnitionConfig {
  const invalid = (why: string, cause?: unknown) => invalidIgnition(source, why, cause)
  let parsed: IgnitionConfig
  try {
    parsed = JSON.parse(text) as IgnitionConfig
  } catch (cause) {
    throw invalid('it is not JSON', cause)
  }
  const version = parsed?.ignition?.version
  if (typeof version !== 'string') throw invalid('it has no ignition.version')
  if (!/^3\.[0-9]+\.0(-experimental)?$/.test(version))
    throw invalid(`its version ${version} is not of the 3.x line`)
  const misfit = misfitIn(text)
  if (misfit !== undefined) throw invalid(misfit)
  const twice = writtenTwice(parsed)
  if (twice.length > 0) throw invalid(`it writes ${twice.join(', ')} twice`)
  return parsed
}

/** The Fault of a config that cannot be used. */
export function invalidIgnition(source: string, why: string, cause?: unknown): Fault {
  return new Fault({
    code: 'ignition-invalid',
    blame: 'operator',
    message: `${source} is not an Ignition config that can be used: ${why}`,
    remedy: 'Compile it from its Butane file again, and check it with ignition-validate',
    at: source,
    cause,
  })
}

/** What is not of the type that Ignition wants there. It takes null in a list for an entry of which nothing is said. */
function misfitIn(text: string): string | undefined {
  const hasHole = (node: JsonNode): boolean =>
    node.kind === 'array'
      ? node.items.some(item => item.kind === 'null' || hasHole(item))
      : node.kind === 'object' && node.pairs.some(([, value]) => hasHole(value))
  try {
    const root = parseJson(text)
    decodeJson(root, ignitionTypes(newestSpec)('Config'))
    return hasHole(root) ? 'it has null in a list' : undefined
  } catch (thrown) {
    if (thrown instanceof JsonFault) return thrown.message
    throw thrown
  }
}

/** Minor version of the newest spec whose types and rules are known here. */
export const newestSpec = 7

/** Paths that more than one file, directory or link wants. */
function writtenTwice({ storage }: IgnitionConfig): string[] {
  const paths = [
    ...(storage?.files ?? []),
    ...(storage?.directories ?? []),
    ...(storage?.links ?? []),
  ].flatMap(node => (node.path === undefined ? [] : [node.path]))
  return [...new Set(paths.filter((path, i) => paths.indexOf(path) !== i))]
}

/** More than this is not unpacked to look at it: a whole config is no larger (see `largestConfig`). */
const unpackAtMost = 64 * 2 ** 20

/** What stands behind a `data:` URL, unpacked; undefined for any other source, and for one that cannot be read. */
export function inlineBytes(resource: Resource | undefined): Buffer | undefined {
  const match = /^data:[^,]*?(;base64)?,(.*)$/s.exec(resource?.source ?? '')
  if (!match) return undefined
  try {
    const bytes = match[1]
      ? Buffer.from(decodeURIComponent(match[2] ?? ''), 'base64')
      : Buffer.from(
          Buffer.from(match[2] ?? '')
            .toString('latin1')
            .replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
              String.fromCharCode(Number.parseInt(hex, 16)),
            ),
          'latin1',
        )
    return resource?.compression === 'gzip' ? gunzipSync(bytes, { maxOutputLength: unpackAtMost }) : bytes
  } catch {
    return undefined
  }
}

/** The text behind a `data:` URL, unpacked; undefined for any other source. */
export function inlineText(resource: Resource | undefined): string | undefined {
  return inlineBytes(resource)?.toString()
}
