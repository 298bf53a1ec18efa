import type { Cluster } from './load.ts'

/** Where the kit lies: what the network may not give in an outage. Undefined where recover.yaml names none. */
export function kitOf({ entry, resolve }: Pick<Cluster, 'entry' | 'resolve'>): string | undefined {
  return entry.kit === undefined ? undefined : resolve(entry.kit)
}
