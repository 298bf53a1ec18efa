import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { KubernetesObject } from '../../../src/kubernetes/kubernetes.ts'
import type { ControlPlane } from './control-plane.ts'

/** A validating webhook that an API server asks about every new Deployment. */
export interface Webhook {
  /** What registers it; without the webhook's word nothing passes. */
  configuration: KubernetesObject
  /** Names of Deployments about which it was asked. */
  asked: string[]
  /** From now on it says yes to everything. */
  appease(): void
  close(): Promise<void>
}

/** Starts one, behind the control plane's own certificate. @param refuse the Deployment that it does not want */
export async function startWebhook(
  controlPlane: ControlPlane,
  name: string,
  refuse: string,
): Promise<Webhook> {
  const text = (file: string) => readFileSync(join(controlPlane.folder, file), 'utf8')
  const asked: string[] = []
  let strict = true
  const server = createServer({ cert: text('server.crt'), key: text('server.key') }, (request, answer) => {
    const body: Buffer[] = []
    request.on('data', (chunk: Buffer) => body.push(chunk))
    request.on('end', () => {
      const review = JSON.parse(Buffer.concat(body).toString()) as { request: { uid: string; name: string } }
      asked.push(review.request.name)
      const allowed = !strict || review.request.name !== refuse
      const response = {
        uid: review.request.uid,
        allowed,
        ...(allowed ? {} : { status: { code: 403, message: `no ${refuse} in this house` } }),
      }
      answer.writeHead(200, { 'content-type': 'application/json' })
      answer.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response }))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    asked,
    configuration: {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name },
      webhooks: [
        {
          name,
          clientConfig: {
            url: `https://127.0.0.1:${port}/validate`,
            caBundle: Buffer.from(text('ca.crt')).toString('base64'),
          },
          rules: [
            { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] },
          ],
          failurePolicy: 'Fail',
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          timeoutSeconds: 20,
        },
      ],
    },
    appease: () => {
      strict = false
    },
    close: () => {
      server.closeAllConnections()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}
