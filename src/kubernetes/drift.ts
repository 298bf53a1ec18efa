import type { KubernetesObject } from './kubernetes.ts'

/**
 * What applying a manifest would change of an object that lives, without asking the server to try: paths of fields, in
 * the words of `kubectl explain` (`spec.template.spec.containers[cilium-agent].image`), and nothing of their values, which
 * may be secret. Empty when the object is as the manifest wants it.
 *
 * Compared is what server-side apply would compare: fields that the manifest names must have its values, whoever wrote
 * them last; what defaults, controllers and webhooks added beside them is theirs. A field that `manager` once applied and
 * the manifest names no more would be removed, so it counts, too (https://kubernetes.io/docs/reference/using-api/server-side-apply/).
 * What the server writes another way is the same: quantities, base64, zero values that it leaves out.
 * @param options.leftTo managers whose fields are theirs, whatever the manifest says of them
 */
export function drift(
  manifest: KubernetesObject,
  live: KubernetesObject,
  {
    manager = 'recover',
    leftTo = () => false,
  }: { manager?: string; leftTo?: (manager: string) => boolean } = {},
): string[] {
  const wanted = asKept(manifest)
  const found: string[] = []
  new Comparison(wanted, found).map(wanted, live as unknown as Map_, '')
  const owners = (live.metadata.managedFields ?? []) as ManagedFields[]
  const theirs = owners.filter(o => o.manager !== manager && !o.subresource && leftTo(o.manager ?? ''))
  const left = new Set(theirs.flatMap(o => leaves(o.fieldsV1 ?? {}, '')))
  for (const entry of owners)
    if (entry.manager === manager && entry.operation === 'Apply' && !entry.subresource)
      leftOver(entry.fieldsV1 ?? {}, wanted, '', found)
  return [...new Set(found)].filter(path => !isBelow(path, left))
}

/** Whether a field, or what it stands in as a whole, is among these. */
function isBelow(path: string, owned: ReadonlySet<string>): boolean {
  if (owned.size === 0 || owned.has(path)) return owned.has(path)
  return [...owned].some(o => path.startsWith(`${o}.`) || path.startsWith(`${o}[`))
}

/** The fields that an entry of managedFields owns, in the words of {@link drift}. */
function leaves(fields: Map_, at: string): string[] {
  const below = Object.entries(fields).filter(([element]) => element !== '.')
  if (below.length === 0) return at === '' ? [] : [at]
  return below.flatMap(([element, inner]) => {
    const text = element.slice(2)
    if (element.startsWith('f:'))
      return leaves(inner as Map_, at === '' ? shown(text) : `${at}.${shown(text)}`)
    if (element.startsWith('k:'))
      return leaves(inner as Map_, `${at}[${Object.values(JSON.parse(text) as Map_).join('/')}]`)
    return [`${at}[${text}]`]
  })
}

interface ManagedFields {
  manager?: string
  operation?: string
  subresource?: string
  fieldsV1?: Map_
}

type Map_ = Record<string, unknown>

/** Written by the server alone, or filled in by a controller behind the manifest's back. */
const foreign = new Set([
  'apiVersion',
  'kind',
  'status',
  'metadata.namespace',
  'metadata.creationTimestamp',
  'metadata.managedFields',
])

