import { isHeld, knownApplication } from '../../src/gitops/application.ts'
import { fanOut } from '../kit.ts'
import { releaseOrder } from './order.ts'

/** Every Argo CD Application of the cluster. */
export const eachApplication = fanOut({
  name: 'application',
  schema: knownApplication,
  key: application => application.name,
  subjects: ({ cluster }) =>
    cluster.applications.map(({ name, namespace, path, claims, parent, storage, wave }) => ({
      name,
      namespace,
      path,
      claims,
      parent,
      storage,
      wave,
      after: releaseOrder({ name, wave, parent }, cluster.applications.filter(isHeld)),
    })),
})
