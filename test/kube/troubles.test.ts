import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../lab/kubernetes/cluster.ts'
import { describeKube } from './harness/describe-kube.ts'
import { failures, isWell } from './harness/judge.ts'
import { live, startHome } from './harness/recovery.ts'
import { unquiet } from './harness/unquiet.ts'

describeKube(
  'troubles of a real control plane',
  { parts: ['kustomize', 'argocd', 'cilium'], programs: ['git', 'helm', 'redis-server'] },
  () => {
    test('killed in the middle of the steps, on a slow store, with 429s, 409s and 500s in between', {
      timeout: 40 * 60_000,
    }, async () => {
      let proxy: Awaited<ReturnType<typeof unquiet>> | undefined
      const home = await startHome({
        async before(controlPlane) {
          proxy = await unquiet(controlPlane)
          return proxy.port
        },
      })
      const { processes } = home.controlPlane
      // Half of the time the store does nothing at all.
      let halted = false
      const slow = setInterval(() => {
        halted = !halted
        processes.halt('kine', halted)
      }, 60)
      let restarting: Promise<void> | undefined
      let kills = 0
      // So that it meets the server in many states: as often as a rehearsal looks.
      const pace = 0.02
      // What waits in vain is told, and resumed.
      const limitMs = 120_000
      const restart = async () => {
        kills += 1
        await processes.end('kube-apiserver', 'SIGKILL')
        processes.start('kube-apiserver')
        await home.controlPlane.ready()
      }
      try {
        const seen = new Set<string>()
        const onEvent: NonNullable<Parameters<typeof live>[2]>['onEvent'] = event => {
          if (event.code !== 'step-applying' || !/^(kubernetes|bootstrap|applications)\//.test(event.step))
            return
          if (seen.has(event.step) || restarting !== undefined) return
          seen.add(event.step)
          restarting = restart().finally(() => {
            restarting = undefined
          })
        }
        let lived = await live(home, 'begin', { onEvent, pace, limitMs })
        for (let i = 0; i < 6 && lived.end === 4; i += 1) {
          failures(lived)
          await restarting
          lived = await live(home, 'resume', { onEvent, pace, limitMs })
        }
        expect(failures(lived)).toEqual({})
        expect(lived.end).toBe(0)
        await restarting
        expect(kills).toBeGreaterThan(4)
        expect(Object.keys(proxy?.said ?? {}).sort()).toEqual(['409', '429', '500'])
      } finally {
        clearInterval(slow)
        processes.halt('kine', false)
      }
      await isWell(home)
      await home.close()
      await proxy?.close()
    })

    test('a namespace that does not go, an API behind another that is down, a refusal by policy, a way in that is no longer known', {
      timeout: 40 * 60_000,
    }, async () => {
      const home = await startHome()
      const { ask } = home.cluster
      const make = async (path: string, object: object) => {
        const { status, body } = await ask('POST', path, object)
        expect(status, JSON.stringify(body)).toBe(201)
      }
      const apiServices = '/apis/apiregistration.k8s.io/v1/apiservices'
      const policies = '/apis/admissionregistration.k8s.io/v1'
      const aggregated = {
        apiVersion: 'apiregistration.k8s.io/v1',
        kind: 'APIService',
        metadata: { name: 'v1.away.example.com' },
        spec: {
          group: 'away.example.com',
          version: 'v1',
          groupPriorityMinimum: 100,
          versionPriority: 100,
          insecureSkipTLSVerify: true,
          service: { namespace: 'default', name: 'nobody' },
        },
      }
      // No namespace is emptied for good while a part of the API does not tell what it has.
      await make(apiServices, aggregated)
      const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: '1password' } }
      await make('/api/v1/namespaces', namespace)
      await ask('DELETE', '/api/v1/namespaces/1password')
      await make(`${policies}/validatingadmissionpolicies`, {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name: 'no-argocd' },
        spec: {
          failurePolicy: 'Fail',
          matchConstraints: {
            resourceRules: [
              {
                apiGroups: ['apps'],
                apiVersions: ['v1'],
                operations: ['CREATE'],
                resources: ['deployments'],
              },
            ],
          },
          validations: [
            { expression: "object.metadata.name != 'argocd-server'", message: 'this house has no Argo CD' },
          ],
        },
      })
      await make(`${policies}/validatingadmissionpolicybindings`, {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name: 'no-argocd' },
        spec: { policyName: 'no-argocd', validationActions: ['Deny'] },
      })

      const first = await live(home, 'begin', { limitMs: 120_000 })
      expect(first.end).toBe(4)
      expect(failures(first)).toMatchObject({ 'bootstrap/unlock-onepassword': 'namespace-terminating' })

      await ask('DELETE', `${apiServices}/v1.away.example.com`)
      await waitLong('the namespace to be gone', async () => {
        const { status } = await ask('GET', '/api/v1/namespaces/1password')
        return status === 404 || undefined
      })
      await make(apiServices, aggregated)
      const runs = join(home.state, 'recover', 'runs')
      const kubeconfig = join(runs, readdirSync(runs).at(-1)!, 'kubeconfig')
      cpSync(home.controlPlane.withToken('a token that nobody knows'), kubeconfig)
      const second = await live(home, 'resume')
      expect(second.end).toBe(4)
      expect(failures(second)).toMatchObject({ 'bootstrap/apply[argocd]': 'admission-denied' })
      expect(second.faults.map(f => f.message).join()).toContain('this house has no Argo CD')

      await ask('DELETE', `${policies}/validatingadmissionpolicybindings/no-argocd`)
      const third = await live(home, 'resume')
      expect(failures(third)).toEqual({})
      expect(third.end).toBe(0)
      await isWell(home)
      await home.close()
    })
  },
)

/** Controllers come back to a namespace after seconds, not at once. */
async function waitLong(what: string, probe: () => Promise<true | undefined>): Promise<void> {
  for (let i = 0; i < 6; i += 1)
    try {
      await eventually(what, probe)
      return
    } catch (error) {
      if (i === 5) throw error
    }
}
