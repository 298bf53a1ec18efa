import { Fault } from '../runbook/fault.ts'
import type { SshAccess, SshConnection } from './ssh-access.ts'

const prefix = 'sudo -n '

/**
 * A line on which `sudo -n COMMAND` does what it says whoever is logged in: root needs no sudo, and a machine that has
 * none may have root's login instead. Costs no round trip where sudo works. Throws Fault `host-no-root` where the login
 * is not root and sudo wants a password, forbids it or is not there.
 */
export function withRoot(access: SshAccess, ssh: SshConnection): SshConnection {
  let isRoot = access.user === 'root'
  return {
    hostKey: ssh.hostKey,
    closed: ssh.closed,
    close: () => ssh.close(),
    async run(command, options) {
      if (!command.startsWith(prefix)) return ssh.run(command, options)
      const bare = command.slice(prefix.length)
      if (isRoot) return ssh.run(bare, options)
      const result = await ssh.run(command, options)
      // In whatever language: sudo begins what it says with its own name, and so does a shell that does not find it.
      if (result.code === 0 || !/^(?:.*: )?sudo: /m.test(result.stderr)) return result
      const look = options?.signal === undefined ? {} : { signal: options.signal }
      const id = await ssh.run('id -u', look)
      if (id.code === 0 && id.stdout.trim() === '0') {
        isRoot = true
        // Nothing of what was handed in has been read by a sudo that refused, but a stream cannot be read twice.
        if (typeof options?.stdin === 'object' && !Buffer.isBuffer(options.stdin)) return result
        return ssh.run(bare, options)
      }
      if ((await ssh.run('sudo -n true', look)).code === 0) return result
      throw new Fault({
        code: 'host-no-root',
        blame: 'operator',
        message: `${access.name} lets ${access.user} in, but neither as root nor with sudo without a password (${result.stderr.trim().split('\n').at(-1)})`,
        remedy: `Give ${access.user} passwordless sudo there (a file in /etc/sudoers.d with \`${access.user} ALL=(ALL) NOPASSWD: ALL\`), or name another user in recover.yaml (hosts.….user)`,
      })
    },
  }
}
