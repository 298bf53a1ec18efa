import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { connectSsh, probeSsh, type SshAccess } from '../../src/hosts/ssh.ts'
import { type ContractHost, sshContract } from '../hosts/ssh-contract.ts'
import { run, until } from './harness/commands.ts'
import { type Login, makeLogin } from './harness/login.ts'
import { describeReal, place } from './harness/place.ts'
import { type Sshd, startSshd } from './harness/sshd.ts'

const closing: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const transports = ['the built-in client', 'OpenSSH'] as const
type Transport = (typeof transports)[number]

async function sshd(keys: string[], options: string[] = []): Promise<Sshd> {
  const server = await startSshd(keys, options)
  closing.push(() => server.stop())
  return server
}

function scratch(): string {
  return mkdtempSync(join(place().folder, 'ssh-'))
}

/** An ssh config in which nothing of the person who runs the tests counts. */
function configOf(lines: string[] = [], agent = 'none'): string {
  const file = join(scratch(), 'config')
  writeFileSync(file, [...lines, 'Host *', '  IdentitiesOnly yes', `  IdentityAgent ${agent}`, ''].join('\n'))
  return file
}

function accessTo(
  transport: Transport,
  server: Sshd,
  key: Login,
  change: Partial<SshAccess> = {},
): SshAccess {
  return {
    name: 'lithium',
    address: '127.0.0.1',
    port: server.port,
    user: server.user,
    pins: [server.hostKey()],
    ...(transport === 'OpenSSH'
      ? { openssh: { config: configOf(), keyFile: key.file } }
      : { privateKey: key.private }),
    ...change,
  }
}

/** A connection to which sshd spoke as to one that may log in. */
function greeted(port: number): Promise<Socket | undefined> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => resolve(undefined))
    socket.once('data', (said: Buffer) => resolve(said.toString().startsWith('SSH-') ? socket : undefined))
    socket.once('close', () => resolve(undefined))
  })
}

async function says(access: SshAccess, command = 'echo hello'): Promise<string> {
  const ssh = await connectSsh(access)
  try {
    return (await ssh.run(command)).stdout.trim()
  } finally {
    ssh.close()
    await ssh.closed
  }
}

