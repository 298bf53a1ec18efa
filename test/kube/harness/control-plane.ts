import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { kubeconfigText } from '../../../src/lab/kubernetes/kubernetes.ts'
import { openPki } from '../../../src/lab/pki.ts'
import { partFile } from './parts.ts'
import { freePorts, Processes } from './processes.ts'

/** What a control plane has besides its API server and the controllers. */
interface Wanted {
  /** Pods are put on nodes. */
  scheduler?: boolean
  /** Nodes get Ready, and pods run, without a machine behind them. */
  kwok?: boolean
  /** More flags of the API server's. */
  apiServer?: string[]
  /** Begin with nothing instead of with a copy of the template. */
  empty?: boolean
}

/** A real control plane on loopback: kine, kube-apiserver, kube-controller-manager. */
export interface ControlPlane {
  /** A person's way in: a client certificate with every right. */
  kubeconfig: string
  server: string
  /** Its state and its logs. */
  folder: string
  processes: Processes
  /** Waits until the API says it is ready. */
  ready(): Promise<void>
  /** A kubeconfig for a token that the API server may or may not know. */
  withToken(token: string): string
  /** A token that the API server knows until it is started again after {@link revokeToken}. */
  token: string
  revokeToken(): void
  close(): Promise<void>
}

const group = 'system:masters'

/** Starts one from a copy of the template that the suite made at its beginning, which takes seconds. */
export async function startControlPlane(wanted: Wanted = {}): Promise<ControlPlane> {
  const folder = mkdtempSync(join(tmpdir(), 'control-plane-'))
  const template = process.env.RECOVER_KUBE_TEMPLATE
  if (template !== undefined && !wanted.empty) cpSync(template, folder, { recursive: true })
  return startIn(folder, wanted)
}

/** Starts one on what a folder holds, which may be nothing. */
export async function startIn(folder: string, wanted: Wanted): Promise<ControlPlane> {
  const path = (name: string) => join(folder, name)
  mkdirSync(folder, { recursive: true })
  await makeIdentity(folder)
  const { ca, admin, users } = identityIn(folder)
  const [api = 0, store = 0, controllers = 0, scheduler = 0] = freePorts(4)
  const server = `https://127.0.0.1:${api}`
  writeFileSync(path('kubeconfig'), kubeconfigText(server, ca, admin), { mode: 0o600 })
  const processes = new Processes(path('log'))
  const storeAt = `127.0.0.1:${store}`
  processes.start('kine', {
    program: partFile('kine', 'kine'),
    args: [
      `--endpoint=sqlite://${path('state.db')}?_journal=WAL&cache=shared&_busy_timeout=30000`,
      `--listen-address=tcp://${storeAt}`,
      '--metrics-bind-address=0',
    ],
  })
  await processes.waitFor('kine', 'it listens', () => listens(store))
  processes.start('kube-apiserver', {
    program: partFile('kubernetes', 'kube-apiserver'),
    args: [
      `--etcd-servers=http://${storeAt}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${api}`,
      `--tls-cert-file=${path('server.crt')}`,
      `--tls-private-key-file=${path('server.key')}`,
      `--client-ca-file=${path('ca.crt')}`,
      `--token-auth-file=${path('tokens.csv')}`,
      // Loopback may not be advertised; nobody in here goes to a Service's address.
      '--advertise-address=10.255.255.1',
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${path('sa.key')}`,
      `--service-account-signing-key-file=${path('sa.key')}`,
      '--authorization-mode=Node,RBAC',
      '--allow-privileged=true',
      ...(wanted.apiServer ?? []),
    ],
  })
  const dispatcher = new Agent({ connect: { ca, cert: admin.certificate, key: admin.key } })
  const answers = async (what: string) => {
    try {
      const { statusCode, body } = await request(`${server}${what}`, { dispatcher, headersTimeout: 5_000 })
      await body.dump()
      return statusCode === 200 || undefined
    } catch {
      return undefined
    }
  }
  const ready = () => processes.waitFor('kube-apiserver', 'it is ready', () => answers('/readyz'))
  await ready()
  const kubeconfig = path('kubeconfig')
  processes.start('kube-controller-manager', {
    program: partFile('kubernetes', 'kube-controller-manager'),
    args: [
      `--kubeconfig=${kubeconfig}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--secure-port=${controllers}`,
      `--service-account-private-key-file=${path('sa.key')}`,
      `--root-ca-file=${path('ca.crt')}`,
      '--use-service-account-credentials=true',
      // A claim whose volume came late is looked at again after this long; it is 15 s by default.
      '--pvclaimbinder-sync-period=2s',
    ],
  })
  if (wanted.scheduler)
    processes.start('kube-scheduler', {
      program: partFile('kubernetes', 'kube-scheduler'),
      args: [
        `--kubeconfig=${kubeconfig}`,
        '--leader-elect=false',
        '--bind-address=127.0.0.1',
        `--secure-port=${scheduler}`,
      ],
    })
  if (wanted.kwok)
    processes.start('kwok', {
      program: partFile('kwok', 'kwok'),
      args: [
        `--kubeconfig=${kubeconfig}`,
        `--config=${partFile('kwok', 'stages.yaml')}`,
        '--manage-all-nodes=true',
        '--node-lease-duration-seconds=40',
      ],
    })
  const [token = ''] = users
  return {
    kubeconfig,
    server,
    folder,
    processes,
    ready: async () => {
      await ready()
    },
    token,
    withToken(text) {
      const file = path(`kubeconfig-${randomBytes(4).toString('hex')}`)
      writeFileSync(file, kubeconfigText(server, ca, { token: text }), { mode: 0o600 })
      return file
    },
    revokeToken: () => writeFileSync(path('tokens.csv'), '', { mode: 0o600 }),
    async close() {
      await dispatcher.destroy()
      await processes.endAll()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Certificates, keys and a token of a control plane, made where they are not there yet. */
async function makeIdentity(folder: string): Promise<void> {
  const path = (name: string) => join(folder, name)
  if (existsSync(path('tokens.csv'))) return
  const documents = new Map<string, unknown>()
  const pki = await openPki(
    {
      address: '127.0.0.1',
      read: name => documents.get(name) as never,
      write: (name, value) => void documents.set(name, value),
    },
    ['kubernetes'],
    [{ user: 'kubernetes-admin', groups: [group] }],
  )
  const server = pki.server('kubernetes')
  const admin = pki.client('kubernetes-admin', [group])
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const files = {
    'ca.crt': pki.ca.certificate,
    'server.crt': server.certificate,
    'server.key': server.key,
    'admin.crt': admin.certificate,
    'admin.key': admin.key,
    'sa.key': privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
    'tokens.csv': `${randomBytes(16).toString('hex')},somebody,somebody,${group}\n`,
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(path(name), text, { mode: 0o600 })
}

function identityIn(folder: string) {
  const text = (name: string) => readFileSync(join(folder, name), 'utf8')
  return {
    ca: text('ca.crt'),
    admin: { certificate: text('admin.crt'), key: text('admin.key') },
    users: text('tokens.csv')
      .split('\n')
      .flatMap(line => line.split(',')[0] || []),
  }
}

/** Whether something listens at a port of loopback. */
export function listens(port: number): Promise<true | undefined> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(undefined))
  })
}
