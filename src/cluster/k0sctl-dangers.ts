import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { K0sctlFile } from './k0sctl-file.ts'

/** Something in k0sctl.yaml that a recovery cannot use, or that it goes badly with. */
export interface K0sctlDanger {
  /** `k0sctl.yaml:14:5`. */
  at: string
  /** Nothing may be begun with it. */
  refused: boolean
  message: string
  remedy: string
}

type Raw = Record<string, unknown>

/**
 * Looks for what k0sctl takes and a recovery must not rely on.
 * @param folder of k0sctl.yaml, from which its own paths go out
 * @param ownSsh machines are reached by the person's own ssh, which knows its jump hosts
 */
export function k0sctlDangers(file: K0sctlFile, folder: string, ownSsh = false): K0sctlDanger[] {
  const found: K0sctlDanger[] = []
  const spec = (file.document.spec ?? {}) as Raw
  const hosts = spec.hosts as Raw[]
  const say = (path: PropertyKey[], refused: boolean, message: string, remedy: string) =>
    found.push({ at: file.at(path), refused, message, remedy })
  hosts.forEach((host, i) => {
    const { name } = file.hosts[i] ?? { name: `host ${i + 1}` }
    const at = (...path: PropertyKey[]) => ['spec', 'hosts', i, ...path]
    if (host.reset === true)
      say(at('reset'), true, `${name} would be reset, not installed`, 'Remove `reset: true` from k0sctl.yaml')
    if (host.localhost !== undefined)
      say(
        at('localhost'),
        true,
        `${name} is the computer that k0sctl runs on, which a recovery cannot write anew`,
        'Give the host `ssh` with its address, and run recover on another computer',
      )
    if (host.useExistingK0s === true)
      say(
        at('useExistingK0s'),
        true,
        `${name} is to have its k0s already, and a disk that was written anew has none`,
        'Remove useExistingK0s, or put k0s on the disk by its Butane file and say `k0sBinaryPath`',
      )
    const bastion = (host.ssh as Raw | undefined)?.bastion
    if (bastion && !ownSsh)
      say(
        at('ssh', 'bastion'),
        false,
        `${name} is reached by way of ${(bastion as Raw).address ?? 'another machine'}, and neither recover nor the k0sctl that it runs goes that way`,
        'Say `ssh: { transport: openssh }` in recover.yaml, with ProxyJump for that host in your ~/.ssh/config',
      )
    if (typeof host.k0sDownloadURL === 'string')
      say(
        at('k0sDownloadURL'),
        false,
        `${name} fetches k0s from ${host.k0sDownloadURL}, which must answer in the outage`,
        'Keep the program beside k0sctl.yaml and say `uploadBinary: true` with `k0sBinaryPath`',
      )
    if (typeof host.k0sBinaryPath === 'string' && !existsSync(resolve(folder, host.k0sBinaryPath)))
      say(
        at('k0sBinaryPath'),
        true,
        `there is no file ${host.k0sBinaryPath}, which is to be k0s on ${name}`,
        'Put it there, or remove k0sBinaryPath',
      )
    const files = Array.isArray(host.files) ? (host.files as Raw[]) : []
    files.forEach((entry, j) => {
      if (typeof entry.src === 'string' && /^https?:\/\//.test(entry.src))
        say(
          at('files', j, 'src'),
          true,
          `${entry.src} is a file from the network: for it k0sctl drains and restarts ${name} at every apply, and it must answer in the outage`,
          'Keep the file beside k0sctl.yaml and name it there',
        )
      // A pattern may match nothing today and something tomorrow.
      else if (
        typeof entry.src === 'string' &&
        !/[*?[{]/.test(entry.src) &&
        !existsSync(resolve(folder, entry.src))
      )
        say(
          at('files', j, 'src'),
          true,
          `there is no file ${entry.src}, which is to be put on ${name}`,
          'Put it there, or remove it from `files`',
        )
    })
  })
  return found
}
