import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { knownApplications } from '../../runbooks/applications/each-application.ts'
import { holdApplication } from '../../runbooks/bootstrap/hold-applications.ts'
import { proveNetwork } from '../../runbooks/bootstrap/prove-network.ts'
import { checkApplications } from '../../runbooks/preflight/check-applications.ts'
import { checkBootstrap } from '../../runbooks/preflight/check-bootstrap.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { eventually, startCluster } from '../lab/kubernetes/cluster.ts'
import { failuresOf, type Home, homeOf, rehearseAt } from './home.ts'

/** Changes a file of the home. */
function edit(home: Home, file: string, change: (text: string) => string): void {
  const path = join(home.file, '..', file)
  const before = readFileSync(path, 'utf8')
  const after = change(before)
  if (after === before) throw new Error(`nothing was changed in ${file}`)
  writeFileSync(path, after)
}

/** What preflight says of the home's bootstrap, where names resolve as told. */
async function checked(home: Home, names: Record<string, string[]> = {}) {
  const cluster = loadCluster(home.file)
  return checkBootstrap.observe({
    cluster,
    names: { addresses: async (host: string) => names[host] ?? [] },
    manifests: async (name: string) =>
      cluster.bootstrap
        .find(p => p.name === name)!
        .from.objects.map(o => o.value as unknown as KubernetesObject),
    signal: new AbortController().signal,
  })
}

test('an address of the API that the cluster itself must bring is refused, with its place', async context => {
  const home = homeOf(context)
  expect(await checked(home)).toMatchObject({ state: 'done', output: { apiHosts: ['192.0.2.11'] } })
  // A line that only speaks of it comes before.
  edit(home, 'bootstrap/cilium.yaml', text =>
    text.replace(/^( *)kube-proxy-replacement: /m, '$1asked-at: 192.0.2.11:6443\n$&'),
  )
  for (const [host, why] of [
    ['kubernetes.default.svc.cluster.local', 'a name of the cluster’s own DNS'],
    ['grafana.example.net', 'which an Ingress of this cluster serves'],
    ['api.home.example.net', 'which does not resolve now'],
  ] as const) {
    const before = loadCluster(home.file).bootstrap[0]!.from.objects
    const [known] = JSON.stringify(before).match(/(?<="KUBERNETES_SERVICE_HOST","value":")[^"]+/) ?? []
    edit(home, 'bootstrap/cilium.yaml', text => text.replaceAll(known!, host))
    const lines = readFileSync(join(home.file, '../bootstrap/cilium.yaml'), 'utf8').split('\n')
    const line = lines.findIndex(l => l.includes('name: KUBERNETES_SERVICE_HOST')) + 1
    expect(await checked(home)).toMatchObject({
      state: 'blocked',
      code: 'cilium-api-circular',
      reason: expect.stringMatching(new RegExp(`bootstrap/cilium.yaml:${line}:\\d+: .*${host}, ${why}`)),
    })
  }
  expect(await checked(home, { 'api.home.example.net': ['192.0.2.11'] })).toMatchObject({
    state: 'done',
    warnings: [{ code: 'cilium-api-by-name' }],
  })
})

test('Cilium that is not told where the API is, while kube-proxy is off, is refused', async context => {
  const home = homeOf(context)
  edit(home, 'bootstrap/cilium.yaml', text => text.replaceAll('KUBERNETES_SERVICE_HOST', 'OTHER'))
  expect(await checked(home)).toMatchObject({ state: 'blocked', code: 'cilium-api-unknown' })
  edit(home, 'k0sctl.yaml', text => text.replace('disabled: true', 'disabled: false'))
  expect(await checked(home)).toMatchObject({ state: 'done' })
})

test('logins and Secrets that would go with what they are for are told', async context => {
  const home = homeOf(context)
  edit(
    home,
    'bootstrap/argocd.yaml',
    text =>
      `${text}---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: argocd-cm, namespace: argocd }\ndata: { admin.enabled: "false" }\n`,
  )
  edit(home, 'applications/miniflux/secret.yaml', text =>
    text.replace('name: miniflux', 'name: op-credentials\n  namespace: 1password'),
  )
  edit(home, 'applications/miniflux/kustomization.yaml', text => text.replace('namespace: miniflux\n', ''))
  const seen = await checked(home)
  expect(seen).toMatchObject({
    state: 'done',
    warnings: [
      {
        code: 'argocd-admin-off',
        message: expect.stringMatching(/^bootstrap\/argocd.yaml:\d+:\d+: Argo CD’s admin may not log in/),
      },
      {
        code: 'onepassword-item-owns-credentials',
        message: expect.stringMatching(/secret.yaml:\d+:\d+: the OnePasswordItem op-credentials /),
      },
    ],
  })
})

