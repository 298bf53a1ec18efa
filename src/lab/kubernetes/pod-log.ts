import type { World } from '../world.ts'
import { dig, digList } from './controllers/context.ts'
import { onePasswordLog } from './controllers/onepassword.ts'
import { StatusError } from './status-error.ts'
import type { ObjectStore } from './store.ts'

/**
 * What a pod's container wrote, as the API server fetches it from the kubelet. The lab has no containers: only programs
 * whose words somebody reads have any.
 */
export function podLog(
  store: ObjectStore,
  world: World,
  namespace: string,
  name: string,
  query: URLSearchParams,
): string {
  const pod = store.get({ resource: store.kind('Pod'), namespace, name })
  const containers = digList(pod, 'spec', 'containers').map(c => String(c.name))
  const container = query.get('container') ?? containers[0] ?? ''
  if (!containers.includes(container))
    throw new StatusError(400, 'BadRequest', `container ${container} is not valid for pod ${name}`)
  if (dig(pod, 'status', 'phase') === 'Pending')
    throw new StatusError(
      400,
      'BadRequest',
      `container "${container}" in pod "${name}" is waiting to start: ContainerCreating`,
    )
  const owner = pod.metadata.ownerReferences?.[0]?.name ?? name
  const lines = (onePasswordLog(store, world, owner) ?? '').split('\n').slice(0, -1)
  const tail = Number(query.get('tailLines') ?? lines.length)
  return lines
    .slice(-tail)
    .map(l => `${l}\n`)
    .join('')
}
