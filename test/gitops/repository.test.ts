import { execFileSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { reachRepository } from '../../runbooks/preflight/reach-repository.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { connectGit, keepMirror, repositoriesOf } from '../../src/gitops/repository.ts'
import { root } from '../cli/program.ts'
import { scratch } from '../runbook/harness.ts'

const { signal } = new AbortController()

/** A repository with one commit, and a way to add another. */
function repository(): { folder: string; commit(text: string): string } {
  const folder = scratch('repository')
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.net', ...args])
      .toString()
      .trim()
  git('init', '-q', '-b', 'main')
  const commit = (text: string) => {
    writeFileSync(join(folder, 'file'), text)
    git('add', '.')
    git('commit', '-q', '-m', text)
    return git('rev-parse', 'HEAD')
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
    output: { repositories: ['https://git.example.net/you/home.git'] },
  })
  expect(await seen(cluster.inventory, 'no route')).toMatchObject({
    state: 'done',
    warnings: [{ code: 'repository-unreachable', message: expect.stringContaining('no route') }],
  })
  const own = { ...cluster.inventory, hosts: [{ host: 'git.example.net', at: 'forge/ingress.yaml:2:1' }] }
  expect(await seen(own, undefined)).toMatchObject({
    state: 'done',
    warnings: [{ code: 'repository-circular', message: expect.stringContaining('forge/ingress.yaml:2:1') }],
  })
})
