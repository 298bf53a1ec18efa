import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { reachRepository } from '../../runbooks/preflight/reach-repository.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { connectGit, keepMirror, repositoriesOf } from '../../src/gitops/repository.ts'
import { root } from '../cli/program.ts'
import { scratch } from '../runbook/harness.ts'
import { commitAll } from './repositories.ts'

const { signal } = new AbortController()

/** A repository with one commit, and a way to add another. */
function repository(): { folder: string; commit(text: string): string } {
  const folder = scratch('repository')
  const commit = (text: string) => {
    writeFileSync(join(folder, 'file'), text)
    return commitAll(folder, text)
  }
  commit('one')
  return { folder, commit }
}

test('the kit keeps a mirror that can be read alone, and follows the repository', async () => {
  const { folder, commit } = repository()
  const kit = scratch('kit')
  const first = (await keepMirror(folder, kit, signal))!
  expect(await connectGit(true).refusal(first.path, signal)).toBeUndefined()
  const second = commit('two')
  expect(await keepMirror(folder, kit, signal)).toEqual({ path: first.path, commit: second })
  expect(readdirSync(join(kit, 'mirror'))).toHaveLength(1)
})

test('a folder that is in no Git repository has no mirror', async () => {
  expect(await keepMirror(scratch('plain'), scratch('kit'), signal)).toBeUndefined()
})

test('a repository that is away says why, without the password in its URL; a rehearsal asks nobody', async () => {
  const url = 'http://me:secret-word@127.0.0.1:1/home.git'
  const why = await connectGit(true).refusal(url, signal)
  expect(why).toContain('127.0.0.1')
  expect(why).not.toContain('secret-word')
  expect(await connectGit(false).refusal(url, signal)).toBeUndefined()
})

test('repositories are read from Applications and sources; charts are none', () => {
  const object = (spec: object) => ({ apiVersion: 'x/v1', kind: 'X', metadata: {}, spec })
  expect(
    repositoriesOf([
      object({ source: { repoURL: 'https://a/one.git', path: 'x' } }),
      object({
        sources: [
          { repoURL: 'https://charts', chart: 'c' },
          { repoURL: 'https://a/two.git', ref: 'v' },
        ],
      }),
      object({ url: 'ssh://git@a/three.git' }),
      object({ source: { repoURL: 'https://a/one.git' } }),
    ]),
  ).toEqual(['https://a/one.git', 'https://a/two.git', 'ssh://git@a/three.git'])
})

test('a repository that the cluster itself serves, and one that is away, are told and stop nobody', async () => {
  const cluster = loadCluster(join(root, 'examples/home/recover.yaml'))
  const seen = (inventory: typeof cluster.inventory, refusal: string | undefined) =>
    reachRepository.observe({
      cluster: { ...cluster, inventory },
      git: { refusal: async () => refusal },
      signal,
    })
  expect(await seen(cluster.inventory, undefined)).toMatchObject({
    state: 'done',
    output: { repositories: ['https://git.example.net/you/home.git'], away: [] },
  })
  expect(await seen(cluster.inventory, 'no route')).toMatchObject({
    state: 'done',
    output: { away: ['https://git.example.net/you/home.git'] },
    warnings: [{ code: 'repository-unreachable', message: expect.stringContaining('no route') }],
  })
  const own = { ...cluster.inventory, hosts: [{ host: 'git.example.net', at: 'forge/ingress.yaml:2:1' }] }
  expect(await seen(own, undefined)).toMatchObject({
    state: 'done',
    output: { away: ['https://git.example.net/you/home.git'] },
    warnings: [{ code: 'repository-circular', message: expect.stringContaining('forge/ingress.yaml:2:1') }],
  })
})

test('what comes in the place of a repository that is away depends on the kit and on recover.yaml', async () => {
  const { folder } = repository()
  const kit = scratch('kit')
  const url = 'https://git.example.net/you/home.git'
  const cluster = loadCluster(join(root, 'examples/home/recover.yaml'))
  const remedy = async (serve: object | undefined, remote = url) => {
    const gitops = { ...cluster.entry.gitops, repository: folder, remote, ...(serve ? { serve } : {}) }
    const seen = await reachRepository.observe({
      cluster: { ...cluster, entry: { ...cluster.entry, kit, gitops } },
      git: { refusal: async (asked: string) => (asked === remote ? 'no route' : undefined) },
      signal,
    })
    return seen.state === 'done' ? seen.warnings?.[0]?.remedy : undefined
  }
  expect(await remedy(undefined)).toContain('recover render --fill-kit')
  await keepMirror(folder, kit, signal)
  expect(await remedy(undefined)).toContain('serve: { address: ADDRESS-OF-THIS-COMPUTER }')
  expect(await remedy({ address: '192.0.2.2' })).toMatch(/^This run serves .* to Argo CD in its place/)
  expect(await remedy(undefined, 'ssh://git@git.example.net/you/home.git')).toContain('“By hand”')
})
