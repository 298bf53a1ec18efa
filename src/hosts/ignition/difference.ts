import { gunzipSync } from 'node:zlib'

/** A compressed file of a config is small; more than this is a bomb. */
const mostBytes = 64 << 20

/**
 * Where two configs first differ, as compilers write places (`$.storage.files.0.mode`); undefined where they are the same
 * JSON value. Compressed contents are compared by what is in them: two compilers pack alike only by chance. Only the place
 * is told, since what stands there may be a secret.
 */
export function firstDifference(one: unknown, other: unknown, path = '$'): string | undefined {
  if (!isObject(one) || !isObject(other) || Array.isArray(one) !== Array.isArray(other))
    return one === other ? undefined : path
  const [a, b] = isPacked(one) || isPacked(other) ? [unpacked(one), unpacked(other)] : [one, other]
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  for (const key of Array.isArray(one) ? keys : keys.sort()) {
    const found = firstDifference(a[key], b[key], `${path}.${key}`)
    if (found !== undefined) return found
  }
  return undefined
}

type Value = Record<string, unknown>

function isObject(value: unknown): value is Value {
  return typeof value === 'object' && value !== null
}

function isPacked(value: Value): boolean {
  return value.compression === 'gzip' && typeof value.source === 'string'
}

/** The same contents without compression; as it is where it cannot be unpacked. */
function unpacked(resource: Value): Value {
  const match = /^data:[^,]*?(;base64)?,(.*)$/s.exec(
    typeof resource.source === 'string' ? resource.source : '',
  )
  if (!match) return resource
  const { compression, source: _, ...rest } = resource
  try {
    const bytes = match[1]
      ? Buffer.from(match[2] ?? '', 'base64')
      : Buffer.from(decodeURIComponent(match[2] ?? ''))
    const plain = compression === 'gzip' ? gunzipSync(bytes, { maxOutputLength: mostBytes }) : bytes
    return { ...rest, source: plain.toString('base64') }
  } catch {
    return resource
  }
}
