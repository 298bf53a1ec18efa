import { type Controller, dig, digList, refOf, runs, withCondition } from './context.ts'

const kind = 'OnePasswordItem.onepassword.com'

/** Turns every OnePasswordItem into a Secret, once Connect and the operator run with their own two secrets. */
export const onePasswordOperator: Controller = ({ store, world }) => {
  if (!store.has(kind) || !runs(store, /onepassword.*operator/)) return
  const secrets = store.kind('Secret')
  // A Secret goes with its item, whoever else may need it.
  for (const secret of store.list(secrets)) {
    const { namespace, name, annotations } = secret.metadata
    const made = annotations?.['operator.1password.io/item-path'] !== undefined
    if (made && !store.all(kind).some(i => i.metadata.namespace === namespace && i.metadata.name === name))
      store.remove(refOf(store, secret))
  }
  for (const item of store.all(kind)) {
    const { name } = item.metadata
    const namespace = String(item.metadata.namespace)
    // Rate-limited, the operator returns without a word in the status and tries again much later.
    if (world.suffers('onepassword-rate-limited', name)) continue
    const path = String(dig(item, 'spec', 'itemPath') ?? '')
    const fields = world.blueprint.items[path]
    const conditions = digList(item, 'status', 'conditions')
    if (!fields) {
      store.setStatus(refOf(store, item), {
        conditions: withCondition(
          conditions,
          'Ready',
          false,
          'Error',
          `failed to retrieve item: ${path} not found`,
        ),
      })
      continue
    }
    const ref = { resource: secrets, namespace, name }
    if (!store.find(ref))
      store.create(
        secrets,
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: {
            name,
            namespace,
            annotations: {
              'operator.1password.io/item-path': path,
              'operator.1password.io/item-version': '1',
            },
          },
          type: 'Opaque',
          data: Object.fromEntries(
            Object.entries(fields).map(([k, v]) => [k, Buffer.from(v).toString('base64')]),
          ),
        },
        'onepassword-connect-operator',
      )
    store.setStatus(refOf(store, item), { conditions: withCondition(conditions, 'Ready', true, 'Ready') })
  }
}
