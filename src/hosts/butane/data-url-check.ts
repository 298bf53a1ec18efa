/**
 * Reads a data URL as strictly as Ignition does.
 * @returns what is wrong with it, or its contents.
 */
export function readDataUrl(url: string): { fault: string } | { contents: Buffer } {
  const head = readHead(url)
  if ('fault' in head) return head
  const data = url.slice(head.end)
  return head.base64 ? readBase64(data) : readEscaped(data)
}

const token = /[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]/

/** Media type, parameters and `;base64`, up to and with the comma. */
function readHead(url: string): { fault: string } | { base64: boolean; end: number } {
  if (!url.startsWith('data:')) return { fault: 'missing data prefix' }
  let at = 5
  const fault = (text: string) => ({ fault: text })
  const first = url[at]
  if (first === undefined) return fault('missing comma before data')
  if (first !== ';' && first !== ',') {
    if (!token.test(first)) return fault('invalid character after data prefix')
    const extension = /^[xX]-/.test(url.slice(at))
    const slash = url.slice(at).search(/[^!#$%&'*+\-.0-9A-Z^_`a-z{|}~]/)
    if (slash < 0) return fault('missing media type slash')
    if (url[at + slash] !== '/') return fault('invalid character for media type')
    if (
      !extension &&
      !/^(?:text|image|audio|video|application|message|multipart)/.test(url.slice(at, at + slash))
    )
      return fault('invalid media type')
    at += slash + 1
    const stop = url.slice(at).search(/[^!#$%&'*+\-.0-9A-Z^_`a-z{|}~]/)
    if (stop < 0) return fault('incomplete media type')
    if (url[at + stop] !== ';' && url[at + stop] !== ',') return fault('invalid character for media subtype')
    at += stop
  }
  while (url[at] === ';') {
    const rest = url.slice(at + 1)
    if (rest === '' || rest[0] === '=' || rest[0] === ',') return fault('unterminated parameter sequence')
    const stop = rest.search(/[^!#$%&'*+\-.0-9A-Z^_`a-z{|}~]/)
    if (stop < 0) return fault('unterminated parameter sequence')
    if (rest[stop] === ',') {
      const word = rest.slice(0, stop)
      return word === 'base64'
        ? { base64: true, end: at + 1 + stop + 1 }
        : fault(`expected base64, got ${word}`)
    }
    if (rest[stop] !== '=') return fault('invalid character for parameter attribute')
    const value = readParameter(url, at + 1 + stop + 1)
    if ('fault' in value) return value
    at = value.end
  }
  if (url[at] === undefined) return fault('missing comma before data')
  if (url[at] !== ',') return fault('expected semicolon or comma')
  return { base64: false, end: at + 1 }
}

function readParameter(url: string, from: number): { fault: string } | { end: number } {
  const fault = (text: string) => ({ fault: text })
  const first = url[from]
  if (first === undefined) return fault('missing comma before data')
  if (first === '"') {
    for (let at = from + 1; ; at++) {
      const char = url[at]
      if (char === undefined) return fault('unclosed quoted string')
      if (char === '"') {
        const next = url[at + 1]
        if (next === ';' || next === ',') return { end: at + 1 }
        return fault(next === undefined ? 'missing comma before data' : 'expected semicolon or comma')
      }
      if (char === '\\') at++
      if ((url[at]?.charCodeAt(0) ?? 0) > 0x7f)
        return fault(char === '\\' ? 'invalid escaped character' : 'invalid character for parameter value')
    }
  }
  if (!token.test(first)) return fault('invalid character for parameter value')
  const stop = url.slice(from).search(/[^!#$%&'*+\-.0-9A-Z^_`a-z{|}~]/)
  if (stop < 0) return fault('missing comma before data')
  if (url[from + stop] !== ';' && url[from + stop] !== ',')
    return fault('invalid character for parameter value')
  const escapes = readEscaped(url.slice(from, from + stop))
  return 'fault' in escapes ? escapes : { end: from + stop }
}

function readEscaped(data: string): { fault: string } | { contents: Buffer } {
  if (/[\x00-\x20\x7f<>#"{}|\\^[\]`]|[^\x00-\x7f]/.test(data)) return { fault: 'invalid data character' }
  const bytes: number[] = []
  for (let i = 0; i < data.length; i++) {
    if (data[i] !== '%') {
      bytes.push(data.charCodeAt(i))
      continue
    }
    for (const digit of [data[i + 1], data[i + 2]]) {
      if (digit === undefined) return { fault: 'rfc2396: unexpected end of unescape sequence' }
      if (!/[0-9A-Fa-f]/.test(digit)) return { fault: 'rfc2396: invalid char 0x25 in unescape sequence' }
    }
    bytes.push(Number.parseInt(data.slice(i + 1, i + 3), 16))
    i += 2
  }
  return { contents: Buffer.from(bytes) }
}

function readBase64(data: string): { fault: string } | { contents: Buffer } {
  if (/[^A-Za-z0-9+/=\n]/.test(data)) return { fault: 'invalid data character' }
  const corrupt = corruptBase64At(data)
  if (corrupt !== undefined) return { fault: `illegal base64 data at input byte ${corrupt}` }
  return { contents: Buffer.from(data, 'base64') }
}

/** Where Go's decoder stops at padded base64; line feeds do not count as data. */
function corruptBase64At(data: string): number | undefined {
  let count = 0
  for (let i = 0; i < data.length; i++) {
    if (data[i] === '\n') continue
    if (data[i] !== '=') {
      count++
      continue
    }
    const inGroup = count % 4
    if (inGroup < 2) return i
    let at = i + 1
    if (inGroup === 2) {
      while (data[at] === '\n') at++
      if (at === data.length) return data.length
      if (data[at] !== '=') return at
      at++
    }
    while (data[at] === '\n') at++
    return at < data.length ? at : undefined
  }
  if (count % 4 === 0) return undefined
  return data.length - (count % 4)
}
