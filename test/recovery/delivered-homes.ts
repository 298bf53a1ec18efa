import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { keepMirror } from '../../src/gitops/repository.ts'
import { root } from '../cli/program.ts'
import { commitAll } from '../gitops/repositories.ts'
import { type Home, homeOf } from './home.ts'

type Test = Parameters<typeof homeOf>[0]

/** The example home, whose Applications are made by one ApplicationSet. */
export function applicationSetHome(test: Test): Home {
  const home = homeOf(test)
  const argocd = join(dirname(home.file), 'argocd')
  rmSync(argocd, { recursive: true })
  mkdirSync(argocd)
  writeFileSync(
    join(argocd, 'all.yaml'),
    `apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: { name: all }
spec:
  generators: [{ git: { repoURL: https://git.example.net/you/home.git, directories: [{ path: applications/* }] } }]
  template:
    metadata: { name: "{{path.basename}}" }
    spec:
      project: default
      source: { repoURL: https://git.example.net/you/home.git, targetRevision: main, path: "{{path}}" }
      destination: { server: https://kubernetes.default.svc, namespace: "{{path.basename}}" }
      syncPolicy: { automated: { selfHeal: true } }
`,
  )
  return home
}

/** A home that is rebuilt without Cilium, 1Password and Argo CD. */
export function fluxHome(test: Test): Home {
  const home = homeOf(test)
  const folder = join(home.file, '../../flux-home')
  cpSync(join(root, 'examples/flux-home'), folder, { recursive: true })
  return { ...home, file: join(folder, 'recover.yaml') }
}

/** The example home, whose repository lies in the very cluster that is rebuilt: Argo CD is served the kit's mirror of it. */
export async function servedHome(test: Test): Promise<Home> {
  const home = homeOf(test)
  const folder = dirname(home.file)
  const away = 'grafana.example.net'
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!/\.yaml$/.test(entry.name)) continue
    const file = join(entry.parentPath, entry.name)
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('git.example.net', away))
  }
  const kit = join(folder, '..', 'kit')
  writeFileSync(
    home.file,
    readFileSync(home.file, 'utf8').replace(/^ {2}remote: .*$/m, '$&\n  serve: { address: 127.0.0.1 }') +
      `kit: ${kit}\n`,
  )
  commitAll(folder)
  await keepMirror(folder, kit, new AbortController().signal)
  return home
}
