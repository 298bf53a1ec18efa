import { expect, test } from 'vitest'
import { describeKube } from './harness/describe-kube.ts'
import { failures, isWell } from './harness/judge.ts'
import { type Lived, live, startHome } from './harness/recovery.ts'
import { startWebhook } from './harness/webhook.ts'

const configurations = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'

/** What was said of a step that failed. */
const saidOf = (lived: Lived, step: string) => lived.faults.find(f => f.step === step)?.message

describeKube(
  'webhooks of a real control plane',
  { parts: ['kustomize', 'argocd', 'cilium'], programs: ['git', 'helm', 'redis-server'] },
  () => {
    test('one that refuses an object, and one that is away, are named with the object; resuming finishes', {
      timeout: 40 * 60_000,
    }, async () => {
      const home = await startHome()
      const { ask } = home.cluster
      const name = 'house-rules.example.net'
      const webhook = await startWebhook(home.controlPlane, name, 'argocd-server')
      expect((await ask('POST', configurations, webhook.configuration)).status).toBe(201)

      const refused = await live(home, 'begin')
      expect(refused.end).toBe(4)
      expect(failures(refused)).toMatchObject({ 'bootstrap/apply[argocd]': 'admission-denied' })
      expect(saidOf(refused, 'bootstrap/apply[argocd]')).toBe(
        `the cluster refused to apply Deployment argocd/argocd-server: admission webhook "${name}" denied the request: no argocd-server in this house`,
      )
      // What it does not mind was taken meanwhile.
      expect(
        (await ask('GET', '/apis/apps/v1/namespaces/argocd/deployments/argocd-repo-server')).status,
      ).toBe(200)

      await webhook.close()
      const away = await live(home, 'resume', { limitMs: 75_000 })
      expect(away.end).toBe(4)
      expect(failures(away)).toMatchObject({ 'bootstrap/apply[argocd]': 'webhook-away' })
      expect(saidOf(away, 'bootstrap/apply[argocd]')).toContain(
        `the cluster could not apply Deployment argocd/argocd-server, since the admission webhook ${name} does not answer: `,
      )

      // It is there again, under another address, and says yes.
      const mended = await startWebhook(home.controlPlane, name, 'argocd-server')
      mended.appease()
      await ask('DELETE', `${configurations}/${name}`)
      expect((await ask('POST', configurations, mended.configuration)).status).toBe(201)
      const last = await live(home, 'resume')
      expect(failures(last)).toEqual({})
      expect(last.end).toBe(0)
      expect(mended.asked).toContain('argocd-server')
      await isWell(home)
      await home.close()
      await mended.close()
    })
  },
)
