import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import type { KubernetesObject } from '../src/kubernetes/kubernetes.ts'
import { renderKustomization } from '../src/kubernetes/render.ts'
import { Fault } from '../src/runbook/fault.ts'
import { openSecrets } from '../src/secrets/resolve.ts'
import type { Login } from './connect.ts'
import type { Reach } from './session.ts'

/** The real home: addresses from recover.yaml, keys from the person's agent or from k0sctl.yaml, secrets from its sources. */
export const inEarnest: Reach = async cluster => {
  const { entry, k0sctl } = cluster
  const secrets = openSecrets({
    from: entry.secrets.from,
    vault: entry.secrets.vault,
    file: entry.secrets.file === undefined ? undefined : cluster.resolve(entry.secrets.file),
  })
  return {
    host(name) {
      const host = entry.hosts[name]
      const known = k0sctl.hosts.find(h => h.name === name)
      return {
        address: host?.address ?? known?.address ?? name,
        port: host?.port ?? known?.port ?? 22,
        user: host?.user ?? known?.user ?? 'core',
      }
    },
    login: () => loginFrom(k0sctl.hosts.find(h => h.keyPath)?.keyPath),
    nas: {
      url: entry.nas.synology,
      fingerprint: entry.nas.fingerprint,
      account: () => secrets.field(entry.nas.credentials, 'username'),
      password: () => secrets.field(entry.nas.credentials, 'password'),
    },
    secrets,
    wantedSecrets: ['username', 'password'].map(field => ({ secret: entry.nas.credentials, field })),
    k0sctl: [entry.tools?.k0sctl === undefined ? 'k0sctl' : cluster.resolve(entry.tools.k0sctl)],
    manifests: async (part, signal) =>
      'folder' in part.from
        ? renderKustomization(part.from.folder, signal)
        : part.from.objects.map(o => o.value as unknown as KubernetesObject),
    pace: 1,
  }
}

function loginFrom(keyPath: string | undefined): Login {
  const agent = process.env.SSH_AUTH_SOCK
  if (agent) return { agent }
  if (keyPath) {
    const keyFile = keyPath.replace(/^~/, homedir())
    return { privateKey: readFileSync(keyFile, 'utf8'), keyFile }
  }
  throw new Fault({
    code: 'ssh-key-missing',
    blame: 'operator',
    message: 'no key to log in to the machines with: no ssh-agent runs, and k0sctl.yaml names no keyPath',
    remedy: 'Start an ssh-agent and add your key to it (ssh-add)',
  })
}
