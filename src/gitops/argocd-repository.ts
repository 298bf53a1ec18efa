import { createHash } from 'node:crypto'
import type { KubernetesObject, KubernetesReader, KubernetesWriter } from '../kubernetes/kubernetes.ts'

/** Where Argo CD finds a repository for the time of a run. */
export interface Detour {
  /** The repository's own URL, as Applications have it. */
  url: string
  /** The proxy that answers in its place, with its password. */
  proxy: string
  /** What the proxy shows for the repository's host; PEM. */
  certificate: string
}

const secretType = 'argocd.argoproj.io/secret-type'
/** On what we changed or made, so that it is found again whoever did it. */
const mark = 'recover.dev/serves'
/** Before the name of a field, what stood in it before. */
const former = 'recover-former-'
/** What decides by which way a repository is reached. */
const fields = ['proxy', 'noProxy'] as const

const begin = '# recover serves this repository: begin\n'
const end = '# recover serves this repository: end\n'
const block = new RegExp(`${begin}[\\s\\S]*?${end}`, 'g')

/**
 * Whether Argo CD reads the repository by this detour, of all of its Secrets for that URL.
 * @param namespace Argo CD's
 */
export async function takesDetour(
  kubernetes: KubernetesReader,
  namespace: string,
  detour: Detour,
): Promise<boolean> {
  const secrets = await secretsFor(kubernetes, namespace, detour.url)
  const certificates = await certificatesOf(kubernetes, namespace)
  return (
    secrets.some(isForAll) &&
    secrets.every(secret => isMarked(secret) && textOf(secret, 'proxy') === detour.proxy) &&
    (!isTls(detour.url) || certificates[hostOf(detour.url)]?.includes(detour.certificate) === true)
  )
}

/** What of a detour is in the cluster: names of objects, for people. */
export async function detourLeft(
  kubernetes: KubernetesReader,
  namespace: string,
  url: string,
): Promise<string[]> {
  const secrets = await secretsFor(kubernetes, namespace, url)
  const certificates = await certificatesOf(kubernetes, namespace)
  return [
    ...secrets.filter(isMarked).map(secret => `Secret ${namespace}/${secret.metadata.name}`),
    ...(certificates[hostOf(url)]?.includes(begin) ? [`ConfigMap ${namespace}/${tlsName}`] : []),
  ]
}

/**
 * Makes Argo CD read a repository by a detour, without a change to any Application: by the field `proxy` of every
 * repository Secret that there is for the URL, of one of our own where there is none for all projects, and by the
 * certificates that it trusts for the host. Whatever else stands in them stays.
 */
export async function setDetour(
  kubernetes: KubernetesWriter,
  namespace: string,
  detour: Detour,
): Promise<void> {
  const { url, proxy, certificate } = detour
  if (isTls(url)) {
    // Trusted before anything is asked.
    const host = hostOf(url)
    const others = ((await certificatesOf(kubernetes, namespace))[host] ?? '').replace(block, '')
    const text = `${others}${others === '' || others.endsWith('\n') ? '' : '\n'}${begin}${certificate}${end}`
    await putCertificates(kubernetes, namespace, { [host]: text })
  }
  const secrets = await secretsFor(kubernetes, namespace, url)
  for (const secret of secrets) {
    const kept = isMarked(secret)
      ? {}
      : Object.fromEntries(
          fields.flatMap(field => {
            const value = dataOf(secret)[field]
            return value === undefined ? [] : [[`${former}${field}`, value]]
          }),
        )
    await kubernetes.patch(refTo(secret), {
      metadata: { annotations: { [mark]: secret.metadata.annotations?.[mark] ?? 'changed' } },
      data: { ...kept, proxy: base64(proxy), noProxy: null },
    })
  }
  if (!secrets.some(isForAll)) {
    const name = `recover-repository-${createHash('sha256').update(url).digest('hex').slice(0, 10)}`
    await kubernetes.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace, labels: { [secretType]: 'repository' }, annotations: { [mark]: 'made' } },
      type: 'Opaque',
      data: { type: base64('git'), url: base64(url), proxy: base64(proxy) },
    })
  }
}

/** Takes a detour away again: what we made is deleted, and what we changed is as it was. */
export async function endDetour(kubernetes: KubernetesWriter, namespace: string, url: string): Promise<void> {
  for (const secret of (await secretsFor(kubernetes, namespace, url)).filter(isMarked)) {
    if (secret.metadata.annotations?.[mark] === 'made')
      await kubernetes.remove(refTo(secret), secret.metadata.uid ?? '')
    else
      await kubernetes.patch(refTo(secret), {
        metadata: { annotations: { [mark]: null } },
        data: Object.fromEntries(
          fields.flatMap(field => [
            [field, dataOf(secret)[`${former}${field}`] ?? null],
            [`${former}${field}`, null],
          ]),
        ),
      })
  }
  const host = hostOf(url)
  const trusted = (await certificatesOf(kubernetes, namespace))[host]
  if (trusted?.includes(begin))
    await putCertificates(kubernetes, namespace, { [host]: trusted.replace(block, '') || null })
}

async function secretsFor(
  kubernetes: KubernetesReader,
  namespace: string,
  url: string,
): Promise<KubernetesObject[]> {
  const secrets = await kubernetes.list({ apiVersion: 'v1', kind: 'Secret', namespace })
  return secrets.filter(
    secret =>
      secret.metadata.labels?.[secretType] === 'repository' &&
      normalized(textOf(secret, 'url')) === normalized(url),
  )
}

const tlsName = 'argocd-tls-certs-cm'

/** The certificates that Argo CD trusts, by host. */
async function certificatesOf(
  kubernetes: KubernetesReader,
  namespace: string,
): Promise<Record<string, string>> {
  const live = await kubernetes.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name: tlsName })
  return (live?.data ?? {}) as Record<string, string>
}

async function putCertificates(
  kubernetes: KubernetesWriter,
  namespace: string,
  data: Record<string, string | null>,
): Promise<void> {
  const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: tlsName }
  if ((await kubernetes.get(ref)) === undefined)
    await kubernetes.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: tlsName, namespace, labels: { 'app.kubernetes.io/part-of': 'argocd' } },
    })
  await kubernetes.patch(ref, { data })
}

/** Whether Applications of every project find the repository by this Secret. */
function isForAll(secret: KubernetesObject): boolean {
  return textOf(secret, 'project') === ''
}

function isMarked(secret: KubernetesObject): boolean {
  return secret.metadata.annotations?.[mark] !== undefined
}

function dataOf(secret: KubernetesObject): Record<string, string | undefined> {
  return (secret.data ?? {}) as Record<string, string | undefined>
}

function textOf(secret: KubernetesObject, key: string): string {
  return Buffer.from(dataOf(secret)[key] ?? '', 'base64').toString()
}

function refTo({ metadata }: KubernetesObject) {
  return { apiVersion: 'v1', kind: 'Secret', namespace: metadata.namespace, name: metadata.name ?? '' }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function isTls(url: string): boolean {
  return new URL(url).protocol === 'https:'
}

function hostOf(url: string): string {
  return new URL(url).hostname
}

/** As Argo CD compares URLs of repositories. */
function normalized(url: string): string {
  return url
    .trim()
    .toLowerCase()
    .replace(/\.git$/, '')
}
