import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { held, isHeldBack } from '../../src/gitops/argocd.ts'
import { applyAll } from '../../src/kubernetes/apply.ts'
import { goYaml } from '../../src/kubernetes/go-yaml.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { connectBy, type Json } from '../lab/kubernetes/cluster.ts'
import { ArgoCd } from './harness/argocd.ts'
import { startControlPlane } from './harness/control-plane.ts'
import { describeKube } from './harness/describe-kube.ts'
import { makeHome } from './harness/home.ts'

const path = '/apis/argoproj.io/v1alpha1/namespaces/argocd/applications'

describeKube(
  'an Application that real Argo CD is told of and kept from',
  { parts: ['kustomize', 'argocd', 'cilium'], programs: ['git', 'helm', 'redis-server'] },
  () => {
    test('is applied by nobody, whatever is asked of it; a project that is not known is all that its status is told', {
      timeout: 40 * 60_000,
    }, async () => {
      const { folder } = makeHome()
      const read = (name: string) => readFileSync(join(folder, name), 'utf8')
      const controlPlane = await startControlPlane()
      const cluster = connectBy(controlPlane.kubeconfig)
      const { api, ask } = cluster
      const manifests = parseAllDocuments(read('bootstrap/argocd.yaml'), goYaml).map(
        document => document.toJS() as KubernetesObject,
      )
      const hands = { note() {}, progress() {}, wait: patiently }
      await applyAll(api.writer, manifests, { policy: 'by-manager', hands })
      await new ArgoCd(controlPlane).start(cluster)

      const inGit = (name: string) =>
        parse(read(`argocd/${name}.yaml`)) as KubernetesObject & { spec: object }
      const live = async (name: string): Promise<Json> => (await ask('GET', `${path}/${name}`)).body
      // What it meets before it knows the projects it is silent about until it looks at everything again, two minutes later.
      await api.writer.apply(inGit('synology-csi'))
      await patiently('Argo CD to be at work', async () => (await live('synology-csi')).status)
      const ofNobody = { ...inGit('scratch'), spec: { ...inGit('scratch').spec, project: 'home' } }
      await api.writer.apply(held(ofNobody))
      await api.writer.apply(held(inGit('photos')))
      const sync = { initiatedBy: { username: 'somebody' }, sync: { revision: 'main' } }
      await ask('PATCH', `${path}/photos`, { operation: sync }, 'application/merge-patch+json')
      // One beside them that is not held goes its whole way meanwhile.
      await api.writer.apply(inGit('grafana'))
      await patiently('the one beside to be synced', async () => {
        const { status } = await live('grafana')
        return status?.sync?.status === 'Synced' ? true : undefined
      })
      const { conditions, ...rest } = await patiently(
        'a word about the project',
        async () => (await live('scratch')).status,
      )
      expect(conditions).toMatchObject([
        {
          type: 'InvalidSpecError',
          message: 'Application referencing project home which does not exist',
        },
      ])
      expect(rest).toEqual({})
      expect(isHeldBack(await live('scratch'))).toBe(true)
      const asked = await live('photos')
      expect(asked.status).toBeUndefined()
      expect(asked.operation).toMatchObject(sync)
      for (const name of ['scratch', 'photos'])
        expect((await ask('GET', `/api/v1/namespaces/${name}`)).status).toBe(404)

      // The word is gone once it is let go, with the project that it is of.
      const project = manifests.find(o => o.kind === 'AppProject')!
      await api.writer.apply({ ...project, metadata: { ...project.metadata, name: 'home' } })
      await api.writer.apply(ofNobody)
      await patiently('the one that was held to be synced', async () => {
        const { status } = await live('scratch')
        return status?.sync?.status === 'Synced' && status.conditions === undefined ? true : undefined
      })
      await cluster.close()
      await controlPlane.close()
    })
  },
)

/** Argo CD takes its time beside other tests; what passes by itself is looked at again. */
async function patiently<T>(what: string, probe: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; ; i += 1) {
    const found = await probe().catch(thrown => {
      if (thrown instanceof Fault && thrown.transient) return undefined
      throw thrown
    })
    if (found !== undefined) return found
    if (i === 600) throw new Error(`waited too long for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}
