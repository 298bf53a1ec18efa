import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { applied, damageOf, homeOf, rehearseAt } from '../recovery/home.ts'

test('an ApplicationSet: what it would start is held and released one by one, and then comes the set itself', async context => {
  const home = homeOf(context)
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
  const run = await rehearseAt(home)
  expect(run.result?.failures).toEqual([])
  expect(run.result?.state).toBe('finished')
  expect(damageOf(home)).toEqual([])
  const steps = applied(run)
  expect(steps).toContain('bootstrap/hold-application[photos]')
  expect(steps).toContain('volumes/let-through[synology-csi]')
  const last = steps.filter(step => step.startsWith('applications/release')).at(-1)
  expect(last).toBe('applications/release-set[all]')
})
