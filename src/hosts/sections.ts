import { Fault } from '../runbook/fault.ts'

/**
 * Takes apart what a script printed on a machine: parts that begin with a line `=== NAME`, the last of them `end`. Control
 * characters are gone, since what a machine says of itself is shown at a terminal. Throws Fault `host-facts-incomplete`
 * when the end is missing.
 */
export function sectionsOf(text: string, host: string): Map<string, string> {
  const parts = new Map<string, string>()
  const printable = text.replaceAll(/[^\P{Cc}\n\t]/gu, '')
  for (const part of printable.split(/^=== /m).slice(1)) {
    const end = part.indexOf('\n')
    parts.set(part.slice(0, end === -1 ? undefined : end), end === -1 ? '' : part.slice(end + 1).trimEnd())
  }
  if (!parts.has('end')) throw cutShort(host, 'telling what it is')
  return parts
}

/** A machine went silent before it had said everything: Fault `host-facts-incomplete`. */
export function cutShort(host: string, telling: string): Fault {
  return new Fault({
    code: 'host-facts-incomplete',
    blame: 'network',
    message: `${host} stopped talking in the middle of ${telling}`,
    remedy: 'Check the line to it; it is asked again by itself',
    transient: true,
  })
}
