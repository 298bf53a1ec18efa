import type { KubernetesObject } from '../../../../src/kubernetes/kubernetes.ts'

export const config = (ns: string, name: string, data: Record<string, string> = {}): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: ns },
  data,
})

/** What lists and watches of a namespace are tried with: nobody but the test makes any. */
export const secret = (ns: string, name: string, data: Record<string, string> = {}): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: ns },
  stringData: data,
})

export const deployment = (ns: string, spec: object): KubernetesObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: ns },
  spec,
})

export const containers = (...list: object[]) => ({
  selector: { matchLabels: { app: 'web' } },
  template: { metadata: { labels: { app: 'web' } }, spec: { containers: list } },
})
