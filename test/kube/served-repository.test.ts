import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keepMirror } from '../../src/gitops/repository.ts'
import { eventually, type Json } from '../lab/kubernetes/cluster.ts'
import { describeKube } from './harness/describe-kube.ts'
import { endOf } from './harness/end.ts'
import { makeHome } from './harness/home.ts'
import { live, phases, type RealHome, startHome } from './harness/recovery.ts'

const now = new AbortController().signal
const url = 'https://git.example.net/you/home.git'
const step = `bootstrap/serve-repository[${url}]`

/** Secrets of Argo CD's for repositories, and what it trusts. */
async function told({ cluster }: RealHome): Promise<{ proxies: string[]; trusted: string[] }> {
  const of = async (path: string): Promise<Json> =>
    (await cluster.ask('GET', `/api/v1/namespaces/argocd/${path}`)).body
  const secrets: Json[] = (await of('secrets?labelSelector=argocd.argoproj.io/secret-type=repository')).items
  return {
    proxies: secrets.map(s => Buffer.from(s.data.proxy ?? '', 'base64').toString()),
    trusted: Object.keys((await of('configmaps/argocd-tls-certs-cm')).data ?? {}),
  }
}

describeKube(
  'a repository that is away when the cluster comes back',
  { parts: ['kustomize', 'argocd', 'cilium'], programs: ['git', 'helm', 'redis-server'] },
  () => {
    test('is served from the kit to the real Argo CD for as long as the run lasts, also after a kill', {
      timeout: 40 * 60_000,
    }, async () => {
      const made = makeHome('new', url)
      const kit = mkdtempSync(join(tmpdir(), 'kit-'))
      await keepMirror(made.folder, kit, now)
      writeFileSync(
        made.file,
        readFileSync(made.file, 'utf8').replace(`  remote: ${url}\n`, `$&  serve: { address: 127.0.0.1 }\n`) +
          `kit: ${kit}\n`,
      )
      const home = await startHome({ home: made })
      try {
        const only = `${phases},proof`
        const { plan } = await live(home, 'plan', { only })
        expect(plan!.entries.find(e => e.step === step)).toMatchObject({
          state: 'due',
          changes: [
            expect.stringMatching(/^serve https:\/\/git\.example\.net.*commit \w+ of 20/),
            expect.anything(),
          ],
        })
        const killed = await live(home, 'begin', { only, death: `after-effect ${step}` })
        expect(killed.faults).toEqual([])
        expect(killed.end).toBe('SIGKILL')
        const first = await told(home)
        expect(first.proxies).toEqual([expect.stringMatching(/^http:\/\/recover:\w{32}@127\.0\.0\.1:\d+$/)])
        expect(first.trusted).toEqual(['git.example.net'])

        const lived = await live(home, 'resume', { only })
        expect(lived.faults).toEqual([])
        expect(lived.end).toBe(0)
        const { applications, claims } = await endOf(home)
        const names = ['grafana', 'miniflux', 'photos', 'root', 'scratch', 'synology-csi']
        expect(applications).toEqual(Object.fromEntries(names.map(name => [name, 'Synced, Healthy'])))
        expect(new Set(Object.values(claims))).toEqual(new Set(['Bound']))
        expect(home.operators.stumbles).toEqual([])

        // No Application was changed, and nothing of the way through this computer is left.
        const path = '/apis/argoproj.io/v1alpha1/namespaces/argocd/applications'
        const seen = (await home.cluster.ask('GET', path)).body.items as Json[]
        expect(new Set(seen.map(a => a.spec.source.repoURL))).toEqual(new Set([url]))
        expect(await told(home)).toEqual({ proxies: [], trusted: [] })
        // The password is in no record and in nothing that was said.
        const word = /:(\w{32})@/.exec(first.proxies[0]!)![1]!
        expect(JSON.stringify([killed.events, lived.events])).not.toContain(word)

        // Argo CD cannot read it any more, and leaves alone what it brought.
        const refresh = { metadata: { annotations: { 'argocd.argoproj.io/refresh': 'hard' } } }
        await home.cluster.ask('PATCH', `${path}/grafana`, refresh, 'application/merge-patch+json')
        const after = await eventually('grafana to be unknown', async () => {
          const { status } = (await home.cluster.ask('GET', `${path}/grafana`)).body
          return status.sync.status === 'Unknown' ? status : undefined
        })
        expect(after.health.status).toBe('Healthy')
      } finally {
        await home.close()
      }
    })
  },
)
