import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { SshAccess } from '../../../src/hosts/ssh.ts'
import { run, until } from './commands.ts'
import { cutOff, lift, limitNewConnections, type Network } from './network.ts'
import { place } from './place.ts'

/** A machine with real systemd and a real sshd, in namespaces of its own, which can be switched, cut off and reinstalled. */
export interface Container {
  name: string
  address: string
  mac: string
  /** Of the system that is on it now: `ssh-ed25519 AAAA…`. */
  hostKey(): string
  /** How `core` logs in; pinned to the system that is on it now. */
  access(): SshAccess
  /** Runs a command in it as root, past its network and sshd; gives what it printed. */
  inside(...command: string[]): string
  /** Switches it on, and comes back when sshd listens. */
  powerOn(): Promise<void>
  /** Takes the power away: nothing in it learns of it. */
  cutPower(): Promise<void>
  /** Whether anything passes between it and the network; what does not is dropped without a word. */
  partition(state: 'cut' | 'healed'): void
  /** At most so many new connections in a time; the rest is dropped without a word. Undefined lifts it. */
  limitConnections(burst: number | undefined, per?: 'minute' | 'day'): void
  /**
   * Puts a fresh system on it, with another host key, which starts with the next boot: as an installation does, or as
   * another operating system answers that nobody expected.
   */
  replaceSystem(files?: Record<string, string>): Promise<void>
  /** Another file in its system, written while it is off or on. */
  put(path: string, text: string, mode?: number): void
  stop(): Promise<void>
}

let made = 0

/** Makes a machine and switches it on. `key` is the public key that `core` is logged in with. */
export async function startContainer(
  network: Network,
  options: {
    name: string
    number: number
    key: { private: string; public: string }
    files?: Record<string, string>
  },
): Promise<Container> {
  const { name, number, key } = options
  const machine = `${network.bridge}-${name}`
  const address = network.address(number)
  const mac = `52:54:00:77:00:${number.toString(16).padStart(2, '0')}`
  network.plug(machine, address, mac)
  let system: string | undefined
  let nspawn: ChildProcess | undefined
  let wanted: 'on' | 'off' = 'off'
  let ended: Promise<void> = Promise.resolve()

  const lay = (files: Record<string, string>) => {
    const folder = join(place().folder, `${machine}-${++made}`)
    for (const part of ['upper', 'work', 'root']) mkdirSync(join(folder, part), { recursive: true })
    const root = join(folder, 'root')
    const layers = `lowerdir=${place().debian},upperdir=${folder}/upper,workdir=${folder}/work`
    run('mount', '-t', 'overlay', machine, '-o', layers, root)
    run('ssh-keygen', '-q', '-A', '-f', root)
    system = root
    put('/etc/hostname', `${name}\n`)
    put('/etc/machine-id', `${run('systemd-id128', 'new').trim()}\n`)
    put('/home/core/.ssh/authorized_keys', `${key.public}\n`)
    for (const [path, text] of Object.entries(files)) put(path, text)
  }
  const put = (path: string, text: string, mode = 0o644) => {
    const file = join(system!, path)
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, text, { mode })
  }
  const firstProcess = () =>
    nspawn?.pid === undefined
      ? undefined
      : readFileSync(`/proc/${nspawn.pid}/task/${nspawn.pid}/children`, 'utf8').trim().split(' ')[0] ||
        undefined

  const start = () => {
    // Without power nobody answers, not even to refuse.
    run('ip', '-n', machine, 'link', 'set', 'eth0', 'up')
    // Started within the machine's network, so that /sys shows the machine's own links.
    const child = spawn(
      'nsenter',
      [
        `--net=/run/netns/${machine}`,
        'systemd-nspawn',
        '--quiet',
        `--machine=${machine}`,
        `--hostname=${name}`,
        `--directory=${system}`,
        '--register=no',
        '--keep-unit',
        '--resolv-conf=off',
        '--timezone=off',
        '--boot',
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    const console = createWriteStream(join(place().folder, `${machine}.console`), { flags: 'a' })
    child.stdout.pipe(console, { end: false })
    child.stderr.pipe(console, { end: false })
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4096)
    })
    nspawn = child
    ended = new Promise(resolve =>
      child.once('close', () => {
        console.end()
        nspawn = undefined
        run('ip', '-n', machine, 'link', 'set', 'eth0', 'down')
        // systemd-nspawn ends with its machine, whichever way that went down; a real one comes back after a reboot.
        if (wanted === 'on' && /Rebooting\./.test(said)) start()
        else wanted = 'off'
        resolve()
      }),
    )
  }
  const powerOn = async () => {
    if (nspawn) return
    wanted = 'on'
    start()
    await until(`sshd on ${name}`, 180_000, () => listens(address), {
      dead: () => (wanted === 'off' ? `it went down; see ${place().folder}/${machine}.console` : undefined),
    })
  }
  const cutPower = async () => {
    wanted = 'off'
    const first = firstProcess()
    const gone = ended
    // What its kernel would still say for those that die, as one of a machine without power cannot.
    run('ip', '-n', machine, 'link', 'set', 'eth0', 'down')
    if (first) process.kill(Number(first), 'SIGKILL')
    nspawn?.kill('SIGKILL')
    await gone
  }

  lay(options.files ?? {})
  await powerOn()
  const hostKey = () =>
    readFileSync(join(system!, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8')
      .trim()
      .split(' ')
      .slice(0, 2)
      .join(' ')
  return {
    name,
    address,
    mac,
    hostKey,
    access: () => ({ name, address, port: 22, user: 'core', privateKey: key.private, pins: [hostKey()] }),
    inside(...command) {
      const first = firstProcess()
      if (first === undefined) throw new Error(`${name} is off`)
      return run(
        'nsenter',
        '--target',
        first,
        '--mount',
        '--uts',
        '--ipc',
        '--net',
        '--pid',
        '--',
        ...command,
      )
    },
    powerOn,
    cutPower,
    partition(state) {
      if (state === 'cut') cutOff(machine)
      else lift(machine, 'partition')
    },
    limitConnections(burst, per = 'minute') {
      if (burst === undefined) lift(machine, 'gentle')
      else limitNewConnections(machine, burst, per)
    },
    async replaceSystem(files = {}) {
      lay(files)
    },
    put,
    async stop() {
      await cutPower()
    },
  }
}

function listens(address: string): Promise<true | undefined> {
  return new Promise(resolve => {
    const socket = connect({ host: address, port: 22, timeout: 1000 })
    const end = (found: true | undefined) => {
      socket.destroy()
      resolve(found)
    }
    socket.once('data', () => end(true))
    for (const event of ['error', 'timeout', 'close']) socket.once(event, () => end(undefined))
  })
}
