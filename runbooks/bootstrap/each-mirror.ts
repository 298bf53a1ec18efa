import { z } from 'zod'
import type { KubernetesReader } from '../../src/kubernetes/kubernetes.ts'
import { fanOut, type Readers } from '../kit.ts'

/** The repository that is served from the kit when it is away, where recover.yaml says so. */
export const eachMirror = fanOut({
  name: 'mirror',
  schema: z.strictObject({ url: z.string() }),
  key: mirror => mirror.url,
  subjects: ({ cluster }) => {
    const { remote, serve } = cluster.entry.gitops
    return serve === undefined || remote === undefined ? [] : [{ url: withoutLogin(remote) }]
  },
})

/** A URL without the name and password that may stand in it; ssh does not find its way without the name. */
export function withoutLogin(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]+@/, '$1').replace(/^(\w+:\/\/[^/@:]+):[^/@]*@/, '$1@')
}

/** The namespace in which Argo CD itself lives: it may bring Applications of others. */
export async function argocdNamespace(
  { applications }: Readers['cluster'],
  kubernetes: KubernetesReader,
): Promise<string> {
  const named = applications.filter(a => a.manifest.kind === 'Application').map(a => a.namespace)
  for (const namespace of new Set(['argocd', ...named]))
    if (await kubernetes.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'argocd-cm' }))
      return namespace
  return named[0] ?? 'argocd'
}
