import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Connected } from '../../lab/kubernetes/cluster.ts'
import { type ControlPlane, listens } from './control-plane.ts'
import { partFile, partFolder } from './parts.ts'
import { freePorts } from './processes.ts'

/** Argo CD's application controller, repo-server and Redis as plain processes; Git is read by file:// addresses. */
export class ArgoCd {
  private readonly controlPlane: ControlPlane
  started = false

  constructor(controlPlane: ControlPlane) {
    this.controlPlane = controlPlane
  }

  /** Starts them once its definitions and settings are in the cluster. */
  async start(cluster: Connected): Promise<void> {
    this.started = true
    const { processes, folder, kubeconfig } = this.controlPlane
    const place = join(folder, 'argocd')
    for (const name of ['tls', 'ssh', 'gpg', 'plugins', 'tmp', 'bin'])
      mkdirSync(join(place, name), { recursive: true })
    writeFileSync(join(place, 'ssh', 'ssh_known_hosts'), '')
    // One program, which knows by its name what to be.
    const named = (name: string) => {
      const path = join(place, 'bin', name)
      symlinkSync(partFile('argocd', 'argocd'), path)
      return path
    }
    await signingKey(cluster)
    const [redis = 0, repo = 0, repoMetrics = 0, metrics = 0] = freePorts(4)
    const password = randomBytes(16).toString('hex')
    const env = {
      PATH: [partFolder('argocd'), partFolder('kustomize'), process.env.PATH].join(':'),
      REDIS_PASSWORD: password,
      KUBECONFIG: kubeconfig,
      TMPDIR: join(place, 'tmp'),
      ARGOCD_TLS_DATA_PATH: join(place, 'tls'),
      ARGOCD_SSH_DATA_PATH: join(place, 'ssh'),
      ARGOCD_GPG_ENABLED: 'false',
      ARGOCD_GNUPGHOME: join(place, 'gpg'),
      ARGOCD_PLUGINSOCKFILEPATH: join(place, 'plugins'),
      ARGOCD_ASK_PASS_SOCK: join(place, 'ask-pass.sock'),
      // https://kubernetes.default.svc is the cluster of the kubeconfig, since no pod is around it.
      ARGOCD_FAKE_IN_CLUSTER: 'true',
    }
    processes.start('redis', {
      program: 'redis-server',
      args: ['--bind', '127.0.0.1', '--port', `${redis}`, '--save', '', '--requirepass', password],
    })
    processes.start('argocd-repo-server', {
      program: named('argocd-repo-server'),
      args: [
        ...['--address', '127.0.0.1', '--port', `${repo}`],
        ...['--metrics-address', '127.0.0.1', '--metrics-port', `${repoMetrics}`],
        ...['--redis', `127.0.0.1:${redis}`, '--disable-tls', '--client-ca-path', '', '--logformat', 'text'],
      ],
      env,
    })
    await processes.waitFor('argocd-repo-server', 'it listens', () => listens(repo))
    processes.start('argocd-application-controller', {
      program: named('argocd-application-controller'),
      args: [
        ...['--namespace', 'argocd', '--kubeconfig', kubeconfig, '--redis', `127.0.0.1:${redis}`],
        ...['--repo-server', `127.0.0.1:${repo}`, '--repo-server-plaintext'],
        ...['--metrics-port', `${metrics}`, '--logformat', 'text'],
      ],
      env,
    })
  }

  /** As a kubelet brings a ConfigMap to the repo-server: a file for each host whose certificates are trusted. */
  async mountCertificates(cluster: Connected): Promise<void> {
    const { body } = await cluster.ask('GET', '/api/v1/namespaces/argocd/configmaps/argocd-tls-certs-cm')
    const data: Record<string, string> = body.data ?? {}
    const folder = join(this.controlPlane.folder, 'argocd', 'tls')
    for (const [host, certificates] of Object.entries(data)) {
      writeFileSync(join(folder, '..', 'tmp', host), certificates)
      renameSync(join(folder, '..', 'tmp', host), join(folder, host))
    }
    for (const host of readdirSync(folder)) if (data[host] === undefined) rmSync(join(folder, host))
  }
}

/** What argocd-server writes when it starts for the first time; the controller reads no settings without. */
async function signingKey(cluster: Connected): Promise<void> {
  await cluster.ask(
    'PATCH',
    '/api/v1/namespaces/argocd/secrets/argocd-secret?fieldManager=argocd-server',
    { stringData: { 'server.secretkey': randomBytes(32).toString('base64') } },
    'application/merge-patch+json',
  )
}
