import { z } from 'zod'
import { applyOver } from '../../src/kubernetes/apply.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { blocked, done, due } from '../../src/runbook/step.ts'
import { inForm } from '../../src/secrets/connect-manifests.ts'
import { variableOf } from '../../src/secrets/environment.ts'
import { step } from '../kit.ts'
import { joinWorkers } from '../kubernetes/workers.ts'
import { ownSecretsOf } from './own-secrets.ts'

/**
 * The secrets from which all others come. They cannot come from the cluster itself, nor from Git: only the person has
 * them. Which Secrets those are, and in which form they want what is in them, the manifests of 1Password say.
 */
export const unlockOnePassword = step({
  id: 'bootstrap/unlock-onepassword',
  title: 'Give 1Password its own credentials',
  byHand:
    'Create the namespace of 1Password and in it the Secrets op-credentials (1password-credentials.json: the JSON; with charts up to 2.2 that in base64) and onepassword-token (token).',
  needs: [joinWorkers],
  danger: 'changes',
  bounds: { expected: '5s', limit: '5m' },
  retry: { times: 4, delay: '3s' },
  output: z.strictObject({ secrets: z.array(z.string()) }),
  async observe(look) {
    const { kubernetes, secrets } = look
    const wanted = await ownSecretsOf(look)
    if (wanted.length === 0)
      return done({ secrets: [] }, 'no part of the bootstrap is 1Password: nothing is needed')
    const open: string[] = []
    for (const own of wanted) {
      const { namespace, name, key, field } = own
      const live = await kubernetes.get({ apiVersion: 'v1', kind: 'Secret', namespace, name })
      // From then on it is the operator's, which keeps it as the item in the vault is.
      if (live?.metadata.annotations?.['operator.1password.io/item-path'] !== undefined) continue
      if (!(await secrets.has('onepassword', field))) {
        if ((live?.data as Record<string, string> | undefined)?.[key] !== undefined) continue
        return blocked(
          'secret-missing',
          `the ${field} of 1Password for the Secret ${namespace}/${name} is not known to any source of secrets`,
          `Give it as secret onepassword, field ${field} (in the environment: ${variableOf('onepassword', field)})`,
        )
      }
      const value = inForm(own, await secrets.field('onepassword', field))
      if (!live) open.push(`create the Secret ${namespace}/${name}`)
      else if ((live.data as Record<string, string> | undefined)?.[key] !== encoded(value))
        open.push(`put the ${field} into the Secret ${namespace}/${name}, which holds another value`)
    }
    const names = [...new Set(wanted.map(w => `${w.namespace}/${w.name}`))]
    return open.length > 0
      ? due(...open)
      : done({ secrets: names }, `the Secrets ${names.join(' and ')} hold what 1Password wants`)
  },
  async apply(act) {
    const { kubernetes, secrets, note } = act
    const wanted = await ownSecretsOf(act)
    for (const name of new Set(wanted.map(w => w.namespace)))
      await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    const objects = new Map<string, KubernetesObject>()
    for (const own of wanted) {
      const { namespace, name, key, field } = own
      if (!(await secrets.has('onepassword', field))) continue
      const before = objects.get(`${namespace}/${name}`)
      objects.set(`${namespace}/${name}`, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace },
        type: 'Opaque',
        data: {
          ...(before?.data as object | undefined),
          [key]: encoded(inForm(own, await secrets.field('onepassword', field))),
        },
      })
    }
    // Whatever an earlier attempt, or a hand, put there under another name is what is to be replaced.
    for (const object of objects.values()) await applyOver(kubernetes, object, note)
  },
})

function encoded(value: string): string {
  return Buffer.from(value).toString('base64')
}
