import { isIPv6 } from 'node:net'
import { bytesOf } from './byte-text.ts'

/** The parts of a URL that anybody here asks for. */
export interface GoUrl {
  /** Lower case; empty where there is none. */
  scheme: string
  /** What follows the scheme where no slash does. */
  opaque: string
  /** What follows `?`, not decoded. */
  query: string
}

/** Takes a URL apart by the rules of Go's net/url, which are not those of browsers; undefined where it is none. */
export function parseUrl(text: string): GoUrl | undefined {
  const hash = text.indexOf('#')
  const whole = hash < 0 ? text : text.slice(0, hash)
  if (hash >= 0 && !escapesAreValid(text.slice(hash + 1))) return undefined
  if (/[\x00-\x1f\x7f]/.test(whole)) return undefined
  if (whole === '*') return { scheme: '', opaque: '', query: '' }
  if (whole.startsWith(':')) return undefined
  const named = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(whole)
  const scheme = (named?.[1] ?? '').toLowerCase()
  let rest = named ? whole.slice(named[0].length) : whole
  let query = ''
  const mark = rest.indexOf('?')
  if (mark >= 0) {
    query = rest.slice(mark + 1)
    rest = rest.slice(0, mark)
  }
  if (!rest.startsWith('/')) {
    if (scheme !== '') return { scheme, opaque: rest, query }
    if (rest.split('/')[0]!.includes(':')) return undefined
  }
  if (rest.startsWith('//') && (scheme !== '' || !rest.startsWith('///'))) {
    const slash = rest.indexOf('/', 2)
    const authority = slash < 0 ? rest.slice(2) : rest.slice(2, slash)
    rest = slash < 0 ? '' : rest.slice(slash)
    if (!isAuthority(authority)) return undefined
  }
  return escapesAreValid(rest) ? { scheme, opaque: '', query } : undefined
}

/** The values of a parameter of a query, in their order; parameters that cannot be read do not count. */
export function queryValues(query: string, name: string): string[] {
  return query.split('&').flatMap(part => {
    if (part.includes(';') || part === '') return []
    const cut = part.indexOf('=')
    const key = unescaped(cut < 0 ? part : part.slice(0, cut))
    const value = unescaped(cut < 0 ? '' : part.slice(cut + 1))
    return key === name && value !== undefined ? [value] : []
  })
}

function unescaped(text: string): string | undefined {
  if (!escapesAreValid(text)) return undefined
  const bytes = text
    .replaceAll('+', ' ')
    .replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return bytes
}

function escapesAreValid(text: string): boolean {
  return !/%(?![0-9A-Fa-f]{2})/.test(text)
}

function isAuthority(authority: string): boolean {
  const at = authority.lastIndexOf('@')
  if (!isHost(authority.slice(at + 1))) return false
  if (at < 0) return true
  const user = authority.slice(0, at)
  return /^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user) && escapesAreValid(user)
}

function isHost(host: string): boolean {
  const bracket = host.lastIndexOf('[')
  if (bracket > 0) return false
  if (bracket === 0) {
    const close = host.lastIndexOf(']')
    if (close < 0 || !isPort(host.slice(close + 1))) return false
    const address = host.slice(1, close)
    const zone = address.indexOf('%25')
    const bare = zone < 0 ? address : address.slice(0, zone)
    if (zone >= 0 && address.length === zone + 3) return false
    return isIPv6(bare)
  }
  const colon = host.lastIndexOf(':')
  if (colon >= 0 && !isPort(host.slice(colon))) return false
  return hostCharacters(host)
}

function isPort(text: string): boolean {
  return text === '' || /^:[0-9]*$/.test(text)
}

// In a host only bytes beyond ASCII may be escaped, and the percent sign itself.
function hostCharacters(host: string): boolean {
  for (const [hex] of host.matchAll(/%[0-9A-Fa-f]{2}/g))
    if (hex !== '%25' && Number.parseInt(hex.slice(1), 16) < 0x80) return false
  if (!escapesAreValid(host)) return false
  return [...bytesOf(host)].every(
    byte => byte >= 0x80 || /[A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"%]/.test(String.fromCharCode(byte)),
  )
}
