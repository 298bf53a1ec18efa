import { accessSync, constants, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Cluster } from '../src/cluster/load.ts'
import type { OpenSsh } from '../src/hosts/ssh.ts'
import { Fault } from '../src/runbook/fault.ts'
import type { Login } from './whereabouts.ts'

/** The person's own ssh: their config says how, k0sctl.yaml may name one more key. */
export function openSsh(
  { entry, resolve }: Pick<Cluster, 'entry' | 'resolve'>,
  keyPath: string | undefined,
): OpenSsh {
  return {
    ...(entry.ssh?.config === undefined ? {} : { config: resolve(entry.ssh.config) }),
    ...(keyPath === undefined ? {} : { keyFile: keyPath.replace(/^~/, homedir()) }),
  }
}

/** The person's agent, and the key that k0sctl.yaml names or that `ssh` would take by itself. Throws Fault `ssh-key-missing`. */
export function loginFrom(keyPath: string | undefined): Login {
  const agent = process.env.SSH_AUTH_SOCK
  const keyFile = keyFileOf(keyPath)
  const login: Login = {
    ...(agent ? { agent } : {}),
    ...(keyFile === undefined ? {} : { keyFile, privateKey: readFileSync(keyFile, 'utf8') }),
  }
  if (login.agent !== undefined || login.privateKey !== undefined) return login
  throw new Fault({
    code: 'ssh-key-missing',
    blame: 'operator',
    message: `no key to log in to the machines with: no ssh-agent runs, and ${keyPath === undefined ? 'k0sctl.yaml names no keyPath' : `the keyPath of k0sctl.yaml, ${keyPath}, cannot be read`}`,
    remedy: 'Start an ssh-agent and add your key to it (ssh-add)',
  })
}

function keyFileOf(keyPath: string | undefined): string | undefined {
  const usual = ['id_ed25519', 'id_ecdsa', 'id_rsa'].map(name => join(homedir(), '.ssh', name))
  // What the agent holds is enough, unless the person named a file.
  const candidates =
    keyPath !== undefined ? [keyPath.replace(/^~/, homedir())] : process.env.SSH_AUTH_SOCK ? [] : usual
  return candidates.find(file => {
    try {
      accessSync(file, constants.R_OK)
      return true
    } catch {
      return false
    }
  })
}
