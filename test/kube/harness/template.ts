import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectApi } from '../../../src/kubernetes/api.ts'
import { startIn } from './control-plane.ts'
import { controlPlane, lacking } from './parts.ts'

/**
 * Starts a control plane once, and keeps what it wrote: a new cluster takes ten seconds until its own namespaces, roles
 * and service accounts are there, a copy of it three.
 */
export default async function makeTemplate(): Promise<undefined | (() => void)> {
  if (lacking(controlPlane) !== undefined) return
  const folder = mkdtempSync(join(tmpdir(), 'template-'))
  const { kubeconfig, processes } = await startIn(folder, {})
  const { reader, close } = connectApi({ kubeconfig })
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', namespace: 'default', name: 'default' }
  await processes.waitFor('kube-controller-manager', 'it made the service accounts', () =>
    reader.get(account),
  )
  await close()
  // In order, so that the database is whole.
  await processes.endAll('SIGTERM')
  rmSync(join(folder, 'log'), { recursive: true })
  process.env.RECOVER_KUBE_TEMPLATE = folder
}
