import type { World } from '../../world.ts'
import type { ObjectStore } from '../store.ts'
import type { Stored } from '../stored.ts'
import { type Controller, dig, digList, refOf, runs, withCondition } from './context.ts'

const kind = 'OnePasswordItem.onepassword.com'

/** Why Connect or the operator deliver nothing, in the words of their logs; undefined when they do. */
function complaint(
  store: ObjectStore,
  world: World,
): { of: 'connect' | 'operator'; log: string } | undefined {
  const misread = store
    .all('Deployment')
    .map(d => misreads(store, d))
    .find(m => m !== undefined)
  if (misread !== undefined) return { of: 'connect', log: misread }
  if (world.suffers('onepassword-token-refused', 'onepassword'))
    return {
      of: 'connect',
      log: '{"log_message":"(W) Server: (failed to createVerifiedAccess), Authentication: (Invalid bearer token), square/go-jose/jwt: validation failed, token is expired (exp)","level":2}',
    }
  return undefined
}

/** Connect takes base64 of the JSON, or the path of a file with it, from OP_SESSION; the file that is mounted else. */
function misreads(store: ObjectStore, deployment: Stored): string | undefined {
  const pod = dig(deployment, 'spec', 'template', 'spec')
  const [api] = digList(pod, 'containers').filter(c => /^connect-/.test(String(c.name)))
  if (!api) return undefined
  const reference = digList(api, 'env').find(e => e.name === 'OP_SESSION' && e.valueFrom)
  const name =
    dig<string>(reference, 'valueFrom', 'secretKeyRef', 'name') ??
    digList(pod, 'volumes')
      .map(v => dig<string>(v, 'secret', 'secretName'))
      .find(n => n !== undefined)
  const key = dig<string>(reference, 'valueFrom', 'secretKeyRef', 'key') ?? '1password-credentials.json'
  const secret =
    name === undefined
      ? undefined
      : store.find({ resource: store.kind('Secret'), namespace: String(deployment.metadata.namespace), name })
  const data = dig<string>(secret, 'data', key)
  if (data === undefined) return undefined
  const value = Buffer.from(data, 'base64').toString('utf8')
  const json = reference ? Buffer.from(value, 'base64').toString('utf8') : value
  const failed = (why: string) =>
    `{"log_message":"(E) Server: (unable to get credentials and initialize API, retrying in 30s), Wrapped: (failed to FindCredentialsUniqueKey), Wrapped: (failed to loadCredentialsFile), ${why}","level":1}`
  if (reference && !/^[A-Za-z0-9+/]+=*$/.test(value))
    return failed(
      'Wrapped: (LoadLocalAuthV2 failed to credentialsDataFromBase64), illegal base64 data at input byte 0',
    )
  try {
    JSON.parse(json)
    return undefined
  } catch {
    return failed("invalid character 'e' looking for beginning of value")
  }
}

/** What 1Password’s own pods write. */
export function onePasswordLog(store: ObjectStore, world: World, owner: string): string | undefined {
  const operator = /onepassword.*operator/.test(owner)
  if (!operator && !/onepassword-connect/.test(owner)) return undefined
  const wrong = complaint(store, world)
  const lines = operator
    ? store
        .all(kind)
        .filter(i => world.suffers('onepassword-rate-limited', i.metadata.name))
        .map(
          i =>
            `ERROR\tfailed to retrieve 1Password item at path ${dig(i, 'spec', 'itemPath')}\t{"error": "performing a vault operation: rate limit exceeded"}`,
        )
    : wrong
      ? [wrong.log]
      : ['{"log_message":"(I) ### syncer credentials bootstrap ### ","level":3}']
  return lines.map(l => `${l}\n`).join('')
}

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
    const wrong = complaint(store, world)
    if (wrong) {
      const message = 'failed to retrieve item: Connect does not answer as it should'
      store.setStatus(refOf(store, item), {
        conditions: withCondition(conditions, 'Ready', false, 'Error', message),
      })
      continue
    }
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
