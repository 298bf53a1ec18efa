import { YamlFault } from './yaml-fault.ts'

const longPrefix = 'tag:yaml.org,2002:'

/** `!!str` for `tag:yaml.org,2002:str`. */
export function shortTag(tag: string): string {
  return tag.startsWith(longPrefix) ? `!!${tag.slice(longPrefix.length)}` : tag
}

export type Resolved =
  | { tag: '!!null'; value: null }
  | { tag: '!!bool'; value: boolean }
  | { tag: '!!int'; value: bigint }
  | { tag: '!!float'; value: number }
  | { tag: string; value: string }

/** The tag of a scalar without quotes and without a tag of its own. */
export function resolveTag(value: string): string {
  return resolveScalar('', value).tag
}

/**
 * What a scalar means under a tag, by the rules of Go's yaml.v3: YAML 1.2, octal numbers of 1.1 besides, and dates.
 * `yes` and `on` are strings here; whoever wants a boolean takes them.
 */
export function resolveScalar(tag: string, value: string): Resolved {
  if (!['', '!!str', '!!bool', '!!int', '!!float', '!!null', '!!timestamp'].includes(tag))
    return { tag, value }
  const found = tag === '!!str' ? { tag: '!!str', value } : meaningOf(value, tag)
  if (tag === '' || tag === found.tag || tag === '!!str') return found
  // What needs all 64 bits is a whole number of a type of its own, which is not made a fraction.
  if (tag === '!!float' && typeof found.value === 'bigint' && found.value < 2n ** 63n)
    return { tag: '!!float', value: Number(found.value) }
  throw new YamlFault(`cannot decode ${found.tag} \`${value}\` as a ${tag}`)
}

function meaningOf(value: string, tag: string): Resolved {
  if (['', '~', 'null', 'Null', 'NULL'].includes(value)) return { tag: '!!null', value: null }
  if (['true', 'True', 'TRUE'].includes(value)) return { tag: '!!bool', value: true }
  if (['false', 'False', 'FALSE'].includes(value)) return { tag: '!!bool', value: false }
  if (['.nan', '.NaN', '.NAN'].includes(value)) return { tag: '!!float', value: Number.NaN }
  const infinity = /^([-+]?)\.(?:inf|Inf|INF)$/.exec(value)
  if (infinity) return { tag: '!!float', value: infinity[1] === '-' ? -Infinity : Infinity }
  if (/^\.[0-9]/.test(value)) return float(value, /^\.[0-9]+(?:[eE][-+]?[0-9]+)?$/) ?? { tag: '!!str', value }
  if (!/^[-+0-9]/.test(value)) return { tag: '!!str', value }
  if ((tag === '' || tag === '!!timestamp') && isTimestamp(value)) return { tag: '!!timestamp', value }
  const plain = value.replaceAll('_', '')
  const int = integer(plain)
  if (int !== undefined) return { tag: '!!int', value: int }
  return (
    float(plain, /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/) ?? { tag: '!!str', value }
  )
}

function float(text: string, form: RegExp): Resolved | undefined {
  if (!form.test(text)) return undefined
  const value = Number(text)
  return Number.isFinite(value) ? { tag: '!!float', value } : undefined
}

/** Whole numbers from -2^63 to 2^64-1, with the prefixes `0x`, `0o`, `0b` and `0`. */
function integer(text: string): bigint | undefined {
  const parts = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]([0-7]+)|0[bB]([01]+)|(0[0-7]+)|(0|[1-9][0-9]*))$/.exec(
    text,
  )
  if (!parts) return undefined
  const [, sign, hex, octal, binary, oldOctal, decimal] = parts
  const size =
    hex !== undefined
      ? BigInt(`0x${hex}`)
      : octal !== undefined
        ? BigInt(`0o${octal}`)
        : binary !== undefined
          ? BigInt(`0b${binary}`)
          : oldOctal !== undefined
            ? BigInt(`0o${oldOctal.slice(1)}`)
            : BigInt(decimal!)
  const value = sign === '-' ? -size : size
  const most = sign === '' ? 2n ** 64n - 1n : 2n ** 63n - 1n
  return value >= -(2n ** 63n) && value <= most ? value : undefined
}

/** The four forms of a date that Go's yaml.v3 knows. */
function isTimestamp(text: string): boolean {
  const parts =
    /^(\d{4})-(\d{1,2})-(\d{1,2})(?:(?:[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(?:Z|[-+]\d{2}:\d{2}))|(?: (\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?))?$/.exec(
      text,
    )
  if (!parts) return false
  const [year, month, day] = parts.slice(1, 4).map(Number) as [number, number, number]
  const [hour, minute, second] = (parts[4] === undefined ? parts.slice(7, 10) : parts.slice(4, 7)).map(x =>
    Number(x ?? 0),
  ) as [number, number, number]
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return false
  return day >= 1 && day <= new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate()
}
