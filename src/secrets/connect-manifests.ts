import type { KubernetesObject } from '../kubernetes/kubernetes.ts'
import { Fault } from '../runbook/fault.ts'

/** A Secret that 1Password's own workloads cannot start without, and that nothing in the cluster can bring. */
export interface OwnSecret {
  namespace: string
  name: string
  key: string
  /** Name of the field of the secret `onepassword` that goes into it. */
  field: 'credentials' | 'token' | 'service-account-token'
  /** `base64`: the value itself must be base64 of the credentials, which the Secret encodes once more. */
  form: 'json' | 'base64' | 'text'
}

interface Container {
  name?: string
  image?: string
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef?: { name?: string; key?: string } } }[]
  volumeMounts?: { name?: string; mountPath?: string; subPath?: string }[]
}

interface PodSpec {
  containers?: Container[]
  volumes?: { name?: string; secret?: { secretName?: string; items?: { key: string }[] } }[]
}

const defaultKey = '1password-credentials.json'

/**
 * The Secrets that rendered manifests of 1Password's chart `connect` want. Connect takes its credentials from OP_SESSION:
 * the JSON in base64, as charts up to 2.2 give it from the Secret, or the path of a file with the JSON as it is, which
 * charts from 2.3 mount (https://github.com/1Password/connect-helm-charts/issues/114). The operator takes a token of
 * Connect's or of a service account.
 */
export function ownSecrets(objects: readonly KubernetesObject[]): OwnSecret[] {
  const found = new Map<string, OwnSecret>()
  for (const object of objects) {
    const { template } = (object.spec ?? {}) as { template?: { spec?: PodSpec } }
    const namespace = object.metadata.namespace ?? 'default'
    for (const wanted of [...ofVariables(template?.spec), ...ofFiles(template?.spec)]) {
      const id = `${namespace}/${wanted.name}/${wanted.key}`
      // A variable says more than the file that old charts mount beside it.
      if (!found.has(id)) found.set(id, { namespace, ...wanted })
    }
  }
  return [...found.values()]
}

function ofVariables(pod: PodSpec | undefined): Omit<OwnSecret, 'namespace'>[] {
  return (pod?.containers ?? []).flatMap(({ env }) =>
    (env ?? []).flatMap(({ name: variable, valueFrom }): Omit<OwnSecret, 'namespace'>[] => {
      const { name, key } = valueFrom?.secretKeyRef ?? {}
      if (name === undefined || key === undefined) return []
      if (variable === 'OP_SESSION') return [{ name, key, field: 'credentials', form: 'base64' }]
      if (variable === 'OP_CONNECT_TOKEN') return [{ name, key, field: 'token', form: 'text' }]
      if (variable === 'OP_SERVICE_ACCOUNT_TOKEN')
        return [{ name, key, field: 'service-account-token', form: 'text' }]
      return []
    }),
  )
}

function ofFiles(pod: PodSpec | undefined): Omit<OwnSecret, 'namespace'>[] {
  const connect = (pod?.containers ?? []).filter(
    c =>
      /^connect-(api|sync)$|1password\/connect-(api|sync)/.test(`${c.image ?? ''}`) ||
      /^connect-(api|sync)$/.test(c.name ?? ''),
  )
  if (connect.length === 0) return []
  return (pod?.volumes ?? []).flatMap(({ name: volume, secret }): Omit<OwnSecret, 'namespace'>[] => {
    const name = secret?.secretName
    // The other Secret that the chart may mount holds a certificate for TLS.
    if (name === undefined || /tls/i.test(volume ?? '')) return []
    const mounts = connect.flatMap(c => (c.volumeMounts ?? []).filter(m => m.name === volume))
    const key =
      secret?.items?.[0]?.key ??
      mounts.find(m => m.subPath !== undefined)?.subPath ??
      pathOf(connect) ??
      defaultKey
    return [{ name, key, field: 'credentials', form: 'json' }]
  })
}

/** Name of the file that OP_SESSION points to. */
function pathOf(connect: readonly Container[]): string | undefined {
  const paths = connect
    .flatMap(c => c.env ?? [])
    .filter(e => e.name === 'OP_SESSION' && e.value !== undefined)
  return paths[0]?.value?.split('/').at(-1)
}