test('a chart that keeps data is noticed though nobody could foresee it; one that is out of reach holds nobody up', async context => {
  const home = homeOf(context)
  edit(
    home,
    'applications/photos/kustomization.yaml',
    text => `${text}helmCharts:\n  - { name: thing, version: 1.0.0, repo: https://charts.example.net }\n`,
  )
  edit(home, 'applications/photos/kustomization.yaml', text =>
    text.replace('  - ./claim.yaml\n', '').replace('  - ./deployment.yaml\n', ''),
  )
  edit(home, 'recover.yaml', text => `${text}applications:\n  photos: { hold: false }\n`)
  const cluster = loadCluster(home.file)
  const claim: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'thing', namespace: 'photos' },
    spec: { resources: { requests: { storage: '1Gi' } } },
  }
  const seen = (manifests: () => Promise<KubernetesObject[]>) =>
    checkApplications.observe({
      cluster,
      applicationManifests: manifests,
      signal: new AbortController().signal,
    })
  expect(await seen(async () => [claim])).toMatchObject({
    state: 'blocked',
    code: 'application-owns-unseen-data',
    reason: expect.stringMatching(
      /argocd\/photos.yaml:\d+:\d+: photos would be let through .* photos\/thing$/,
    ),
  })
  expect(await seen(async () => [])).toMatchObject({
    state: 'done',
    output: { rendered: { photos: expect.any(String) } },
  })
  const away = new Fault({ code: 'render-unreachable', blame: 'network', message: 'gone', remedy: 'none' })
  expect(await seen(() => Promise.reject(away))).toMatchObject({
    state: 'done',
    warnings: [{ code: 'render-unreachable', message: 'gone' }],
  })
})

test('an application that runs although it is held is noticed before a volume is touched', async context => {
  const home = homeOf(context)
  const recovered = loadCluster(home.file)
  const cluster = await startCluster()
  context.onTestFinished(() => cluster.close())
  const { writer } = cluster.api
  for (const { value } of recovered.bootstrap.find(p => p.name === 'argocd')!.from.objects)
    if (value.kind === 'CustomResourceDefinition' || value.kind === 'Namespace')
      await writer.apply(value as unknown as KubernetesObject)
  const application = knownApplications(recovered).find(a => a.name === 'photos')!
  const look = { application, cluster: recovered, kubernetes: writer }
  expect(await holdApplication.observe(look)).toMatchObject({ state: 'due' })
  await writer.apply(recovered.applicationManifest('root'))
  await holdApplication.apply!(look)
  // The parent that would take the mark off again was held before.
  const held = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Application', namespace: 'argocd', name: 'root' }
  expect((await writer.get(held))?.metadata.annotations).toEqual({
    'argocd.argoproj.io/skip-reconcile': 'true',
  })
  expect(await holdApplication.observe(look)).toMatchObject({ state: 'done' })
  await writer.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'photos' } })
  const { value } = recovered.applications
    .find(a => a.name === 'photos')!
    .objects.find(o => o.kind === 'Deployment')!
  await writer.apply(value as unknown as KubernetesObject)
  expect(await holdApplication.observe(look)).toMatchObject({
    state: 'blocked',
    code: 'hold-too-late',
    reason: 'photos is held, and Deployment photos/photos runs already, which keeps its data in a volume',
  })
})

test('a chart that wants its credentials in base64 gets them so', async context => {
  const home = homeOf(context)
  edit(home, 'bootstrap/1password.yaml', text =>
    text.replace(
      '- { name: connect-api, image: "docker.io/1password/connect-api:1.8.1" }',
      '- { name: connect-api, image: "docker.io/1password/connect-api:1.5.0", env: [{ name: OP_SESSION, valueFrom: { secretKeyRef: { name: op-credentials, key: creds } } }] }',
    ),
  )
  const part = await rehearseAt(home)
  expect(failuresOf(part)).toEqual({})
  expect(part.result?.state).toBe('finished')
})

test('a CiliumNode without a node is deleted, and no other; a pod proves names and Services', async context => {
  const cluster = await startCluster()
  context.onTestFinished(() => cluster.close())
  const { reader, writer } = cluster.api
  await writer.apply({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'ciliumnodes.cilium.io' },
    spec: {
      group: 'cilium.io',
      scope: 'Cluster',
      names: {
        kind: 'CiliumNode',
        plural: 'ciliumnodes',
        singular: 'ciliumnode',
        listKind: 'CiliumNodeList',
      },
      versions: [
        {
          name: 'v2',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  })
  const labels = { 'k8s-app': 'cilium' }
  await writer.apply({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'cilium', namespace: 'kube-system' },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { hostNetwork: true, containers: [{ name: 'cilium-agent', image: 'x' }] },
      },
    },
  })
  for (const name of ['lithium', 'beryllium'])
    await writer.apply({ apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name }, spec: {} })
  const notes: string[] = []
  const look = {
    kubernetes: writer,
    cluster: { jobImage: 'alpine', k0sctl: { hosts: [] } },
    note: (text: string) => notes.push(text),
  }
  expect(await proveNetwork.observe(look)).toMatchObject({
    state: 'due',
    changes: expect.arrayContaining(['delete the CiliumNode beryllium: there is no node of that name']),
  })
  await proveNetwork.apply!({
    ...look,
    wait: (what: string, probe: () => Promise<unknown>) => eventually(what, probe),
  })
  expect(notes).toEqual(['The CiliumNode beryllium is of a node that is no more; it is deleted'])
  const left = await reader.list({ apiVersion: 'cilium.io/v2', kind: 'CiliumNode' })
  expect(left.map(n => n.metadata.name)).toEqual(['lithium'])
  expect(await proveNetwork.observe(look)).toMatchObject({
    state: 'done',
    output: { proven: true },
    evidence: expect.stringContaining('kubernetes.default.svc is 10.96.0.1'),
  })
})
