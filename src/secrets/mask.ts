const placeholder = '‹secret›'
const shortestValue = 4
const shortestLine = 8

/**
 * Takes secrets out of whatever is about to be shown or stored, by value: it knows no field names, so that it also
 * finds a password in the middle of another program's error message.
 *
 * A value is found as it is; JSON-escaped (also twice, and as Go and Python escape it); in base64 and base64url, also as
 * a part of something longer that was encoded; and URI-encoded. Of a value with several lines, every line of 8
 * characters or more is found by itself. Values shorter than 4 characters cannot be masked: they would be found
 * everywhere.
 */
export class Mask {
  readonly #values = new Set<string>()
  #forms: string[] = []

  /** Makes a value known. One that is too short or blank is ignored, one already known costs nothing. */
  register(value: string): void {
    if (this.#values.has(value)) return
    this.#values.add(value)
    const forms = new Set(this.#forms)
    const lines = value.split(/\r\n|[\r\n]/).map(line => line.trim())
    const parts = [
      value,
      value.trim(),
      ...(lines.length > 1 ? lines.filter(l => l.length >= shortestLine) : []),
    ]
    for (const part of parts)
      if (part.length >= shortestValue && part.trim() !== '')
        for (const form of formsOf(part)) forms.add(form)
    this.#forms = [...forms].sort((a, b) => b.length - a.length)
  }

  /**
   * The text with every registered value replaced by `‹secret›`. Values that overlap become one placeholder, so that
   * no rest of either stays. Give it whole lines: a value that is cut in two between calls is not found.
   */
  text(s: string): string {
    const spans = this.#find(s)
    if (spans.length === 0) return s
    let masked = ''
    let end = 0
    for (const [from, to] of spans) {
      masked += s.slice(end, from) + placeholder
      end = to
    }
    return masked + s.slice(end)
  }

  /**
   * A copy of a JSON value with every text in it masked, keys included. Numbers, booleans and null stay: to mask the
   * finished line instead would break a number that happens to contain a secret's digits, and with it the JSON.
   */
  json<T>(value: T): T {
    return this.#json(value) as T
  }

  #json(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value)
    if (typeof value !== 'object' || value === null) return value
    if ('toJSON' in value && typeof value.toJSON === 'function') return this.#json(value.toJSON() as unknown)
    if (Array.isArray(value)) return value.map(item => this.#json(item))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [this.text(key), this.#json(item)]))
  }

  /** Where secrets are: from and to, in order, without overlaps. */
  #find(s: string): [from: number, to: number][] {
    const found: [number, number][] = []
    for (const form of this.#forms)
      for (let at = s.indexOf(form); at !== -1; at = s.indexOf(form, at + 1))
        found.push([at, at + form.length])
    if (found.length === 0) return []
    found.sort((a, b) => a[0] - b[0] || b[1] - a[1])
    const masked = placeholders(s)
    const spans: [number, number][] = []
    for (const [from, to] of found) {
      // A secret such as `secret` is a part of the placeholder; without this, masking twice would grow the text.
      if (masked.some(at => at <= from && to <= at + placeholder.length)) continue
      const last = spans.at(-1)
      if (last && from < last[1]) last[1] = Math.max(last[1], to)
      else spans.push([from, to])
    }
    return spans
  }
}

function placeholders(s: string): number[] {
  const starts: number[] = []
  for (let at = s.indexOf(placeholder); at !== -1; at = s.indexOf(placeholder, at + 1)) starts.push(at)
  return starts
}

/** Every way in which a value may be written. */
function formsOf(value: string): string[] {
  const escaped = jsonEscape(value)
  const forms = [
    value,
    escaped,
    jsonEscape(escaped),
    goEscape(escaped),
    asciiEscape(escaped),
    ...base64Forms(value),
  ]
  for (const encoded of uriForms(value)) forms.push(encoded, encoded.replaceAll(/%[0-9A-F]{2}/g, lower))
  return forms
}

function jsonEscape(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

const lower = (text: string) => text.toLowerCase()
const unicodeEscape = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

/** encoding/json of Go escapes what HTML would take for markup. */
function goEscape(escaped: string): string {
  return escaped.replaceAll(/[<>&\u2028\u2029]/g, unicodeEscape)
}

/** The json module of Python escapes all but ASCII. */
function asciiEscape(escaped: string): string {
  return escaped.replaceAll(/[^\x00-\x7f]/g, unicodeEscape)
}

/**
 * The value in base64, with and without padding, and its inner characters for the two other alignments that it can have
 * inside something longer (`user:password` of HTTP, a whole file): those that depend on nothing but the value.
 */
function base64Forms(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8')
  const padded = bytes.toString('base64')
  const forms = [padded, padded.replaceAll('=', '')]
  for (const before of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
    forms.push(shifted.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6)))
  }
  return forms.flatMap(form => [form, form.replaceAll('+', '-').replaceAll('/', '_')])
}

/** As encodeURIComponent, as RFC 3986 has it, and as a form sends it. */
function uriForms(value: string): string[] {
  // encodeURIComponent throws on half a surrogate pair, and every encoder sends U+FFFD in its place.
  const whole = Buffer.from(value, 'utf8').toString('utf8')
  const component = encodeURIComponent(whole)
  const strict = component.replaceAll(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
  const form = new URLSearchParams([['', whole]]).toString().slice(1)
  return [component, strict, form, encodeURI(whole)]
}