/**
 * A field of the secret `onepassword` in the form that a Secret wants, whichever way the person keeps it: credentials as
 * the JSON that 1Password gave them, or that JSON in base64 once or twice; a token with or without the line's end.
 * Throws Fault `onepassword-credentials-unreadable`, `onepassword-token-unfit`.
 */
export function inForm({ field, form }: Pick<OwnSecret, 'field' | 'form'>, value: string): string {
  if (field !== 'credentials') return token(field, value.trim())
  const json = jsonIn(value)
  return form === 'base64' ? Buffer.from(json).toString('base64') : json
}

function token(field: 'token' | 'service-account-token', value: string): string {
  const isServiceAccount = value.startsWith('ops_')
  if (isServiceAccount === (field === 'service-account-token')) return value
  // What is no token of a service account may be anything; a JWT is Connect's.
  if (!isServiceAccount && !value.startsWith('eyJ')) return value
  throw new Fault({
    code: 'onepassword-token-unfit',
    blame: 'operator',
    message: isServiceAccount
      ? 'the token of 1Password Connect is one of a service account'
      : 'the token of the service account is one of 1Password Connect',
    remedy: isServiceAccount
      ? 'Give the Connect server’s access token as field token of the secret onepassword, or let the chart’s operator use the service account (operator.authMethod)'
      : 'Give the service account’s token as field service-account-token of the secret onepassword',
  })
}

function jsonIn(value: string): string {
  let text = value.trim()
  for (let layers = 0; layers < 3; layers += 1) {
    if (isObject(text)) return text
    const packed = text.replaceAll(/\s/g, '')
    if (!/^[A-Za-z0-9+/_-]+=*$/.test(packed)) break
    text = Buffer.from(packed, 'base64').toString('utf8').trim()
  }
  throw new Fault({
    code: 'onepassword-credentials-unreadable',
    blame: 'operator',
    message:
      'the credentials of 1Password Connect are neither the JSON of 1password-credentials.json nor that in base64',
    remedy:
      'Give the content of 1password-credentials.json as field credentials of the secret onepassword, as it was downloaded',
  })
}

function isObject(text: string): boolean {
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

/** What 1Password's log says is wrong. */
export type OnePasswordTrouble = {
  kind: 'rate-limited' | 'credentials-misread' | 'token-refused' | 'item-missing'
  /** The line that says so. */
  line: string
}

const patterns: [OnePasswordTrouble['kind'], RegExp][] = [
  ['rate-limited', /rate limit|too many requests|status 429|\b429:/i],
  [
    'credentials-misread',
    /illegal base64 data|failed to (FindCredentials|loadCredentialsFile)|LoadLocalAuthV2 failed/i,
  ],
  [
    'token-refused',
    /invalid bearer token|invalid token|unauthori[sz]ed|status 401|\b401:|token does not have access|status 403|service account (was )?(deleted|revoked)/i,
  ],
  [
    'item-missing',
    /no (item|vault)s? found|(item|vault) .*not found|could not find|status 404|isn't an item/i,
  ],
]

/**
 * The newest complaint in a log of Connect or of the operator that explains why nothing comes. Connect’s token is checked
 * by parsing it, whose complaint of base64 is about the token, not about the credentials.
 */
export function troubleIn(log: string): OnePasswordTrouble | undefined {
  for (const line of log.split('\n').reverse())
    for (const [kind, pattern] of patterns)
      if (pattern.test(line)) {
        if (kind === 'credentials-misread' && /JWT|ParseSigned/.test(line))
          return { kind: 'token-refused', line }
        return { kind, line }
      }
  return undefined
}

/** The workloads that are 1Password's, by their images. */
export function onePasswordWorkloads(objects: readonly KubernetesObject[]): KubernetesObject[] {
  return objects.filter(object => {
    const { template } = (object.spec ?? {}) as { template?: { spec?: PodSpec } }
    return (template?.spec?.containers ?? []).some(c =>
      /(^|\/)(1password\/connect-|1password\/onepassword-operator|onepassword-operator)/.test(c.image ?? ''),
    )
  })
}
