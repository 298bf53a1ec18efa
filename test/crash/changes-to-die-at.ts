/** Dies at every point in the middle of an effect, also where nothing new is expected of it. */
export const everyChange = process.env.RECOVER_EVERY_CHANGE === '1'

/**
 * Of the points in the middle of effects those at which a run dies. Left out are
 *
 * - right before a request: all is as it was right after the one before it, but for what the process wrote for itself;
 * - right after the last request of an effect: all is as it is at the effect's end, which other tests die at;
 * - the same kind of request of the same step for another subject, or for another object of the same kind: it is made by
 *   the same lines, and what looks at it afterwards are the same lines, too.
 *
 * @param changes points as a process met them, in order
 * @param steps whose effects
 */
export function changesToDieAt(changes: readonly string[], steps: RegExp): string[] {
  const asked = changes.filter(point => steps.test(partsOf(point).step))
  if (everyChange) return asked
  const last = new Map(asked.map(point => [partsOf(point).step, point]))
  const inside = asked.filter(p => !p.startsWith('before-') && last.get(partsOf(p).step) !== p)
  // Steps side by side come in another order each time: the subject is chosen by its name.
  const ones = new Map<string, string>()
  for (const point of inside.toSorted()) {
    const kind = kindOf(point)
    if (!ones.has(kind)) ones.set(kind, point)
  }
  const chosen = new Set(ones.values())
  return inside.filter(point => chosen.has(point))
}

function partsOf(point: string): { when: string; step: string; what: string } {
  const [, when = '', step = '', what = ''] = /^(\S+) (\S+) (.*)$/.exec(point) ?? []
  return { when, step, what }
}

/** The point without the names of subjects and objects. */
function kindOf(point: string): string {
  const { when, step, what } = partsOf(point)
  const request = what
    .replace(/ \(\d+\)$/, '')
    .replace(/^(\w+) \/apis?\/(\S+)$/, (_, method: string, path: string) => {
      const [group, ...rest] = path.replace(/namespaces\/[^/]+\/(?=.)/, '').split('/')
      return `${method} ${group} ${rest.slice(0, -1).join('/')}`
    })
  return `${when} ${step.replace(/\[.*\]$/, '')} ${request}`
}
