import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { placeInKit, type RemotePart } from '../../../src/kubernetes/render/kit.ts'
import { partFile } from './parts.ts'

/**
 * A kit with what a home's bootstrap takes from elsewhere, of the versions that its kustomizations name: Cilium's own chart
 * and Argo CD's own manifests, both newer than that, and a chart of 1Password Connect made by hand, with the kinds, names and
 * ways of the true one of that age.
 */
export function fillKit(kit: string): void {
  const place = (part: RemotePart) => {
    const path = join(kit, placeInKit(part))
    mkdirSync(dirname(path), { recursive: true })
    return path
  }
  const chart = (name: string, version: string, repository: string): RemotePart => ({
    kind: 'chart',
    name,
    version,
    repository,
  })
  cpSync(partFile('cilium', 'chart'), place(chart('cilium', '1.17.1', 'https://helm.cilium.io')), {
    recursive: true,
  })
  const install = 'https://raw.githubusercontent.com/argoproj/argo-cd/v2.14.2/manifests/install.yaml'
  cpSync(partFile('argocd', 'install.yaml'), place({ kind: 'file', url: install }))
  connectChart(place(chart('connect', '1.17.0', 'https://1password.github.io/connect-helm-charts')))
}

function connectChart(folder: string): void {
  for (const name of ['crds', 'templates']) mkdirSync(join(folder, name), { recursive: true })
  const write = (name: string, ...objects: object[]) =>
    writeFileSync(join(folder, name), objects.map(o => stringify(o)).join('---\n'))
  write('Chart.yaml', { apiVersion: 'v2', name: 'connect', version: '1.17.0' })
  write('values.yaml', { operator: { create: false, autoRestart: false } })
  write('crds/onepassworditem-crd.yaml', {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'onepassworditems.onepassword.com' },
    spec: {
      group: 'onepassword.com',
      scope: 'Namespaced',
      names: {
        kind: 'OnePasswordItem',
        listKind: 'OnePasswordItemList',
        plural: 'onepassworditems',
        singular: 'onepassworditem',
      },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: { type: 'object', properties: { itemPath: { type: 'string' } } },
                status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                type: { type: 'string' },
              },
            },
          },
        },
      ],
    },
  })
  // kustomize leaves the namespace of what a chart renders to the chart.
  const namespace = '{{ .Release.Namespace }}'
  const from = (name: string, key: string) => ({ valueFrom: { secretKeyRef: { name, key } } })
  const credentials = { name: 'OP_SESSION', ...from('op-credentials', '1password-credentials.json') }
  const deployment = (name: string, containers: object[]) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers } },
    },
  })
  write(
    'templates/connect-deployment.yaml',
    deployment('onepassword-connect', [
      { name: 'connect-api', image: '1password/connect-api:1.7.3', env: [credentials] },
      { name: 'connect-sync', image: '1password/connect-sync:1.7.3', env: [credentials] },
    ]),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'onepassword-connect', namespace },
      spec: { selector: { app: 'onepassword-connect' }, ports: [{ name: 'connect-api', port: 8080 }] },
    },
  )
  write(
    'templates/operator-deployment.yaml',
    deployment('onepassword-connect-operator', [
      {
        name: 'onepassword-connect-operator',
        image: '1password/onepassword-operator:1.8.1',
        env: [{ name: 'OP_CONNECT_TOKEN', ...from('onepassword-token', 'token') }],
      },
    ]),
  )
}
