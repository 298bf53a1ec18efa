import type { HostFacts } from '../../src/hosts/facts.ts'
import type { DiskSelector } from '../../src/hosts/resolve-disk.ts'
import { hostVictims, type SurveyedData } from '../../src/hosts/victims.ts'
import type { Surveyed } from './survey.ts'

/**
 * What was found before, and what a look right now finds besides: a system that still runs goes on writing. Only what was
 * there to be kept counts as kept.
 */
export function withLaterData(before: Surveyed, now: Surveyed): Surveyed {
  const kept = (data: SurveyedData) => before.data.some(d => isSame(d, data) && d.saved)
  const found = now.data.map(data => ({ ...data, saved: data.saved && kept(data) }))
  const gone = before.data.filter(data => !found.some(f => isSame(f, data)))
  return { ...before, saw: found.length > 0 ? now.saw : before.saw, data: [...gone, ...found] }
}

/**
 * Data victims of a host that nobody can have agreed to, because they came after it was looked for: new ones, and what is new
 * in known ones. None where nothing could be seen at the first look; then the person agreed to an unknown content.
 */
export function laterData(
  before: Surveyed,
  now: Surveyed,
  facts: HostFacts,
  entry: { disk: DiskSelector },
  host: string,
): string[] {
  if (before.saw !== 'disk' && before.saw !== 'hidden') return []
  const known = hostVictims(facts, entry, host, before)
  return hostVictims(facts, entry, host, withLaterData(before, now))
    .filter(victim => victim.kind === 'data')
    .flatMap(victim => {
      const was = known.find(k => k.kind === 'data' && k.name === victim.name)
      const more = victim.content.filter(what => !was?.content.includes(what))
      return was && more.length === 0
        ? []
        : [`${victim.name}${more.length > 0 ? ` (${more.join(', ')})` : ''}`]
    })
}

function isSame(a: SurveyedData, b: SurveyedData): boolean {
  return a.kind === b.kind && a.path === b.path
}
