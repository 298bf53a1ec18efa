import { z } from 'zod'
import type { CheckEntry } from '../../src/cluster/check-schema.ts'
import { checkedApplications } from '../../src/cluster/checked-applications.ts'
import type { Cluster } from '../../src/cluster/load.ts'
import { fanOut } from '../kit.ts'

/**
 * The person's own checks, from recover.yaml: by name, and by place for one that is mended between two parts of a run; each
 * with the Applications that must be well before it is asked.
 */
export const eachCheck = fanOut({
  name: 'check',
  schema: z.strictObject({ name: z.string(), place: z.number(), applications: z.array(z.string()) }),
  key: ({ name }) => name,
  subjects: ({ cluster }) =>
    named(cluster).map(({ name, entry }, place) => ({
      name,
      place,
      applications: checkedApplications(entry, cluster.applications),
    })),
})

/** The check as recover.yaml has it now; undefined where it asks no more. */
export function checkNow(
  { name, place }: { name: string; place: number },
  cluster: Pick<Cluster, 'entry'>,
): { name: string; entry: CheckEntry } | undefined {
  const all = named(cluster)
  return all.find(check => check.name === name) ?? all[place]
}

/** Each with a name that a person knows it by; of two that would be called the same the second has a number. */
function named({ entry }: Pick<Cluster, 'entry'>): { name: string; entry: CheckEntry }[] {
  const seen = new Map<string, number>()
  return (entry.checks ?? []).map(check => {
    const name = nameOf(check)
    const times = (seen.get(name) ?? 0) + 1
    seen.set(name, times)
    return { name: times === 1 ? name : `${name} (${times})`, entry: check }
  })
}

function nameOf(entry: CheckEntry): string {
  if ('http' in entry) return entry.http
  if ('tcp' in entry) return `connections to ${entry.tcp}`
  const { namespace, pod, selector } = entry.in
  const where = `${namespace}/${
    pod ??
    Object.entries(selector ?? {})
      .map(([label, value]) => `${label}=${value}`)
      .join(',')
  }`
  return `${'exec' in entry ? entry.exec.join(' ') : entry.sql} in ${where}`
}
