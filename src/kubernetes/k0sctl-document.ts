import { isAbsolute, resolve } from 'node:path'

/** How k0sctl reaches one host of the document. */
export interface K0sctlRoute {
  address: string
  port: number
  user: string
  /** File with a private key; absent when an ssh-agent holds it. */
  keyFile?: string
  /** That k0sctl goes through the person's own ssh, with their config and the name that its blocks know the host by. */
  openssh?: { name: string; config?: string; knownHosts: string }
  /** Lines for known_hosts, with the keys that this run gave the host. */
  knownHost: string
}

/**
 * The document with its hosts where they really are, restricted to `only`. Everything else is the person's own text.
 * @param routes by position in the document's list of hosts
 */
export function routed(
  document: Record<string, unknown>,
  routes: K0sctlRoute[],
  only: (index: number) => boolean,
): Record<string, unknown> {
  const spec = document.spec as { hosts: Record<string, unknown>[] }
  return {
    ...document,
    spec: {
      ...spec,
      hosts: spec.hosts.flatMap((host, i): Record<string, unknown>[] => {
        const route = routes[i]
        if (!route || !only(i)) return []
        const { openSSH: _, localhost: __, ssh: ___, ...rest } = host
        const { address, port, user, keyFile, openssh } = route
        const key = keyFile === undefined ? {} : { keyPath: keyFile }
        if (openssh === undefined) return [{ ...rest, ssh: { address, port, user, ...key } }]
        const options = {
          HostName: address,
          // As the lines of known_hosts name it, whatever name ssh was called with.
          HostKeyAlias: port === 22 ? address : `[${address}]:${port}`,
          UserKnownHostsFile: openssh.knownHosts,
          GlobalKnownHostsFile: 'none',
          StrictHostKeyChecking: 'yes',
        }
        const config = openssh.config === undefined ? {} : { configPath: openssh.config }
        return [{ ...rest, openSSH: { address: openssh.name, port, user, ...key, ...config, options } }]
      }),
    },
  }
}

/**
 * The document with the files that it names by their whole paths: the copy that k0sctl is given lies elsewhere.
 * @param folder of the person's own file
 */
export function withWholePaths(document: Record<string, unknown>, folder: string): Record<string, unknown> {
  const whole = (path: unknown) =>
    typeof path === 'string' && path !== '' && !/^https?:\/\//.test(path) && !isAbsolute(path)
      ? resolve(folder, path)
      : path
  const spec = document.spec as { hosts: Record<string, unknown>[] }
  const hosts = spec.hosts.map(host => ({
    ...host,
    ...(host.k0sBinaryPath === undefined ? {} : { k0sBinaryPath: whole(host.k0sBinaryPath) }),
    ...(Array.isArray(host.files)
      ? {
          files: host.files.map((file: Record<string, unknown>) =>
            file.src === undefined ? file : { ...file, src: whole(file.src) },
          ),
        }
      : {}),
  }))
  return { ...document, spec: { ...spec, hosts } }
}
