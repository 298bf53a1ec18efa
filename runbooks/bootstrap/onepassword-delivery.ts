import type { KubernetesObject, KubernetesReader, ObjectRef } from '../../src/kubernetes/kubernetes.ts'
import { logsOf } from '../../src/kubernetes/pods.ts'
import { lacks } from '../../src/kubernetes/readiness.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { Acting } from '../../src/runbook/step.ts'
import {
  type OnePasswordTrouble,
  onePasswordWorkloads,
  troubleIn,
} from '../../src/secrets/connect-manifests.ts'
import type { Readers } from '../kit.ts'

/** Looks after which a complaint that does not pass by itself is believed: Connect repeats some while it starts. */
const patience = 30

/** What an item still lacks; `absent` when it is not there. Ready alone is not enough: the Secret must be, too. */
export async function lackOf(kubernetes: KubernetesReader, item: ObjectRef): Promise<string | undefined> {
  const live = await kubernetes.get(item)
  if (!live) return 'absent'
  const lack = lacks(live)
  if (lack !== undefined) return lack
  const { namespace, name } = item
  const secret = await kubernetes.get({ apiVersion: 'v1', kind: 'Secret', namespace, name })
  return Object.keys((secret?.data ?? {}) as object).length > 0
    ? undefined
    : 'the item is Ready, and its Secret is not there'
}

/**
 * Waits until 1Password's operator has made the Secret of an item. Throws Fault `onepassword-rate-limited`,
 * `onepassword-credentials-misread`, `onepassword-token-refused` or `onepassword-item-missing`, as the logs of its pods
 * tell them apart; `onepassword-silent` when those say nothing.
 */
export async function untilDelivered(
  item: ObjectRef,
  path: string,
  {
    cluster,
    kubernetes,
    manifests,
    signal,
    wait,
  }: Pick<Readers, 'cluster' | 'kubernetes' | 'manifests'> & Pick<Acting, 'wait' | 'signal'>,
): Promise<void> {
  const all = await Promise.all(cluster.bootstrap.map(part => manifests(part.name, signal)))
  const workloads = onePasswordWorkloads(all.flat())
  let lack: string | undefined
  let trouble: OnePasswordTrouble | undefined
  let lasting = 0
  try {
    await wait(
      `1Password to deliver ${path}`,
      async () => {
        lack = await lackOf(kubernetes, item)
        if (lack === undefined) return true
        trouble = (await complaintOf(kubernetes, workloads)) ?? troubleIn(lack)
        // A rate limit passes; anything else that is repeated for long enough does not.
        lasting = trouble && trouble.kind !== 'rate-limited' ? lasting + 1 : 0
        if (trouble && lasting >= patience) throw undelivered(path, lack, trouble)
        return undefined
      },
      { every: '2s', limit: '16m' },
    )
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.code !== 'wait-timed-out') throw thrown
    throw undelivered(path, lack ?? '', trouble, thrown)
  }
}

async function complaintOf(
  kubernetes: KubernetesReader,
  workloads: readonly KubernetesObject[],
): Promise<OnePasswordTrouble | undefined> {
  for (const workload of workloads) {
    // Logs only help to explain; a kubelet that does not give them is no failure of 1Password.
    const trouble = troubleIn(await logsOf(kubernetes, workload).catch(() => ''))
    if (trouble) return trouble
  }
  return undefined
}

function undelivered(
  path: string,
  lack: string,
  trouble: OnePasswordTrouble | undefined,
  cause?: Fault,
): Fault {
  const says = trouble && `its log says: ${trouble.line.trim().slice(0, 300)}`
  switch (trouble?.kind) {
    case 'rate-limited':
      return new Fault({
        code: 'onepassword-rate-limited',
        blame: 'network',
        message: `1Password does not deliver ${path} because it limits our rate; ${says}`,
        remedy:
          'Wait until the hour or the day is over (`op service-account ratelimit` tells), then run `recover resume`; the operator itself tries again every 15 minutes',
        cause,
      })
    case 'credentials-misread':
      return new Fault({
        code: 'onepassword-credentials-misread',
        blame: 'operator',
        message: `1Password Connect cannot read its own credentials; ${says}`,
        remedy:
          'Compare the chart’s version with the form of the Secret: charts up to 2.2 want the JSON in base64, later ones the JSON itself. `recover resume` puts it right when the manifests that are applied are those of the chart that runs',
        cause,
      })
    case 'token-refused':
      return new Fault({
        code: 'onepassword-token-refused',
        blame: 'operator',
        message: `1Password refuses the token, or what it may see; ${says}`,
        remedy:
          'Give a token that is valid and may read the vault (field token, or service-account-token, of the secret onepassword), then run `recover resume`; stop meanwhile what goes on asking with the old one: failed questions count against the limit',
        cause,
      })
    case 'item-missing':
      return new Fault({
        code: 'onepassword-item-missing',
        blame: 'operator',
        message: `1Password has no item ${path}, or the token may not see its vault; ${says}`,
        remedy: 'Name an item that is there as secrets.probe in recover.yaml, or give the token its vault',
        cause,
      })
    default:
      return new Fault({
        code: 'onepassword-silent',
        blame: 'network',
        message: `1Password does not deliver ${path}: ${lack}`,
        remedy:
          'Look at the logs of onepassword-connect and onepassword-connect-operator, then run `recover resume`',
        cause,
      })
  }
}
