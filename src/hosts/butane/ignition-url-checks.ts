import { byteLength } from './byte-text.ts'
import { readDataUrl } from './data-url-check.ts'
import { isJson } from './go-json.ts'
import type { StructValue, Value } from './go-types.ts'
import { parseUrl, queryValues } from './go-url.ts'
import type { IgnitionCheck } from './ignition-checks.ts'

const empty = (value: Value) => value === undefined || value === ''

/** What is wrong with a URL that Ignition shall fetch. */
export function urlFault(text: string, minor: number): string | undefined {
  const url = parseUrl(text)
  if (!url) return 'unable to parse url'
  const schemes = ['http', 'https', 'tftp', ...(minor >= 2 ? ['gs'] : [])]
  if (schemes.includes(url.scheme)) return undefined
  const noVersion = () => {
    const [first] = queryValues(url.query, 'versionId')
    return first === '' ? 'invalid S3 object VersionId' : undefined
  }
  if (url.scheme === 's3') return noVersion()
  if (url.scheme === 'arn' && minor >= 4) {
    const whole = `${url.scheme}:${url.opaque}`
    const sections = whole.split(':')
    const resource = sections.slice(5).join(':')
    const parts = whole.split('/')
    const invalid =
      sections.length < 6 ||
      sections[2] !== 's3' ||
      (resource.startsWith('accesspoint/') && parts.length < 3) ||
      parts.length < 2
    return invalid ? 'invalid S3 ARN format' : noVersion()
  }
  if (url.scheme !== 'data') return 'invalid url scheme'
  const read = readDataUrl(text)
  return 'fault' in read ? read.fault : undefined
}

/** What is wrong with the source of something that must have one. */
export function sourceFault(resource: StructValue, minor: number): string | undefined {
  return empty(resource.source) ? 'source is required' : urlFault(resource.source as string, minor)
}

export const checkResource: IgnitionCheck = (resource, path, notes, minor) => {
  const source = resource.source as string | undefined
  if (!['', 'gzip', undefined].includes(resource.compression as string | undefined))
    notes.error([...path, 'compression'], 'invalid compression method')
  if ((resource.verification as StructValue).hash !== undefined && source === undefined)
    notes.error([...path, 'verification', 'hash'], 'source must be specified if verification is specified')
  if (!empty(source)) notes.error([...path, 'source'], urlFault(source!, minor))
  const headers = (resource.httpHeaders as Value[] | undefined) ?? []
  if (headers.length === 0) return
  const url = empty(source) ? undefined : parseUrl(source!)
  if (!url) notes.error([...path, 'httpHeaders'], 'unable to parse url')
  else if (url.scheme !== 'http' && url.scheme !== 'https')
    notes.error([...path, 'httpHeaders'], 'cannot use HTTP headers with this source scheme')
}

export const checkVerification: IgnitionCheck = (verification, path, notes, minor) => {
  const hash = verification.hash as string | undefined
  if (hash === undefined) return
  const place = [...path, 'hash']
  const dash = hash.indexOf('-')
  if (dash < 0) {
    notes.error(place, 'malformed hash specifier')
    return
  }
  const lengths: Record<string, number> = minor === 0 ? { sha512: 128 } : { sha512: 128, sha256: 64 }
  const length = lengths[hash.slice(0, dash)]
  if (length === undefined) notes.error(place, 'unrecognized hash function')
  else if (byteLength(hash.slice(dash + 1)) !== length) notes.error(place, 'incorrect size for hash sum')
}

export const checkProxy: IgnitionCheck = (proxy, path, notes) => {
  for (const key of ['httpProxy', 'httpsProxy']) {
    const text = proxy[key] as string | undefined
    if (text === undefined) continue
    const url = parseUrl(text)
    if (!url) notes.error([...path, key], 'unable to parse url')
    else if (url.scheme !== 'https' && url.scheme !== 'http')
      notes.error([...path, key], 'proxies must be http(s)')
    else if (url.scheme === 'http' && key === 'httpsProxy')
      notes.warning([...path, key], 'insecure plaintext HTTP proxy specified for HTTPS resources')
  }
}

export const checkTang: IgnitionCheck = (tang, path, notes, minor) => {
  const url = parseUrl(tang.url as string)
  if (!url) notes.error([...path, 'url'], 'unable to parse url')
  else if (url.scheme !== 'http' && url.scheme !== 'https')
    notes.error([...path, 'url'], 'invalid url scheme')
  if (empty(tang.thumbprint)) notes.error([...path, 'thumbprint'], 'thumbprint is required')
  const advertisement = tang.advertisement as string | undefined
  if (minor < 4 || empty(advertisement)) return
  if (!isJson(advertisement!)) notes.error([...path, 'advertisement'], 'advertisement is not valid JSON')
}
