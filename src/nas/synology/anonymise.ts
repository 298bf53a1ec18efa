import type { Exchange } from '../nas.ts'

/** Words that say what kind of thing something is, by the key that they stand under: nobody is known by them. */
const impersonal: Record<string, RegExp> = {
  status: /^[a-z_]{1,24}$/i,
  type: /^(network|define|[a-z]{1,8})$/,
  type_str: /^[A-Z_]{1,24}$/,
  fs_type: /^[a-z0-9]{1,8}$/,
  firmware_ver: /^DSM [\d.-]{1,24}( Update \d+)?$/,
  model: /^[A-Z]{2,3}\d{2,5}[A-Za-z+]{0,4}$/,
  location: /^(\/volume\d{1,3}|internal|external|local|all)$/,
  dst_location: /^\/volume\d{1,3}$/,
  volume_path: /^\/volume\d{1,3}$/,
  vol_path: /^\/volume\d{1,3}$/,
  root_path: /^\/volume\d{1,3}$/,
  size_total_byte: /^\d{1,20}$/,
  size_free_byte: /^\d{1,20}$/,
  container: /^(internal|external)$/,
  raid_type: /^[a-z0-9_]{1,24}$/,
  support_iscsi_target: /^(yes|no)$/,
  supportsnapshot: /^(yes|no)$/,
  flashcache_status: /^[a-z_]{1,24}$/,
  dev_attrib: /^(emulate_[a-z0-9_]{1,24}|can_snapshot)$/,
  permission: /^(rw|ro|r|deny|no)$/,
  privilege: /^(rw|ro|no)$/,
  root_squash: /^[a-z_]{1,16}$/,
  taken_by: /^(scheduler|Kubernetes CSI|recover|user)$/,
  additional: /^[a-z_]{1,24}$/,
  interface_name: /^(all|eth\d|bond\d)$/,
  ifname: /^(eth|bond)\d$/,
  mask: /^255\.\d{1,3}\.\d{1,3}\.\d{1,3}$/,
  query: /^all$/,
  target_id: /^\d{1,6}$/,
  path: /^(entry|auth|query|encryption)\.cgi$/,
  requestFormat: /^JSON$/,
}

/** Nothing of what stands under these is kept, not even that two are the same. */
const secret = /pass|secret|token|cookie|^sid$|^key$|otp|serial|user/i

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi
/** Beginnings that programs give, and by which others know what is theirs. */
const prefixes = /^(k8s-csi-recover-|k8s-csi-clone-|k8s-csi-pvc-|k8s-csi-|pvc-|snapshot-|recover-)/
/** Which naming authorities belong to a program and not to a person. */
const authorities = /^(iqn\.2000-01\.com\.synology|iqn\.2016-04\.com\.open-iscsi)$/

/**
 * What a NAS said without anybody in it: names, IQNs, serials, addresses and secrets become made-up ones, the same for the
 * same, and numbers and the kinds of things stay. Whatever is not known to be impersonal is taken for a name.
 */
export function anonymise(exchanges: readonly Exchange[]): Exchange[] {
  // A first pass finds out what is somebody's, so that it is not kept as a key either.
  const names = new Set<string>()
  const first = masking(new Set(), names)
  for (const { parameters, answer } of exchanges) first('', [parameters, answer.data])
  const mask = masking(names)
  return exchanges.map(({ api, method, version, parameters, answer }) => ({
    api,
    method,
    version,
    parameters: mask('', parameters) as Exchange['parameters'],
    answer: {
      success: answer.success,
      ...(answer.data === undefined
        ? {}
        : { data: api === 'SYNO.API.Info' ? ownApis(answer.data) : mask('', answer.data) }),
      ...(answer.error === undefined ? {} : { error: { code: answer.error.code } }),
    },
  }))
}

/** Of the list of APIs what is asked of a NAS: the rest tells which packages somebody has. */
function ownApis(data: unknown): unknown {
  const own = /^SYNO\.(API\.(Auth|Info)|Core\.(ISCSI|Storage|Share|System|FileServ|Network)(\.\w+)*)$/
  const mask = masking(new Set())
  return Object.fromEntries(
    Object.entries(data ?? {})
      .filter(([api]) => own.test(api))
      .map(([api, about]) => [api, mask('', about)]),
  )
}

/**
 * Gives values their made-up ones, the same for the same, as long as it lives.
 * @param names what is no key of DSM's, since it is somebody's name
 * @param found told every value that was taken for a name
 */
function masking(names: ReadonlySet<string>, found?: Set<string>): (key: string, value: unknown) => unknown {
  const known = new Map<string, string>()
  const counts = new Map<string, number>()
  const madeUp = (kind: string, value: string, make: (n: number) => string) => {
    const id = `${kind} ${value.toLowerCase()}`
    const before = known.get(id)
    if (before !== undefined) return before
    const n = (counts.get(kind) ?? 0) + 1
    counts.set(kind, n)
    known.set(id, make(n))
    return make(n)
  }
  const uuidFor = (value: string) =>
    madeUp('uuid', value, n => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`)
  const word = (value: string) => (value === '' ? '' : madeUp('word', value, n => `name-${n}`))

  /** A name with the beginning that a program gave it, and uuids by which it belongs to something else. */
  const name = (value: string): string => {
    const [prefix = ''] = prefixes.exec(value) ?? []
    const rest = value.slice(prefix.length)
    const whole = new RegExp(`^${uuid.source}$`, 'i')
    return prefix + (whole.test(rest) ? uuidFor(rest) : word(rest))
  }
  const iqn = (value: string): string => {
    const [authority = '', ...rest] = value.split(':')
    const kept = authorities.test(authority) ? authority : `iqn.2001-04.com.example.${word(authority)}`
    const [host = '', ...tail] = rest.join(':').split('.')
    return `${kept}:${[name(host), ...(tail.length > 0 ? [name(tail.join('.'))] : [])].join('.')}`
  }
  const text = (key: string, value: string): string => {
    if (value === '' || impersonal[key]?.test(value)) return value
    for (const part of [value, ...value.split('/')]) found?.add(part)
    if (/^iqn\./i.test(value)) return iqn(value)
    if (/^\d{1,3}(\.\d{1,3}){3}$/.test(value)) return madeUp('ip', value, n => `192.0.2.${n % 256}`)
    if (/^[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*$/i.test(value))
      return madeUp('ip', value, n => `2001:db8::${n.toString(16)}`)
    return value.split('/').map(name).join('/')
  }
  const mask = (key: string, value: unknown): unknown => {
    if (secret.test(key) && typeof value !== 'boolean') return typeof value === 'number' ? 0 : ''
    if (typeof value === 'string') return text(key, value)
    if (Array.isArray(value)) return value.map(item => mask(key, item))
    if (value === null || typeof value !== 'object') return value
    // A key is DSM's own word where it looks like one; any other is somebody's.
    return Object.fromEntries(
      Object.entries(value).map(([k, v]) => [
        /^[a-z][a-zA-Z0-9_]{0,39}$/.test(k) && !names.has(k) ? k : word(k),
        mask(k, v),
      ]),
    )
  }
  return mask
}
