import type { Cluster } from '../src/cluster/load.ts'
import {
  type CompiledIgnition,
  hostIgnition,
  type IgnitionSource,
  isButane,
} from '../src/hosts/ignition/compile.ts'
import { experimentalSpec, ignitionOf } from '../src/hosts/ignition/releases.ts'
import type { Lookup } from '../src/hosts/ignition/substitute.ts'
import { Fault } from '../src/runbook/fault.ts'
import { variablesSecret } from '../src/secrets/environment.ts'
import type { Secrets } from '../src/secrets/resolve.ts'
import type { Readers } from './kit.ts'

/** A program that only compares must not hold a look up for long. */
const comparingMs = 20_000

/** Compiles each host's config once, when it is first asked for. What failed is tried anew at the next question. */
export function connectIgnition(
  cluster: Cluster,
  secrets: Secrets,
): Pick<Readers, 'ignition' | 'otherIgnition'> {
  const known = new Map<string, Promise<CompiledIgnition>>()
  const { tools } = cluster.entry
  const named = tools?.butane === undefined ? undefined : cluster.resolve(tools.butane)
  const sourceOf = (host: string, program: string | undefined): IgnitionSource => {
    const entry = cluster.entry.hosts[host]
    if (!entry) throw new Error(`no host ${host} in recover.yaml`)
    const { filesDir } = entry
    return {
      file: cluster.resolve(entry.ignition),
      shown: entry.ignition,
      filesDir: filesDir === undefined ? undefined : cluster.resolve(filesDir),
      spec: experimentalSpec(ignitionOf(entry.image?.version)),
      program,
      lookup: lookupIn(secrets),
      conceal: text => secrets.mask.text(text),
    }
  }
  return {
    async ignition(host, signal) {
      const before = known.get(host)
      if (before !== undefined) return before
      const made = hostIgnition(sourceOf(host, named), signal)
      known.set(host, made)
      made.catch(() => known.delete(host))
      return made
    },
    async otherIgnition(host, signal) {
      const source = sourceOf(host, named === undefined ? 'butane' : undefined)
      if (!isButane(source.file)) return undefined
      const by = source.program === undefined ? 'the built-in compiler' : 'the program butane on PATH'
      try {
        return {
          by,
          config: (await hostIgnition({ ...source, programTimeoutMs: comparingMs }, signal)).config,
        }
      } catch (thrown) {
        if (!(thrown instanceof Fault) || signal.aborted) throw thrown
        // Nobody has to have it.
        return thrown.code === 'butane-missing' ? undefined : { by, fault: thrown }
      }
    },
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
