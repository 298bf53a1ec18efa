/**
 * One line of plain text: what machines answered may hold line breaks, escape sequences or marks that turn the
 * direction of writing, and none of them may act on a terminal or a page.
 */
export function plain(text: string): string {
  return text
    .replaceAll(/\u001b\[[0-?]*[ -/]*[@-~]/g, '')
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .replaceAll(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')
    .trim()
}

/** A point of the wall clock as a person reads it: `2026-11-23 16:43:12 CET`; in this machine's zone unless one is named. */
export function when(iso: string, timeZone?: string): string {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return plain(iso)
  const parts = new Intl.DateTimeFormat('en-GB', {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'short',
    ...(timeZone === undefined ? {} : { timeZone }),
  }).formatToParts(date)
  const get = (type: string) => parts.find(p => p.type === type)?.value ?? ''
  return `${get('year')}-${get('month')}-${get('day')} ${get('hour')}:${get('minute')}:${get('second')} ${get('timeZoneName')}`
}

/** Bytes in the unit that a person would choose, powers of 1024: `812 bytes`, `4.0 KiB`, `20.0 GiB`. */
export function showBytes(bytes: number): string {
  if (bytes < 1024) return count(bytes, 'byte')
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes / 1024
  let unit = 0
  // From here on one decimal would round up to the next unit.
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${value.toFixed(1)} ${units[unit]}`
}

/** `1 step`, `4 steps`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}

/** The first 12 digits of a hash: enough to compare by eye. */
export function short(hash: string): string {
  return plain(hash)
    .replace(/^sha256:/, '')
    .slice(0, 12)
}

/** A title for a step whose title nothing recorded: `hosts/install-flatcar[lithium]` becomes `Install flatcar (lithium)`. */
export function titleFromId(step: string): string {
  const [, base = step, key] = /^([^[]*)(?:\[(.*)\])?$/s.exec(step) ?? []
  const words = base.slice(base.indexOf('/') + 1).replaceAll('-', ' ')
  const title = words.charAt(0).toUpperCase() + words.slice(1)
  return key === undefined ? title : `${title} (${key === '?' ? 'not known yet for which' : key})`
}
