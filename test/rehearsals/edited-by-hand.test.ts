import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connectApi } from '../../src/kubernetes/api.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'
import { applied, homeOf, labNow, recordsNow, rehearseAt, resumeAt, yes } from '../recovery/home.ts'

/** Stops once a step is done. */
function stopAt(step: string) {
  const stop = new AbortController()
  return {
    stop: stop.signal,
    consent: async () => yes,
    sink: (event: { code: string; step?: string }) => {
      if (event.code === 'step-done' && event.step === step) stop.abort()
    },
  }
}

test('a part of the bootstrap that a hand changed between two parts of a run is noticed and applied again, with a word', async context => {
  const home = homeOf(context)
  const first = await rehearseAt(home, stopAt('bootstrap/apply[argocd]'))
  expect(first.result?.state).toBe('stopped')
  const daemonSet = { apiVersion: 'apps/v1', kind: 'DaemonSet', namespace: 'kube-system', name: 'cilium' }
  const image = async (change?: string) => {
    const { writer, close } = connectApi({
      kubeconfig: join(openRunFolder(stateFolder()).path, 'kubeconfig'),
    })
    const live = await writer.get(daemonSet)
    const { containers } = (
      live!.spec as { template: { spec: { containers: { name: string; image: string }[] } } }
    ).template.spec
    if (change !== undefined)
      await writer.patch(daemonSet, {
        spec: { template: { spec: { containers: [{ ...containers[0], image: change }] } } },
      })
    await close()
    return containers[0]?.image
  }
  let wanted: string | undefined
  const second = await resumeAt(home, {
    ...stopAt('bootstrap/nodes-ready'),
    // The annotation or whatever else an apply leaves stays as it is; only the field changes.
    atFirst: async () => {
      await labNow(home)
      wanted = await image('registry.example/cilium:edited')
      expect(await image()).toBe('registry.example/cilium:edited')
    },
  })
  expect(second.result?.failures).toEqual([])
  expect(applied(second)).toContain('bootstrap/apply[cilium]')
  expect(applied(second).filter(step => /^bootstrap\/apply/.test(step))).toEqual(['bootstrap/apply[cilium]'])
  const moved = recordsNow().filter(r => r.kind === 'moved')
  expect(moved).toMatchObject([
    {
      step: 'bootstrap/apply[cilium]',
      because: expect.stringMatching(
        /DaemonSet kube-system\/cilium, which differs in spec\.template\.spec\.containers\[\S+\]\.image/,
      ),
    },
  ])
  await resumeAt(home, {
    ...stopAt('bootstrap/prove-onepassword'),
    atFirst: async () => expect(await image()).toBe(wanted),
  })
})
