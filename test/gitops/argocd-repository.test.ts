import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type Detour,
  detourLeft,
  endDetour,
  setDetour,
  takesDetour,
} from '../../src/gitops/argocd-repository.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { type Cluster, startCluster } from '../lab/kubernetes/cluster.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.close())

const detour: Detour = {
  url: 'https://git.example.net/you/home.git',
  proxy: 'http://recover:word@192.0.2.2:9419',
  certificate: '-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n',
}
const base64 = (text: string) => Buffer.from(text).toString('base64')

let count = 0
/** A namespace with a person's own objects in it. */
async function argocd(objects: Pick<KubernetesObject, 'kind' | 'metadata' | 'data'>[] = []): Promise<string> {
  count += 1
  const namespace = `argocd-${count}`
  const { writer } = cluster.api
  await writer.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  for (const { metadata, ...object } of objects)
    await writer.apply({ apiVersion: 'v1', ...object, metadata: { ...metadata, namespace } })
  return namespace
}

const secret = (name: string, data: Record<string, string>) => ({
  kind: 'Secret',
  metadata: { name, labels: { 'argocd.argoproj.io/secret-type': 'repository' } },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)])),
})
const trusted = (data: Record<string, string>) => ({
  kind: 'ConfigMap',
  metadata: { name: 'argocd-tls-certs-cm' },
  data,
})

/** What stands in Secrets and certificates of a namespace, without what the server adds. */
async function stands(namespace: string) {
  const { writer } = cluster.api
  const secrets = await writer.list({ apiVersion: 'v1', kind: 'Secret', namespace })
  const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'argocd-tls-certs-cm' }
  return {
    secrets: Object.fromEntries(
      secrets.map(s => [
        s.metadata.name,
        Object.fromEntries(
          Object.entries((s.data ?? {}) as Record<string, string>).map(([key, value]) => [
            key,
            Buffer.from(value, 'base64').toString(),
          ]),
        ),
      ]),
    ),
    marks: secrets.map(s => s.metadata.annotations ?? {}).filter(a => Object.keys(a).length > 0),
    certificates: (await writer.get(ref))?.data ?? {},
  }
}

test('Argo CD is told by a Secret of ours where there is none, and nothing is left of it', async () => {
  const namespace = await argocd([trusted({})])
  const { writer } = cluster.api
  const before = await stands(namespace)
  expect(await takesDetour(writer, namespace, detour)).toBe(false)
  await setDetour(writer, namespace, { ...detour, proxy: 'http://recover:word@192.0.2.2:1' })
  expect(await takesDetour(writer, namespace, detour)).toBe(false)
  // A later process of the run listens elsewhere.
  await setDetour(writer, namespace, detour)
  expect(await takesDetour(writer, namespace, detour)).toBe(true)
  const { secrets, certificates } = await stands(namespace)
  expect(Object.values(secrets)).toEqual([{ type: 'git', url: detour.url, proxy: detour.proxy }])
  expect(certificates).toEqual({ 'git.example.net': expect.stringContaining(detour.certificate) })
  expect(await detourLeft(writer, namespace, detour.url)).toEqual([
    expect.stringMatching(/^Secret argocd-\d+\/recover-repository-/),
    `ConfigMap ${namespace}/argocd-tls-certs-cm`,
  ])

  await endDetour(writer, namespace, detour.url)
  expect(await stands(namespace)).toEqual(before)
  expect(await detourLeft(writer, namespace, detour.url)).toEqual([])
  // Nothing to take away is no trouble.
  await endDetour(writer, namespace, detour.url)
})

test('a person’s own Secrets and certificates keep all that they say, and are as before at the end', async () => {
  const namespace = await argocd([
    // Argo CD takes it for the same repository.
    secret('mine', {
      url: 'https://git.example.net/You/home',
      username: 'me',
      password: 'word',
      proxy: 'http://proxy.example.net',
      noProxy: 'git.example.net',
    }),
    secret('of-a-project', { url: detour.url, project: 'home', sshPrivateKey: 'key' }),
    secret('another', { url: 'https://git.example.net/you/another.git' }),
    trusted({ 'git.example.net': 'my own\n', 'other.example.net': 'another' }),
  ])
  const { writer } = cluster.api
  const before = await stands(namespace)
  await setDetour(writer, namespace, { ...detour, proxy: 'http://recover:word@192.0.2.2:1' })
  // A later process of the run listens elsewhere.
  await setDetour(writer, namespace, detour)
  expect(await takesDetour(writer, namespace, detour)).toBe(true)
  const during = await stands(namespace)
  expect(during.secrets).toMatchObject({
    mine: { username: 'me', password: 'word', proxy: detour.proxy },
    'of-a-project': { sshPrivateKey: 'key', proxy: detour.proxy },
    another: before.secrets.another!,
  })
  expect(during.secrets.mine).not.toHaveProperty('noProxy')
  expect(Object.keys(during.secrets)).toHaveLength(3)
  expect(during.certificates).toEqual({
    'git.example.net': expect.stringMatching(/^my own\n#.*begin\n-----BEGIN[\s\S]*\n# .*end\n$/),
    'other.example.net': 'another',
  })
  await endDetour(writer, namespace, detour.url)
  expect(await stands(namespace)).toEqual(before)
})

test('one project’s own Secret is not enough for the others; a plain URL needs no certificate', async () => {
  const url = 'http://git.example.net/you/home.git'
  const namespace = await argocd([secret('of-a-project', { url, project: 'home' })])
  const { writer } = cluster.api
  await setDetour(writer, namespace, { ...detour, url })
  expect(await takesDetour(writer, namespace, { ...detour, url })).toBe(true)
  const { secrets, certificates } = await stands(namespace)
  expect(Object.keys(secrets)).toHaveLength(2)
  expect(certificates).toEqual({})
  const own = Object.keys(secrets).find(name => name.startsWith('recover-'))!
  const ref = { apiVersion: 'v1', kind: 'Secret', namespace, name: own }
  await writer.remove(ref, (await writer.get(ref))!.metadata.uid!)
  expect(await takesDetour(writer, namespace, { ...detour, url })).toBe(false)
})
