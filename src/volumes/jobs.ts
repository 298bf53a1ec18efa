import type { KubernetesObject, KubernetesReader, KubernetesWriter } from '../kubernetes/kubernetes.ts'
import { warningAbout } from '../kubernetes/pods.ts'
import { Fault } from '../runbook/fault.ts'

/** How one of our Jobs stands. */
export type JobState =
  | { state: 'absent' }
  /** `pending`: its pod, while that has not begun. */
  | { state: 'running'; why: string; pending?: KubernetesObject }
  | { state: 'complete'; message: string }
  | { state: 'failed'; message: string; exitCode: number }

const kind = { apiVersion: 'batch/v1', kind: 'Job' } as const

/** Looks at a Job and at what its pod left behind. */
export async function jobState(
  kubernetes: KubernetesReader,
  namespace: string,
  name: string,
): Promise<JobState> {
  const job = await kubernetes.get({ ...kind, namespace, name })
  if (!job) return { state: 'absent' }
  const conditions =
    (job.status as { conditions?: { type: string; status: string }[] } | undefined)?.conditions ?? []
  const is = (type: string) => conditions.some(c => c.type === type && c.status === 'True')
  const pods = (await kubernetes.list({ apiVersion: 'v1', kind: 'Pod', namespace })).filter(
    p => p.metadata.labels?.['recover.dev/job'] === name,
  )
  const ends = pods.map(endOf).filter(end => end !== undefined)
  if (is('Complete')) {
    const end = ends.find(e => e.exitCode === 0)
    // Its pod is what proves it; a Job whose pod was swept away proves nothing.
    return end ? { state: 'complete', message: end.message } : { state: 'absent' }
  }
  const last = ends.at(-1)
  if (is('Failed'))
    return { state: 'failed', message: last?.message ?? 'it left no message', exitCode: last?.exitCode ?? -1 }
  const pending = pods.find(p => (p.status as { phase?: string } | undefined)?.phase === 'Pending')
  return { state: 'running', why: whyWaiting(pods), ...(pending ? { pending } : {}) }
}

function endOf(pod: KubernetesObject): { exitCode: number; message: string } | undefined {
  const [status] =
    (
      pod.status as
        | { containerStatuses?: { state?: { terminated?: { exitCode: number; message?: string } } }[] }
        | undefined
    )?.containerStatuses ?? []
  const terminated = status?.state?.terminated
  return terminated && { exitCode: terminated.exitCode, message: terminated.message ?? '' }
}

/** The end of what a Job's newest pod says; empty where nobody can be asked. */
async function logOf(kubernetes: KubernetesReader, namespace: string, job: string): Promise<string> {
  const pods = await kubernetes.list({ apiVersion: 'v1', kind: 'Pod', namespace })
  const pod = pods.findLast(p => p.metadata.labels?.['recover.dev/job'] === job)
  if (pod?.metadata.name === undefined) return ''
  const said = await kubernetes.log({ namespace, name: pod.metadata.name }, 'recover', 40).catch(() => '')
  return said ?? ''
}

function whyWaiting(pods: KubernetesObject[]): string {
  const [pod] = pods
  if (!pod) return 'its pod is not there yet'
  const status = pod.status as
    | { phase?: string; conditions?: { status: string; message?: string }[] }
    | undefined
  return (
    status?.conditions?.find(c => c.status === 'False' && c.message)?.message ??
    `its pod is ${status?.phase ?? 'new'}`
  )
}

/**
 * What mount(8) says of a disk that no later attempt mounts: another file system than it was told, none, one that the kernel
 * does not know, a broken one.
 */
const unmountable =
  /wrong fs type|bad superblock|unknown filesystem type|can't read superblock|Structure needs cleaning/

/** So many looks in a row must find it: a disk that is only just there is tried again by the kubelet. */
const patience = 5

/** Who wants to know more of a Job than its end. */
export interface JobListener {
  /** Is told what a Job that is at work says, over and over: the last lines of its log. */
  hear?: (log: string) => void
  /** What an exit code means that its program has for one reason alone. */
  faultOf?: (exitCode: number, message: string) => Fault | undefined
}

/**
 * Runs a Job to its end and gives its message. One that is there already is waited for, not started twice; one that
 * failed is removed and started anew. Fault `job-failed` with what it said, and `disk-not-mounted` where no node can mount one
 * of its volumes; such a Job is removed, so that its next pod is judged by what is said of that one.
 */
export async function runJob(
  kubernetes: KubernetesWriter,
  job: KubernetesObject,
  wait: (what: string, probe: () => Promise<JobState | undefined>) => Promise<JobState>,
  what: string,
  { hear, faultOf }: JobListener = {},
): Promise<string> {
  const { name = '', namespace = '' } = job.metadata
  const before = await kubernetes.get({ ...kind, namespace, name })
  const state = await jobState(kubernetes, namespace, name)
  if (before && (state.state === 'failed' || state.state === 'absent')) {
    await kubernetes.remove({ ...kind, namespace, name }, before.metadata.uid ?? '')
    await wait(`the failed Job ${namespace}/${name} to be gone`, async () =>
      (await kubernetes.get({ ...kind, namespace, name })) ? undefined : { state: 'absent' },
    )
  }
  if (state.state !== 'complete' && state.state !== 'running') await kubernetes.apply(job)
  let refused = 0
  const end = await wait(what, async () => {
    const now = await jobState(kubernetes, namespace, name)
    const pending = now.state === 'running' ? now.pending : undefined
    const warning = pending && (await warningAbout(kubernetes, pending))
    refused = warning?.startsWith('FailedMount: ') && unmountable.test(warning) ? refused + 1 : 0
    if (refused === patience) {
      const live = await kubernetes.get({ ...kind, namespace, name })
      if (live) await kubernetes.remove({ ...kind, namespace, name }, live.metadata.uid ?? '')
      throw notMounted(`${namespace}/${name}`, warning!.slice('FailedMount: '.length))
    }
    if (hear && now.state === 'running') hear(await logOf(kubernetes, namespace, name))
    return now.state === 'complete' || now.state === 'failed' ? now : undefined
  })
  if (end.state === 'complete') return end.message
  const known = end.state === 'failed' ? faultOf?.(end.exitCode, end.message) : undefined
  if (known) throw known
  throw new Fault({
    code: 'job-failed',
    blame: 'host',
    message: `the Job ${namespace}/${name} failed: ${end.state === 'failed' ? `${end.message} (exit ${end.exitCode})` : end.state}`,
    remedy: `Look at its pod (kubectl -n ${namespace} describe pod -l recover.dev/job=${name}); then run \`recover resume\``,
  })
}

function notMounted(job: string, said: string): Fault {
  return new Fault({
    code: 'disk-not-mounted',
    blame: 'host',
    message: `no node can mount a volume of the Job ${job}: ${said}`,
    remedy:
      'Look at that disk on a node with `blkid`: it may be encrypted, have partitions, be damaged, or have a file system that the node’s kernel does not know. Where its PersistentVolume says another one (spec.csi.fsType), which cannot be changed, delete claim and PersistentVolume (its policy must be Retain). Then run `recover resume`',
  })
}
