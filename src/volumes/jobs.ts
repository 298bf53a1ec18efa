import type { KubernetesObject, KubernetesReader, KubernetesWriter } from '../kubernetes/kubernetes.ts'
import { Fault } from '../runbook/fault.ts'

/** How one of our Jobs stands. */
export type JobState =
  | { state: 'absent' }
  | { state: 'running'; why: string }
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
  return { state: 'running', why: whyWaiting(pods) }
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

/** Who wants to know more of a Job than its end. */
export interface JobListener {
  /** Is told what a Job that is at work says, over and over: the last lines of its log. */
  hear?: (log: string) => void
  /** What an exit code means that its program has for one reason alone. */
  faultOf?: (exitCode: number, message: string) => Fault | undefined
}

/**
 * Runs a Job to its end and gives its message. One that is there already is waited for, not started twice; one that
 * failed is removed and started anew. Fault `job-failed` with what it said.
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
  const end = await wait(what, async () => {
    const now = await jobState(kubernetes, namespace, name)
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
