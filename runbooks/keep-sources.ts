import { loadCluster } from '../src/cluster/load.ts'
import { type CompiledIgnition, hostIgnition } from '../src/hosts/ignition/compile.ts'
import { experimentalSpec, ignitionOf } from '../src/hosts/ignition/releases.ts'
import { keepSource } from '../src/hosts/ignition/source-kit.ts'
import { allSources, findSources } from '../src/hosts/ignition/sources.ts'
import { Fault } from '../src/runbook/fault.ts'
import { clusterFileIn } from './cluster-file.ts'
import { kitFor } from './render.ts'

/** What one host's Ignition config takes from elsewhere, as far as the kit is concerned. */
export interface KeptForHost {
  host: string
  /** New in the kit. */
  fresh: string[]
  /** In the kit, without a hash in the config: with the hash of what was fetched. */
  pinned: string[]
  /** Not for a kit, and why. */
  left: string[]
}

/** In the place of a variable's value: what a kit holds is in the open, and no secret is even asked for. */
const placeholder = 'recover-variable-'
const placeholders = new RegExp(`${placeholder}([A-Z][A-Z0-9_]*)`, 'g')

/**
 * Puts what the hosts fetch at their first boot into the kit, that of merged configs included. Everything is tried; the first
 * Fault is thrown at the end: `kit-unnamed`, `kit-fetch-failed`, `ignition-source-hash-differs`, and what compiling throws.
 */
export async function keepSources(where: string, signal: AbortSignal): Promise<KeptForHost[]> {
  const cluster = loadCluster(clusterFileIn(where))
  const kit = kitFor(cluster)
  const faults: Fault[] = []
  const trying = async <T>(act: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await act()
    } catch (thrown) {
      if (!(thrown instanceof Fault) || signal.aborted) throw thrown
      faults.push(thrown)
      return undefined
    }
  }
  const all: KeptForHost[] = []
  for (const [host, entry] of Object.entries(cluster.entry.hosts)) {
    const compiled = await trying<CompiledIgnition>(() =>
      hostIgnition(
        {
          file: cluster.resolve(entry.ignition),
          shown: entry.ignition,
          filesDir: entry.filesDir === undefined ? undefined : cluster.resolve(entry.filesDir),
          spec: experimentalSpec(ignitionOf(entry.image?.version)),
          program:
            cluster.entry.tools?.butane === undefined
              ? undefined
              : cluster.resolve(cluster.entry.tools.butane),
          lookup: async name => ({ value: `${placeholder}${name}` }),
          conceal: text => text,
        },
        signal,
      ),
    )
    if (!compiled) continue
    const found: KeptForHost = { host, fresh: [], pinned: [], left: [] }
    all.push(found)
    const tried = new Set<string>()
    // A merged config that has just been kept names more.
    for (let more = true; more; ) {
      more = false
      const tree = await trying(async () => findSources(compiled.config, kit, entry.ignition))
      for (const { url, what, never, resource, hashed } of tree ? allSources(tree) : []) {
        const key = `${url} ${resource.compression ?? ''} ${resource.verification?.hash ?? ''}`
        if (tried.has(key)) continue
        tried.add(key)
        const variable = [...url.matchAll(placeholders)].map(m => `\${${m[1]}}`)
        const why =
          variable.length > 0 ? `its address holds ${variable.join(', ')}, which may be a secret` : never
        if (why !== undefined) {
          found.left.push(
            `${url.replaceAll(placeholders, (_, name: string) => `\${${name}}`)} (${what}): ${why}`,
          )
          continue
        }
        await trying(async () => {
          const { kept, fresh } = await keepSource(kit, { ...resource, source: url }, what, signal)
          if (fresh) found.fresh.push(`${url} (${what})`)
          if (!hashed) found.pinned.push(`${url} (${what}): sha512-${kept.sha512}`)
          more = true
        })
      }
    }
  }
  if (faults[0]) throw faults[0]
  return all
}
