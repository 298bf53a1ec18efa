import { ClusterFileFault, type Problem } from './problem.ts'
import { readYaml } from './yaml-file.ts'

/** What recover needs of k0sctl.yaml; the file itself is handed on to k0sctl unchanged otherwise. */
export interface K0sctlFile {
  name: string
  /** Pinned version without its leading `v`, or undefined when the file leaves it open. */
  version: string | undefined
  hosts: K0sHost[]
  apiAddress: string | undefined
  /** Name or address that workers are told to join, in the place of the API's own. */
  apiExternalAddress: string | undefined
  /** Port of the API on each controller. */
  apiPort: number
  /** Names and addresses in the API's certificate: names that this cluster answers to. */
  sans: string[]
  kineDataSource: string | undefined
  /** The Cluster document as it is, `${NAME}` replaced. */
  document: Record<string, unknown>
  /** `spec` of k0s's configuration, with what further documents of kind ClusterConfig add to it. */
  config: Record<string, unknown>
  /** Further documents as they are: k0sctl takes ClusterConfigs into its configuration and applies all others at its end. */
  further: unknown[]
  at(path: readonly PropertyKey[]): string
}

export interface K0sHost {
  /** Short name: the first label of its hostname or SSH address. */
  name: string
  role: 'controller' | 'controller+worker' | 'single' | 'worker'
  address: string
  port: number
  user: string
  keyPath: string | undefined
  privateAddress: string | undefined
  /** Where k0s keeps its data. */
  dataDir: string
  /** The address was literal (an IP), not a name. */
  literal: boolean
}

const roles = ['controller', 'controller+worker', 'single', 'worker'] as const

/** Reads k0sctl.yaml: several documents, the forms of a host, `${NAME}` from the environment. */
export function readK0sctl(file: string, env: NodeJS.ProcessEnv = process.env, shown = file): K0sctlFile {
  const documents = readYaml(file, shown)
  const problems: Problem[] = []
  const problem = (at: string, path: string, message: string) => problems.push({ at, path, message })
  const cluster = documents.find(
    d =>
      (d.value as { kind?: string }).kind === 'Cluster' &&
      String((d.value as { apiVersion?: string }).apiVersion).startsWith('k0sctl.k0sproject.io/'),
  )
  if (!cluster)
    throw new ClusterFileFault(
      'cluster-file-invalid',
      [{ at: `${shown}:1:1`, path: '', message: 'no document of kind Cluster (k0sctl.k0sproject.io)' }],
      shown,
    )
  const document = substitute(cluster.value, [], env, (path, message) =>
    problem(cluster.at(path), path.join('.'), message),
  ) as Raw
  const spec = (document.spec ?? {}) as Raw
  const k0s = (spec.k0s ?? {}) as Raw
  const further = documents.filter(d => d !== cluster)
  const config = further
    .map(d => d.value as Raw)
    .filter(d => d.kind === 'ClusterConfig' && String(d.apiVersion).startsWith('k0s.k0sproject.io/'))
    .reduce(
      (all: Raw, d) => filledIn(all, (d.spec ?? {}) as Raw),
      ((k0s.config as Raw | undefined)?.spec ?? {}) as Raw,
    )
  const api = (config.api ?? {}) as Raw
  const storage = (config.storage ?? {}) as Raw
  const rawHosts = Array.isArray(spec.hosts) ? (spec.hosts as Raw[]) : []
  if (rawHosts.length === 0) problem(cluster.at(['spec', 'hosts']), 'spec.hosts', 'no hosts')
  const hosts = rawHosts.flatMap((raw, i): K0sHost[] => {
    const path = ['spec', 'hosts', i]
    const role = roles.find(r => r === raw.role)
    if (!role) {
      problem(
        cluster.at([...path, 'role']),
        `spec.hosts.${i}.role`,
        `expected one of ${roles.join(', ')}, got ${JSON.stringify(raw.role)}`,
      )
      return []
    }
    const ssh = (raw.ssh ?? raw.openSSH) as Raw | undefined
    const address = typeof ssh?.address === 'string' ? ssh.address : raw.localhost ? '127.0.0.1' : undefined
    if (address === undefined) {
      problem(cluster.at(path), `spec.hosts.${i}`, 'has neither ssh.address, openSSH.address nor localhost')
      return []
    }
    const literal = isLiteral(address)
    const named = typeof raw.hostname === 'string' ? raw.hostname : literal ? `host-${i + 1}` : address
    return [
      {
        name: named.split('.')[0] ?? named,
        role,
        address,
        port: typeof ssh?.port === 'number' ? ssh.port : 22,
        user: typeof ssh?.user === 'string' ? ssh.user : 'root',
        keyPath: typeof ssh?.keyPath === 'string' ? ssh.keyPath : undefined,
        privateAddress: typeof raw.privateAddress === 'string' ? raw.privateAddress : undefined,
        dataDir: typeof raw.dataDir === 'string' ? raw.dataDir : '/var/lib/k0s',
        literal,
      },
    ]
  })
  if (problems.length > 0) throw new ClusterFileFault('cluster-file-invalid', problems, shown)
  const version = typeof k0s.version === 'string' ? k0s.version.replace(/^v/, '') : undefined
  return {
    name: String((document.metadata as Raw | undefined)?.name ?? 'k0s-cluster'),
    version,
    hosts,
    apiAddress: typeof api.address === 'string' ? api.address : undefined,
    apiExternalAddress: typeof api.externalAddress === 'string' ? api.externalAddress : undefined,
    apiPort: typeof api.port === 'number' ? api.port : 6443,
    sans: Array.isArray(api.sans) ? api.sans.map(String) : [],
    kineDataSource: ((storage.kine as Raw | undefined)?.dataSource as string | undefined) ?? undefined,
    document,
    config,
    further: further.map(d => d.value),
    at: path => cluster.at(path),
  }
}

type Raw = Record<string, unknown>

/** What is said keeps its value; what is not is taken from the other, at any depth. */
function filledIn(said: Raw, other: Raw): Raw {
  const isRaw = (value: unknown): value is Raw =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  const all: Raw = { ...other, ...said }
  for (const [key, value] of Object.entries(other))
    if (isRaw(value) && isRaw(said[key])) all[key] = filledIn(said[key], value)
  return all
}

/** True for an IPv4 or IPv6 address. */
export function isLiteral(address: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(address) || (address.includes(':') && /^[0-9a-f:.]+$/i.test(address))
}

/** `${NAME}` and `$NAME` as envsubst, except that an unset one is an error: an empty password is worse than none. */
function substitute(
  value: unknown,
  path: PropertyKey[],
  env: NodeJS.ProcessEnv,
  problem: (path: PropertyKey[], message: string) => void,
): unknown {
  if (typeof value === 'string')
    return value.replace(
      /\$\$|\$\{(\w+)(?::-([^}]*))?\}/g,
      (all, name: string | undefined, fallback?: string) => {
        if (all === '$$') return '$'
        const found = env[name ?? ''] || fallback
        if (!found) problem(path, `the variable ${name} is not set`)
        return found ?? ''
      },
    )
  if (Array.isArray(value)) return value.map((item, i) => substitute(item, [...path, i], env, problem))
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(
      Object.entries(value).map(([k, v]) => [k, substitute(v, [...path, k], env, problem)]),
    )
  return value
}
