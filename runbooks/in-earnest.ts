import { readFileSync } from 'node:fs'
import { Fault } from '../src/runbook/fault.ts'
import type { Reach } from './session.ts'

/** The real home: addresses from recover.yaml, keys from the person's agent or from k0sctl.yaml, the NAS's secret from the environment. */
export const inEarnest: Reach = async cluster => {
  const { entry, k0sctl } = cluster
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
    login: loginFrom(k0sctl.hosts.find(h => h.keyPath)?.keyPath),
    nas: {
      url: entry.nas.synology,
      fingerprint: entry.nas.fingerprint,
      account: fromEnvironment(entry.nas.credentials, 'USERNAME'),
      password: async () => fromEnvironment(entry.nas.credentials, 'PASSWORD'),
    },
    pace: 1,
  }
}

function loginFrom(keyPath: string | undefined): { privateKey: string } | { agent: string } {
  const agent = process.env.SSH_AUTH_SOCK
  if (agent) return { agent }
  if (keyPath) return { privateKey: readFileSync(keyPath.replace(/^~/, process.env.HOME ?? '~'), 'utf8') }
  throw new Fault({
    code: 'ssh-key-missing',
    blame: 'operator',
    message: 'no key to log in to the machines with: no ssh-agent runs, and k0sctl.yaml names no keyPath',
    remedy: 'Start an ssh-agent and add your key to it (ssh-add)',
  })
}

/** `nas` and `PASSWORD` give RECOVER_SECRET_NAS_PASSWORD. */
function fromEnvironment(name: string, field: string): string {
  const variable = `RECOVER_SECRET_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_${field}`
  const value = process.env[variable]
  if (value) return value
  throw new Fault({
    code: 'secret-missing',
    blame: 'operator',
    message: `the ${field.toLowerCase()} of the secret ${name} is not known`,
    remedy: `Set ${variable} in the environment`,
  })
}
