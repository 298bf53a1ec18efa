import { sectionsOf } from './sections.ts'

/** k0s on a machine, as the machine itself says. */
export interface K0sState {
  /** The machine's clock when it was asked; seconds since 1970. */
  clock: number
  /** As `k0s version` says; undefined where there is no such program. */
  version: string | undefined
  /** The service that is installed, and its state as systemd has it (`active`, `inactive`, `failed`). */
  service: { unit: 'k0scontroller' | 'k0sworker'; active: string } | undefined
  /** Command lines of k0s that run. */
  processes: string[]
  /** Its role when `k0s status` answers: only then a k0sctl sees that it runs. */
  answersAs: string | undefined
  /** Of a controller: its API says that it is ready. */
  ready: boolean
  /** Checks of a controller's API that fail. */
  failing: string[]
  /** UID of the namespace kube-system: the cluster's identity. */
  clusterUid: string | undefined
  /** What there is of the data of a control plane, or of a node: with an old kubelet.conf k0s takes no join token. */
  data: string[]
  /** The run that found no such data before it put k0s there. */
  begunBy: string | undefined
  /** Half uploads of a k0sctl that was killed: nobody else removes them. */
  leftovers: string[]
  /** Whether the API was reached from there; undefined when that was not asked. */
  reachesApi: boolean | undefined
}

/** Reads what the k0s script printed. Throws Fault `host-facts-incomplete` when the end is missing. */
export function parseK0s(text: string, host: string, askedForApi: boolean): K0sState {
  const parts = sectionsOf(text, host)
  const part = (name: string) => parts.get(name)?.trim() || undefined
  const lines = (name: string) => part(name)?.split('\n') ?? []
  const [unit, active = ''] = lines('units')[0]?.split(' ') ?? []
  const readyz = lines('readyz')
  return {
    clock: Number(part('clock') ?? Number.NaN),
    version: part('version'),
    service: unit === 'k0scontroller' || unit === 'k0sworker' ? { unit, active } : undefined,
    processes: lines('processes').map(line => line.trim()),
    answersAs: roleIn(part('status')),
    ready: readyz.at(-1) === 'ok' || readyz.at(-1) === 'readyz check passed',
    failing: readyz.flatMap(line => /^\[-\](\S+)/.exec(line)?.[1] ?? []),
    clusterUid: part('uid'),
    data: lines('data'),
    begunBy: part('mark'),
    leftovers: lines('leftovers'),
    reachesApi: askedForApi ? /^[1-5]\d\d$/.test(part('api') ?? '') : undefined,
  }
}

function roleIn(status: string | undefined): string | undefined {
  try {
    const { Role } = JSON.parse(status ?? '') as { Role?: unknown }
    return typeof Role === 'string' ? Role : undefined
  } catch {
    return undefined
  }
}
