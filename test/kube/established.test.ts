import { expect, test } from 'vitest'
import { applyAll } from '../../src/kubernetes/apply.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { connectBy, eventually } from '../lab/kubernetes/cluster.ts'
import { startControlPlane } from './harness/control-plane.ts'
import { describeKube } from './harness/describe-kube.ts'

const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const definition: KubernetesObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'kites.example.net' },
  spec: {
    group: 'example.net',
    scope: 'Cluster',
    names: { plural: 'kites', singular: 'kite', kind: 'Kite', listKind: 'KiteList' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
  },
}

describeKube('a definition that a killed API server has accepted and not established', {}, () => {
  test('is left so when the server is back; it is changed then, established, and as it was', async () => {
    // One that thinks it is one of two waits five seconds between the two: long enough to be killed in.
    const controlPlane = await startControlPlane({ apiServer: ['--apiserver-count=2'] })
    const { api, ask, close } = connectBy(controlPlane.kubeconfig)
    const established = async () => {
      const { body } = await ask('GET', `${path}/kites.example.net`)
      return body.status?.conditions?.find((c: { type: string }) => c.type === 'Established')
    }
    expect((await ask('POST', path, definition)).status).toBe(201)
    await eventually('its names to be accepted', async () => (await established())?.reason === 'Installing')
    await controlPlane.processes.end('kube-apiserver', 'SIGKILL')
    controlPlane.processes.start('kube-apiserver')
    await controlPlane.ready()
    // Longer than the five seconds that it takes where nobody is killed.
    await new Promise(resolve => setTimeout(resolve, 7_000))
    expect(await established()).toMatchObject({ status: 'False', reason: 'Installing' })

    const notes: string[] = []
    const wait = async <T>(_: string, probe: () => Promise<T | undefined>): Promise<T> => {
      for (let i = 0; i < 300; i += 1) {
        const found = await probe()
        if (found !== undefined) return found
        await new Promise(resolve => setTimeout(resolve, 300))
      }
      throw new Error('waited too long')
    }
    await applyAll(api.writer, [definition], {
      policy: 'by-manager',
      hands: { wait, note: text => notes.push(text), progress() {} },
    })
    expect(await established()).toMatchObject({ status: 'True' })
    expect(notes.join()).toContain('CustomResourceDefinition kites.example.net')
    const { body } = await ask('GET', `${path}/kites.example.net`)
    expect(body.metadata.annotations ?? {}).toEqual({})
    await close()
    await controlPlane.close()
  })
})
