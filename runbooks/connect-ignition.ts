import type { Cluster } from '../src/cluster/load.ts'
import { type CompiledIgnition, hostIgnition } from '../src/hosts/ignition/compile.ts'
import { experimentalSpec, ignitionOf } from '../src/hosts/ignition/releases.ts'
import type { Lookup } from '../src/hosts/ignition/substitute.ts'
import { Fault } from '../src/runbook/fault.ts'
import { variablesSecret } from '../src/secrets/environment.ts'
import type { Secrets } from '../src/secrets/resolve.ts'
import type { Readers } from './kit.ts'

/** Compiles each host's config once, when it is first asked for. What failed is tried anew at the next question. */
export function connectIgnition(cluster: Cluster, secrets: Secrets): Readers['ignition'] {
  const known = new Map<string, Promise<CompiledIgnition>>()
  return async (host, signal) => {
    const before = known.get(host)
    if (before !== undefined) return before
    const entry = cluster.entry.hosts[host]
    if (!entry) throw new Error(`no host ${host} in recover.yaml`)
    const { filesDir } = entry
    const program = cluster.entry.tools?.butane
    const made = hostIgnition(
      {
        file: cluster.resolve(entry.ignition),
        shown: entry.ignition,
        filesDir: filesDir === undefined ? undefined : cluster.resolve(filesDir),
        spec: experimentalSpec(ignitionOf(entry.image?.version)),
        program: program === undefined ? undefined : cluster.resolve(program),
        lookup: lookupIn(secrets),
        conceal: text => secrets.mask.text(text),
      },
      signal,
    )
    known.set(host, made)
    made.catch(() => known.delete(host))
    return made
  }
}

/** A variable is a field of the secret `ignition`; from the environment it also comes by its own name. */
function lookupIn(secrets: Secrets): Lookup {
  return async name => {
    try {
      return { value: await secrets.field(variablesSecret, name) }
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.code === 'secret-missing') return { missing: thrown.message }
      throw thrown
    }
  }
}
