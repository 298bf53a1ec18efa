import { readFileSync } from 'node:fs'
import { unlike } from '../../src/checks/expectation.ts'
import type { Trust } from '../../src/checks/http.ts'
import type { CheckEntry, ExecCheck, HttpCheck, SqlCheck } from '../../src/cluster/check-schema.ts'
import type { PodCommands } from '../../src/kubernetes/exec.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { Readers } from '../kit.ts'

/** What came of a question: whether it is as it should be, and what was answered last. */
export interface Said {
  well: boolean
  says: string
}

type Handles = Pick<Readers, 'web' | 'kubernetes' | 'cluster'>

/** Puts a person's question once. Never throws for an answer that is not as it should be, or for none. */
export function ask(
  entry: CheckEntry,
  handles: Handles,
  pods: PodCommands,
  signal: AbortSignal,
): Promise<Said> {
  if ('http' in entry) return askWeb(entry, handles, signal)
  if ('tcp' in entry) return askPort(entry.tcp, handles, signal)
  return askPod(entry, handles, pods, signal)
}

async function askWeb(entry: HttpCheck, { web, cluster }: Handles, signal: AbortSignal): Promise<Said> {
  const { connect, status = 200, headers: wanted = {} } = entry
  const trust = trustOf(entry, path => cluster.resolve(path))
  const answer = await web.get(
    { url: entry.http, trust, ...(connect === undefined ? {} : { connect: placeOf(connect) }) },
    signal,
  )
  if (answer.status !== status) return { well: false, says: `it should answer ${status}; ${answer.why}` }
  for (const [name, value] of Object.entries(wanted)) {
    const there = answer.headers[name.toLowerCase()]
    if (there === undefined || !there.includes(value))
      return {
        well: false,
        says: `its header ${name} should hold ${JSON.stringify(value)} and ${there === undefined ? 'is not there' : `is ${JSON.stringify(there)}`}`,
      }
  }
  const wrong = unlike(answer.text, entry)
  if (wrong !== undefined) return { well: false, says: wrong }
  const content = entry.contains !== undefined || entry.matches !== undefined
  return {
    well: true,
    says: `it answers ${status}${content ? ' with the text that it should hold' : ''}${trust.by === 'nobody' ? '; its certificate was not verified, as recover.yaml says' : ''}`,
  }
}

function trustOf({ tls }: HttpCheck, resolve: (path: string) => string): Trust {
  if (tls === undefined) return { by: 'system' }
  if (tls === 'unverified') return { by: 'nobody' }
  if ('fingerprint' in tls) return { by: 'fingerprint', sha256: tls.fingerprint.replace(/^sha256:/, '') }
  return { by: 'authority', pem: readFileSync(resolve(tls.authority), 'utf8') }
}

async function askPort(endpoint: string, { web }: Handles, signal: AbortSignal): Promise<Said> {
  const { open, why } = await web.takesConnections(placeOf(endpoint), signal)
  return { well: open, says: why }
}

async function askPod(
  entry: ExecCheck | SqlCheck,
  { kubernetes }: Handles,
  pods: PodCommands,
  signal: AbortSignal,
): Promise<Said> {
  const { namespace, pod, selector, container } = entry.in
  let name = pod
  if (name === undefined) {
    const labels = Object.entries(selector ?? {})
    const ready = (await kubernetes.list({ apiVersion: 'v1', kind: 'Pod', namespace })).find(
      p => labels.every(([label, value]) => p.metadata.labels?.[label] === value) && isReady(p),
    )
    name = ready?.metadata.name
    if (name === undefined) return { well: false, says: `no such pod in ${namespace} is ready` }
  }
  try {
    const command = 'exec' in entry ? entry.exec : sqlCommand(entry)
    const end = await pods.run(
      { namespace, pod: name, command, ...(container === undefined ? {} : { container }) },
      signal,
    )
    const wanted = 'exec' in entry ? (entry.exit ?? 0) : 0
    if (end.exit !== wanted)
      return {
        well: false,
        says: `in ${name} it ends with ${end.exit} instead of ${wanted}: ${(end.stderr || end.stdout).trim().slice(0, 240) || 'it says nothing'}`,
      }
    const wrong = unlike(end.stdout, entry)
    return wrong === undefined
      ? { well: true, says: `in ${name} it ends as it should` }
      : { well: false, says: `in ${name}: ${wrong}` }
  } catch (thrown) {
    if (thrown instanceof Fault && /^exec-/.test(thrown.code)) return { well: false, says: thrown.message }
    throw thrown
  }
}

/** The client's command line. It can only read; a password stays in the container, in the variable that holds it. */
export function sqlCommand({ program, sql, database, user, password }: SqlCheck): string[] {
  const client =
    program === 'psql'
      ? [
          'env',
          'PGOPTIONS=-c default_transaction_read_only=on',
          ...['psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1'],
          ...(user === undefined ? [] : ['-U', user]),
          ...(database === undefined ? [] : ['-d', database]),
          ...['-c', sql],
        ]
      : [
          ...['mariadb', '-N', '-B', '--init-command=SET SESSION TRANSACTION READ ONLY'],
          ...(user === undefined ? [] : ['-u', user]),
          ...(database === undefined ? [] : ['-D', database]),
          ...['-e', sql],
        ]
  if (password === undefined) return client
  const known = program === 'psql' ? 'PGPASSWORD' : 'MYSQL_PWD'
  return ['sh', '-c', `export ${known}="$${password}"; exec "$@"`, 'sh', ...client]
}

function isReady({ status }: KubernetesObject): boolean {
  const { conditions } = (status ?? {}) as { conditions?: { type: string; status: string }[] }
  return conditions?.some(c => c.type === 'Ready' && c.status === 'True') === true
}

/** `ADDRESS:PORT` apart; an IPv6 address without its brackets. */
function placeOf(endpoint: string): { address: string; port: number } {
  const at = endpoint.lastIndexOf(':')
  return { address: endpoint.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(endpoint.slice(at + 1)) }
}
