import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkBootstrap } from '../../runbooks/preflight/check-bootstrap.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { fluxHome } from '../recovery/delivered-homes.ts'
import { applied, failuresOf, faultsOf, rehearseAt, resumeAt } from '../recovery/home.ts'

test('a home with Flux and SOPS comes back; its root Kustomization last, nothing before its data', async context => {
  const home = fluxHome(context)
  const part = await rehearseAt(home)
  expect(failuresOf(part)).toEqual({})
  expect(part.result?.state).toBe('finished')
  const steps = applied(part)
  const at = (step: string) => {
    expect(steps).toContain(step)
    return steps.indexOf(step)
  }
  expect(at('bootstrap/give-secrets[flux]')).toBeLessThan(at('bootstrap/apply[flux]'))
  expect(at('bootstrap/hold-application[notes]')).toBeLessThan(at('volumes/adopt[notes/data]'))
  expect(at('volumes/verify[notes/data]')).toBeLessThan(at('applications/release[notes]'))
  expect(at('applications/release[notes]')).toBeLessThan(at('applications/release[flux-system]'))
})

test('a proof that does not come is named, and the run goes on when it does', async context => {
  const home = fluxHome(context)
  const before = readFileSync(home.file, 'utf8')
  writeFileSync(
    home.file,
    `${before.replace('condition: Ready', 'condition: Shiny')}timeouts: { bootstrap/apply: 5s }\n`,
  )
  const first = await rehearseAt(home)
  expect(failuresOf(first)).toMatchObject({ 'bootstrap/apply[flux]': 'bootstrap-unproven' })
  expect(faultsOf(first)[0]?.message).toContain('GitRepository flux-system/flux-system is not Shiny')
  writeFileSync(home.file, before)
  const second = await resumeAt(home, { accept: ['cluster-file'] })
  expect(second.result?.state).toBe('finished')
})

test('a Kustomization in the bootstrap that nothing leads to would start what it brings: refused', async context => {
  const home = fluxHome(context)
  const sync = join(home.file, '../clusters/home/flux-system/gotk-sync.yaml')
  writeFileSync(
    home.file,
    readFileSync(home.file, 'utf8').replace('  applications: { flux: ./clusters/home }\n', ''),
  )
  const cluster = loadCluster(home.file)
  const seen = await checkBootstrap.observe({
    cluster,
    names: { addresses: async () => [] },
    manifests: async () =>
      cluster.bootstrap[0]!.from.objects.map(o => o.value as unknown as KubernetesObject),
    signal: new AbortController().signal,
  })
  expect(readFileSync(sync, 'utf8')).toContain('kind: Kustomization')
  expect(seen).toMatchObject({
    state: 'blocked',
    code: 'bootstrap-starts-applications',
    reason: expect.stringContaining('Kustomization flux-system/flux-system among the manifests of flux'),
  })
})

test('what is wrong about a part in recover.yaml is told with its place', context => {
  const home = fluxHome(context)
  const before = readFileSync(home.file, 'utf8')
  const problems = (from: string, to: string) => {
    writeFileSync(home.file, before.replace(from, to))
    try {
      loadCluster(home.file)
    } catch (thrown) {
      return (thrown as Error).message
    }
    return ''
  }
  expect(problems('sops.age-key', 'age-key')).toMatch(/recover.yaml:\d+:\d+ .*expected SECRET.FIELD/)
  expect(problems('flux-system/sops-age', 'sops-age')).toMatch(
    /recover.yaml:\d+:\d+ .*expected namespace\/name/,
  )
  expect(problems('kustomize: ./clusters', 'kustomise: ./clusters')).toMatch(
    /recover.yaml:\d+:\d+ .*did you mean kustomize/,
  )
  expect(problems('./clusters/home/flux-system', './nowhere')).toMatch(
    /recover.yaml:\d+:\d+ .*there is no folder/,
  )
})
