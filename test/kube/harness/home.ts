import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'
import { goYaml } from '../../../src/kubernetes/go-yaml.ts'
import type { KubernetesObject } from '../../../src/kubernetes/kubernetes.ts'
import { partFile } from './parts.ts'

/** A person's repository whose bootstrap is the real one, and which Argo CD can read without a network. */
export interface KubeHome {
  folder: string
  file: string
}

let rendered: string | undefined

/**
 * The example's home with Cilium's own chart and Argo CD's own manifests in the place of what was cut down by hand; in a
 * Git repository of its own. Nothing answers from outside: there is no ingress controller, so no Ingress gets an address.
 * @param volumes how volumes come back; `new` where no NAS is to be asked
 * @param url from which the repository is read; the folder itself by default
 */
export function makeHome(volumes: 'new' | 'adopt' = 'new', url?: string): KubeHome {
  const folder = mkdtempSync(join(tmpdir(), 'home-'))
  cpSync('examples/home', folder, { recursive: true })
  const change = (name: string, edit: (text: string) => string) => {
    const path = join(folder, name)
    writeFileSync(path, edit(readFileSync(path, 'utf8')))
  }
  writeFileSync(join(folder, 'bootstrap/cilium.yaml'), (rendered ??= ciliumManifests()))
  writeFileSync(join(folder, 'bootstrap/argocd.yaml'), argocdManifests())
  for (const name of ['grafana', 'photos']) {
    rmSync(join(folder, 'applications', name, 'ingress.yaml'))
    change(`applications/${name}/kustomization.yaml`, text => text.replace('  - ./ingress.yaml\n', ''))
  }
  const remote = url ?? `file://${folder}`
  for (const name of readdirSync(join(folder, 'argocd')))
    change(join('argocd', name), text => text.replaceAll('https://git.example.net/you/home.git', remote))
  change('recover.yaml', text =>
    text
      .replace('https://git.example.net/you/home.git', remote)
      .replace(/^checks:\n(?: .*\n)+/m, '')
      .replace(/^volumes:\n(?: .*\n)+/m, `volumes:\n  default: ${volumes}\n  scratch/cache: new\n`),
  )
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=you', '-c', 'user.email=you@home.example.net', ...args], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  git('init', '-q', '-b', 'main')
  git('add', '-A')
  git('commit', '-q', '-m', 'All of it')
  return { folder, file: join(folder, 'recover.yaml') }
}

/** The chart as `helm template` renders it, and one object of a kind that only the operator defines. */
function ciliumManifests(): string {
  const values = [
    'k8sServiceHost=192.0.2.11',
    'k8sServicePort=6443',
    'kubeProxyReplacement=true',
    'hubble.enabled=false',
  ]
  const chart = execFileSync(
    'helm',
    [
      ...['template', 'cilium', partFile('cilium', 'chart'), '--namespace', 'kube-system'],
      ...values.flatMap(value => ['--set', value]),
    ],
    { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: tmpdir() } },
  )
  const pool: KubernetesObject = {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumLoadBalancerIPPool',
    metadata: { name: 'home' },
    spec: { blocks: [{ cidr: '192.0.2.128/28' }] },
  }
  return `${chart}\n---\n${stringify(pool)}`
}

// What install.yaml holds without a namespace that has none.
const clusterWide = ['ClusterRole', 'ClusterRoleBinding', 'CustomResourceDefinition']

/** Argo CD's install.yaml in its namespace, as kustomize puts it there, with the project that its server makes. */
function argocdManifests(): string {
  const install = parseAllDocuments(readFileSync(partFile('argocd', 'install.yaml'), 'utf8'))
    .map(document => document.toJS() as KubernetesObject | null)
    .filter(object => object !== null)
  for (const object of install) if (!clusterWide.includes(object.kind)) object.metadata.namespace = 'argocd'
  const namespace: KubernetesObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'argocd' } }
  const project: KubernetesObject = {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'AppProject',
    metadata: { name: 'default', namespace: 'argocd' },
    spec: {
      sourceRepos: ['*'],
      destinations: [{ namespace: '*', server: '*' }],
      clusterResourceWhitelist: [{ group: '*', kind: '*' }],
    },
  }
  // As kubectl reads it, too, for whom a bare `no` is not a text.
  return [namespace, ...install, project].map(object => stringify(object, goYaml)).join('---\n')
}