/** Lists of built-in kinds that are merged by a key of their items: x-kubernetes-list-map-keys of the API's schemas. */
const keys: Record<string, string[]> = {
  containers: ['name'],
  initContainers: ['name'],
  ephemeralContainers: ['name'],
  volumes: ['name'],
  env: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  imagePullSecrets: ['name'],
  hostAliases: ['ip'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  resourceClaims: ['name'],
  webhooks: ['name'],
  ownerReferences: ['uid'],
}

/** Ports are known by number and protocol, which is TCP where nothing is said. */
const portKeys = ['containerPort', 'port']

class Comparison {
  private readonly builtIn: boolean
  private readonly aggregated: boolean
  private readonly found: string[]

  constructor(wanted: KubernetesObject, found: string[]) {
    const [group = ''] = wanted.apiVersion.includes('/') ? wanted.apiVersion.split('/') : ['']
    this.builtIn = !group.includes('.') || group.endsWith('.k8s.io')
    this.aggregated = wanted.kind === 'ClusterRole' && wanted.aggregationRule !== undefined
    this.found = found
  }

  map(wanted: Map_, live: Map_, at: string): void {
    for (const [name, value] of Object.entries(wanted)) {
      const path = at === '' ? name : `${at}.${shown(name)}`
      if (foreign.has(path) || (this.aggregated && path === 'rules')) continue
      this.value(name, value, live[name], path)
    }
  }

  private value(name: string, wanted: unknown, live: unknown, at: string): void {
    // `null` and `{}` name a field without wanting anything of it.
    if (wanted === null || (isMap(wanted) && Object.keys(wanted).length === 0)) return
    if (live === undefined || live === null) {
      if (!isZero(wanted)) this.found.push(at)
      return
    }
    if (isMap(wanted) && isMap(live)) this.map(wanted, live, at)
    else if (Array.isArray(wanted) && Array.isArray(live)) this.list(name, wanted, live, at)
    // The server gives these itself where none is wanted.
    else if (wanted === '' && (name === 'caBundle' || name === 'clusterIP')) return
    else if (!sameScalar(wanted, live)) this.found.push(at)
  }

  private list(name: string, wanted: unknown[], live: unknown[], at: string): void {
    if (name === 'finalizers' && wanted.every(item => live.includes(item))) return
    const keyOf = this.keyOf(name)
    if (keyOf && wanted.length > 0 && unique(wanted.map(keyOf))) {
      for (const item of wanted) {
        const key = keyOf(item) ?? ''
        const path = `${at}[${key}]`
        const there = live.find(other => keyOf(other) === key)
        if (there === undefined) this.found.push(path)
        else this.map(item as Map_, there as Map_, path)
      }
      return
    }
    // Everything else is applied as a whole.
    if (wanted.length !== live.length) this.found.push(at)
    else for (const [i, item] of wanted.entries()) this.value('', item, live[i], `${at}[${i}]`)
  }

  private keyOf(name: string): ((item: unknown) => string | undefined) | undefined {
    if (!this.builtIn && name !== 'ownerReferences') return undefined
    if (name === 'ports')
      return item => {
        const number = isMap(item) ? portKeys.map(key => item[key]).find(n => n !== undefined) : undefined
        return number === undefined ? undefined : `${number}/${(item as Map_).protocol ?? 'TCP'}`
      }
    const names = keys[name]
    return (
      names &&
      (item => {
        const values = isMap(item) ? names.map(key => item[key]) : [undefined]
        return values.includes(undefined) ? undefined : values.join('/')
      })
    )
  }
}

/** Fields of a manager's that the manifest does not name. `.` stands for the thing itself. */
function leftOver(fields: Map_, wanted: unknown, at: string, found: string[]): void {
  for (const [element, below] of Object.entries(fields)) {
    if (element === '.') continue
    const text = element.slice(2)
    if (element.startsWith('f:')) {
      const path = at === '' ? text : `${at}.${shown(text)}`
      if (foreign.has(path)) continue
      const value = isMap(wanted) ? wanted[text] : undefined
      if (value === undefined) found.push(path)
      else if (value !== null) leftOver(below as Map_, value, path, found)
    } else if (element.startsWith('k:')) {
      const key = JSON.parse(text) as Map_
      const path = `${at}[${Object.values(key).join('/')}]`
      const item = (Array.isArray(wanted) ? wanted : []).find(
        one => isMap(one) && Object.entries(key).every(([k, v]) => one[k] === undefined || one[k] === v),
      )
      if (item === undefined) found.push(path)
      else leftOver(below as Map_, item, path, found)
    } else if (element.startsWith('v:') && Array.isArray(wanted)) {
      if (!wanted.some(item => JSON.stringify(item) === text)) found.push(`${at}[${text}]`)
    }
  }
}

/** The manifest as the server keeps it: a Secret's `stringData` becomes `data`. */
function asKept(manifest: KubernetesObject): KubernetesObject {
  if (manifest.kind !== 'Secret' || manifest.apiVersion !== 'v1') return manifest
  const { stringData, ...rest } = manifest
  const plain = (value: unknown) => (typeof value === 'string' ? value.replaceAll(/\s/g, '') : value)
  const given = Object.entries((manifest.data ?? {}) as Map_).map(([key, value]) => [key, plain(value)])
  const written = Object.entries((stringData ?? {}) as Record<string, string>).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ])
  const data = Object.fromEntries([...given, ...written])
  return { ...rest, ...(Object.keys(data).length > 0 ? { data } : {}) } as KubernetesObject
}

function sameScalar(wanted: unknown, live: unknown): boolean {
  if (wanted === live) return true
  if (typeof wanted === 'object' || typeof live === 'object') return false
  if (String(wanted) === String(live)) return true
  const [one, other] = [quantity(wanted), quantity(live)]
  return one !== undefined && one === other
}

const suffixes: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** `0.5` and `500m`, `1024Mi` and `1Gi` are the same to the server, which keeps the shorter one. */
function quantity(value: unknown): number | undefined {
  const [, number, exponent = '', suffix = ''] =
    /^([+-]?\d+(?:\.\d+)?)(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(String(value)) ?? []
  const factor = suffixes[suffix]
  if (number === undefined || factor === undefined) return undefined
  return Number((Number(`${number}${exponent}`) * factor).toPrecision(12))
}

/** What a server that leaves out zero values does not show. */
function isZero(value: unknown): boolean {
  return value === false || value === 0 || value === '' || (Array.isArray(value) && value.length === 0)
}

function isMap(value: unknown): value is Map_ {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unique(found: (string | undefined)[]): boolean {
  return !found.includes(undefined) && new Set(found).size === found.length
}

/** A name with dots in it, as labels have, cannot be told from a path. */
function shown(name: string): string {
  return name.includes('.') ? `"${name}"` : name
}
