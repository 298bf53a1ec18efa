import type { Cluster } from '../src/cluster/load.ts'
import { type CompiledIgnition, hostIgnition } from '../src/hosts/ignition/compile.ts'
import type { Readers } from './kit.ts'

/** Compiles each host's config once, when it is first asked for. What failed is tried anew at the next question. */
export function connectIgnition(cluster: Cluster): Readers['ignition'] {
  const known = new Map<string, Promise<CompiledIgnition>>()
  return async host => {
    const before = known.get(host)
    if (before !== undefined) return before
    const entry = cluster.entry.hosts[host]
    if (!entry) throw new Error(`no host ${host} in recover.yaml`)
    const made = hostIgnition({
      file: cluster.resolve(entry.ignition),
      shown: entry.ignition,
      ...(entry.filesDir === undefined ? {} : { filesDir: cluster.resolve(entry.filesDir) }),
    })
    known.set(host, made)
    made.catch(() => known.delete(host))
    return made
  }
}
