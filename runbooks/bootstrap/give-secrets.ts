import { z } from 'zod'
import type { GivenSecret } from '../../src/cluster/bootstrap.ts'
import { applyOver } from '../../src/kubernetes/apply.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { blocked, done, due } from '../../src/runbook/step.ts'
import { variableOf } from '../../src/secrets/environment.ts'
import { type Readers, step } from '../kit.ts'
import { joinWorkers } from '../kubernetes/workers.ts'
import { eachPart } from './each-part.ts'

/**
 * Secrets that a part needs and only the person has: the key that opens what is encrypted in Git (SOPS), the login to the
 * repository. They come from the person's own sources, as recover.yaml says.
 */
export const giveSecrets = step({
  id: 'bootstrap/give-secrets',
  title: part => `Give ${part.name} its secrets`,
  byHand: '`kubectl create secret generic NAME --from-file=KEY` for each that recover.yaml names.',
  each: eachPart,
  only: part => part.secrets.length > 0,
  needs: [joinWorkers],
  danger: 'changes',
  bounds: { expected: '5s', limit: '5m' },
  retry: { times: 4, delay: '3s' },
  uses: () => ['api'],
  output: z.strictObject({ secrets: z.array(z.string()) }),
  async observe({ part, kubernetes, secrets }) {
    const open: string[] = []
    for (const given of part.secrets) {
      const { namespace, name } = given
      for (const { secret, field } of Object.values(given.data))
        if (!(await secrets.has(secret, field)))
          return blocked(
            'secret-missing',
            `the field ${field} of the secret ${secret}, for the Secret ${namespace}/${name}, is not known to any source of secrets`,
            `Put it into one of the sources that recover.yaml names (in the environment: ${variableOf(secret, field)})`,
          )
      const live = await kubernetes.get({ apiVersion: 'v1', kind: 'Secret', namespace, name })
      const wanted = (await filled(given, secrets)).data as Record<string, string>
      const held = (live?.data ?? {}) as Record<string, string>
      if (!live) open.push(`create the Secret ${namespace}/${name}`)
      else if (Object.entries(wanted).some(([key, value]) => held[key] !== value))
        open.push(`put your values into the Secret ${namespace}/${name}, which holds others`)
    }
    const names = part.secrets.map(s => `${s.namespace}/${s.name}`)
    return open.length > 0
      ? due(...open)
      : done({ secrets: names }, `${names.join(' and ')} hold what you gave`)
  },
  async apply({ part, kubernetes, secrets, note }) {
    for (const name of new Set(part.secrets.map(s => s.namespace)))
      await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    for (const given of part.secrets) await applyOver(kubernetes, await filled(given, secrets), note)
  },
})

async function filled(
  { namespace, name, type, data }: GivenSecret,
  secrets: Readers['secrets'],
): Promise<KubernetesObject> {
  const values = await Promise.all(
    Object.entries(data).map(
      async ([key, { secret, field }]) =>
        [key, Buffer.from(await secrets.field(secret, field)).toString('base64')] as const,
    ),
  )
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    type,
    data: Object.fromEntries(values),
  }
}
