import { z } from 'zod'
import { blocked, done, due } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { joinWorkers } from '../kubernetes/workers.ts'

/** The names that the chart `connect` gives its two Secrets by default, and our names for what goes into them. */
const wanted = [
  { name: 'op-credentials', key: '1password-credentials.json', field: 'credentials' },
  { name: 'onepassword-token', key: 'token', field: 'token' },
] as const

/**
 * The two secrets from which all others come. They cannot come from the cluster itself, nor from Git: only the person
 * has them. Charts from 2.3 mount the credentials as a file, older ones want them base64-encoded once more.
 */
export const unlockOnePassword = step({
  id: 'bootstrap/unlock-onepassword',
  title: 'Give 1Password its own credentials',
  byHand:
    'Create the namespace 1password and in it the Secrets op-credentials (1password-credentials.json) and onepassword-token (token).',
  needs: [joinWorkers],
  danger: 'changes',
  bounds: { expected: '5s', limit: '5m' },
  retry: { times: 4, delay: '3s' },
  output: z.strictObject({ namespace: z.string() }),
  async observe({ cluster, kubernetes, secrets }) {
    const namespace = cluster.onePassword
    if (namespace === undefined)
      return done({ namespace: '' }, 'no part of the bootstrap is 1Password: nothing is needed')
    const missing: string[] = []
    for (const { name } of wanted)
      if (!(await kubernetes.get({ apiVersion: 'v1', kind: 'Secret', namespace, name }))) missing.push(name)
    if (missing.length === 0)
      return done({ namespace }, `the Secrets ${wanted.map(w => w.name).join(' and ')} are in ${namespace}`)
    for (const { name, field } of wanted)
      if (missing.includes(name) && !(await secrets.has('onepassword', field)))
        return blocked(
          'secret-missing',
          `the ${field} of 1Password Connect are not known to any source of secrets`,
          `Give them as secret onepassword, field ${field} (in the environment: RECOVER_SECRET_ONEPASSWORD_${field.toUpperCase()})`,
        )
    return due(...missing.map(name => `create the Secret ${namespace}/${name}`))
  },
  async apply({ cluster, kubernetes, secrets }) {
    const namespace = cluster.onePassword
    if (namespace === undefined) return
    await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    for (const { name, key, field } of wanted)
      await kubernetes.apply(
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name, namespace },
          type: 'Opaque',
          data: { [key]: Buffer.from(await secrets.field('onepassword', field)).toString('base64') },
        },
        { force: true },
      )
  },
})