describeReal('with a real sshd', () => {
  for (const transport of transports)
    sshContract(
      `${transport} and sshd`,
      async (): Promise<ContractHost> => {
        const keys = { friend: makeLogin(), stranger: makeLogin() }
        const server = await sshd([keys.friend.public])
        return {
          port: server.port,
          hostKey: server.hostKey(),
          folder: scratch(),
          slow: 'sleep 3',
          ends255: 'exit 255',
          login(who) {
            const { openssh, privateKey } = accessTo(transport, server, keys[who])
            return {
              user: server.user,
              ...(openssh === undefined ? {} : { openssh }),
              ...(privateKey === undefined ? {} : { privateKey }),
            }
          },
        }
      },
      { upload: 200e6, text: 4_000_000 },
    )

  let key: Login
  beforeEach(() => {
    key = makeLogin()
  })

  describe.each(transports)('%s', transport => {
    test('a machine that was installed anew has another key, and is told from the old one', async () => {
      const server = await sshd([key.public])
      const before = accessTo(transport, server, key)
      expect(await says(before)).toBe('hello')
      await server.rotateHostKey()
      await expect(connectSsh(before)).rejects.toMatchObject({ code: 'host-key-mismatch' })
      expect(await probeSsh(before)).toMatchObject({ state: 'other-key', hostKey: server.hostKey() })
      expect(await says({ ...before, pins: [server.hostKey()] })).toBe('hello')
    })

    test('of several host keys it asks for the one that it knows', async () => {
      const folder = scratch()
      for (const type of ['ecdsa', 'rsa'])
        run('ssh-keygen', '-q', '-t', type, '-N', '', '-f', join(folder, type))
      const server = await sshd(
        [key.public],
        ['ecdsa', 'rsa'].map(type => `HostKey ${join(folder, type)}`),
      )
      for (const type of ['ecdsa', 'rsa']) {
        const pin = run('cat', join(folder, `${type}.pub`)).trim()
        expect(await says(accessTo(transport, server, key, { pins: [pin] }))).toBe('hello')
      }
    })

    test('a hung sshd is given up by the clock, before a login and under a command', async () => {
      const server = await sshd([key.public])
      const access = accessTo(transport, server, key, { keepAlive: { everyMs: 1_000, times: 2 } })
      const ssh = await connectSsh(access)
      const running = ssh.run('sleep 30')
      const outcome = expect(running).rejects.toMatchObject({ code: 'host-silent', transient: true })
      setTimeout(() => server.freeze('frozen'), 300)
      const began = Date.now()
      await outcome
      expect(Date.now() - began).toBeLessThan(10_000)
      await expect(connectSsh({ ...access, connectTimeoutMs: 1_000 })).rejects.toMatchObject({
        code: 'host-silent',
      })
      server.freeze('running')
      expect(await says(access)).toBe('hello')
    })

    test('an sshd with too many logins under way throttles; that is not death', async () => {
      const server = await sshd([key.public], ['MaxStartups 1:100:1', 'LoginGraceTime 30'])
      const access = accessTo(transport, server, key)
      // Whoever looked whether it listens may hold the only place for a moment.
      const holder = await until('the only place', 180_000, () => greeted(server.port))
      await expect(connectSsh(access)).rejects.toMatchObject({ code: 'ssh-throttled', transient: true })
      expect(await probeSsh(access)).toEqual({ state: 'throttled' })
      holder.destroy()
      await until('the place to be free', 180_000, async () => (await says(access)) === 'hello' || undefined)
    })

    test('an agent logs in; a key behind a passphrase alone does not, and nobody is asked for it', async () => {
      const folder = scratch()
      const file = join(folder, 'locked')
      run('ssh-keygen', '-q', '-t', 'ed25519', '-N', 'a long passphrase', '-f', file)
      const locked: Login = { file, private: run('cat', file), public: run('cat', `${file}.pub`).trim() }
      const server = await sshd([locked.public, key.public])
      await expect(connectSsh(accessTo(transport, server, locked))).rejects.toMatchObject({
        code: transport === 'OpenSSH' ? 'host-auth-refused' : 'ssh-key-unusable',
        blame: 'operator',
      })
      const socket = join(folder, 'agent')
      const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' })
      closing.push(() => void agent.kill())
      await until('the agent', 180_000, () => existsSync(socket) || undefined)
      run('env', `SSH_AUTH_SOCK=${socket}`, 'ssh-add', '-q', key.file)
      const by: Partial<SshAccess> =
        transport === 'OpenSSH'
          ? { openssh: { config: configOf(['IdentitiesOnly no'], socket) } }
          : { agent: socket }
      const { privateKey: _, ...access } = accessTo(transport, server, key, by)
      expect(await says(access)).toBe('hello')
      agent.kill()
      await new Promise(resolve => agent.once('close', resolve))
      await expect(connectSsh(access)).rejects.toMatchObject({
        code: transport === 'OpenSSH' ? 'host-auth-refused' : 'ssh-agent-silent',
      })
    })
  })

  describe('only OpenSSH', () => {
    test('goes through a jump host; the pins hold for the machine behind it', async () => {
      const [gate, server] = [await sshd([key.public]), await sshd([key.public])]
      const known = join(scratch(), 'known_hosts')
      writeFileSync(known, `[127.0.0.1]:${gate.port} ${gate.hostKey()}\n`)
      const config = configOf([
        'Host gate',
        `  HostName 127.0.0.1\n  Port ${gate.port}\n  User ${gate.user}`,
        `  IdentityFile ${key.file}\n  UserKnownHostsFile ${known}`,
        'Host lithium',
        '  ProxyJump gate',
      ])
      const access = accessTo('OpenSSH', server, key, { openssh: { config, keyFile: key.file } })
      expect(await says(access)).toBe('hello')
      await expect(connectSsh({ ...access, pins: [gate.hostKey()] })).rejects.toMatchObject({
        code: 'host-key-mismatch',
      })
      await server.stop()
      await expect(connectSsh(access)).rejects.toMatchObject({ code: 'ssh-jump-failed', transient: true })
      await server.start()
      // A jump host that shows another key is not gone through.
      await gate.rotateHostKey()
      await expect(connectSsh(access)).rejects.toMatchObject({ code: 'ssh-jump-failed' })
      await gate.stop()
      await expect(connectSsh(access)).rejects.toMatchObject({
        code: 'ssh-jump-failed',
        message: expect.stringContaining('Connection refused'),
      })
    })

    test('logs in with a certificate where the key alone is unknown', async () => {
      const authority = makeLogin()
      const server = await sshd([], [`TrustedUserCAKeys ${authority.file}.pub`])
      await expect(connectSsh(accessTo('OpenSSH', server, key))).rejects.toMatchObject({
        code: 'host-auth-refused',
      })
      run(
        'ssh-keygen',
        '-q',
        '-s',
        authority.file,
        '-I',
        'a person',
        '-n',
        server.user,
        '-V',
        '+5m',
        `${key.file}.pub`,
      )
      expect(await says(accessTo('OpenSSH', server, key))).toBe('hello')
    })

    test('a config of the person cannot turn off the comparison of host keys, nor take our output', async () => {
      const server = await sshd([key.public])
      const config = configOf([
        'Host *',
        '  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  RemoteCommand echo hijacked\n  RequestTTY force',
        '  ControlMaster no\n  ForwardAgent yes\n  LogLevel QUIET\n  LocalForward 1 127.0.0.1:1',
      ])
      const access = accessTo('OpenSSH', server, key, { openssh: { config, keyFile: key.file } })
      expect(await says(access)).toBe('hello')
      const other = makeLogin().public
      await expect(connectSsh({ ...access, pins: [other] })).rejects.toMatchObject({
        code: 'host-key-mismatch',
      })
    })

    test('a config that ssh does not understand is named', async () => {
      const server = await sshd([key.public])
      const config = configOf(['NoSuchOption yes'])
      await expect(
        connectSsh(accessTo('OpenSSH', server, key, { openssh: { config } })),
      ).rejects.toMatchObject({
        code: 'ssh-config-invalid',
        message: expect.stringContaining('nosuchoption'),
      })
    })

    test('nothing of it is left: no process, no socket, no folder', async () => {
      const server = await sshd([key.public])
      // Tests beside this one have lines, too.
      const own = scratch()
      vi.stubEnv('TMPDIR', own)
      closing.push(() => void vi.unstubAllEnvs())
      const folders = () => readdirSync(own)
      const ssh = await connectSsh(accessTo('OpenSSH', server, key))
      const made = folders()
      expect(made).toEqual([expect.stringMatching(/^recover-ssh-/)])
      const masters = () =>
        run('ps', '-eo', 'args=')
          .split('\n')
          .filter(line => line.includes(made[0]!))
      expect(masters().length).toBeGreaterThan(0)
      expect(run('stat', '-c', '%a', join(own, made[0]!)).trim()).toBe('700')
      ssh.close()
      await ssh.closed
      expect(folders()).toEqual([])
      expect(masters()).toEqual([])
      await expect(connectSsh(accessTo('OpenSSH', server, key, { pins: [] }))).rejects.toThrow()
      expect(folders()).toEqual([])
    })
  })
})
