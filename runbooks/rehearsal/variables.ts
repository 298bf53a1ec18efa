import { readFileSync } from 'node:fs'
import type { Cluster } from '../../src/cluster/load.ts'
import { isButane } from '../../src/hosts/ignition/compile.ts'
import { variablesIn } from '../../src/hosts/ignition/substitute.ts'
import { variableOf, variablesSecret } from '../../src/secrets/environment.ts'
import { resticFields } from '../../src/volumes/restic.ts'

/** A made-up value for every variable of the hosts' Butane files, as environment variables of a rehearsal's own. */
export function madeUpVariables(cluster: Cluster): Record<string, string> {
  const files = new Set(Object.values(cluster.entry.hosts).map(h => cluster.resolve(h.ignition)))
  const names = [...files].filter(isButane).flatMap(file => variablesIn(readFileSync(file, 'utf8')))
  return Object.fromEntries(
    names.map(name => [
      variableOf(variablesSecret, name),
      `made-up-${name.toLowerCase().replaceAll('_', '-')}`,
    ]),
  )
}

/** A made-up value for every Secret that a part of the bootstrap is given, and for what opens backups, likewise. */
export function madeUpSecrets(cluster: Cluster): Record<string, string> {
  const wanted = cluster.bootstrap.flatMap(part => part.secrets.flatMap(s => Object.values(s.data)))
  for (const place of Object.values(cluster.entry.backups ?? {}))
    for (const field of resticFields(place)) wanted.push({ secret: place.restic, field })
  return Object.fromEntries(
    wanted.map(({ secret, field }) => [variableOf(secret, field), `made-up-${secret}-${field}`]),
  )
}
