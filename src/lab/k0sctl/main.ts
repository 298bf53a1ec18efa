import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { connectSsh, type SshConnection } from '../../hosts/ssh.ts'

/**
 * A stand-in for the program k0sctl: the same flags, output, phases and exit codes, and the same commands on the
 * machines as the real one was seen to send, as far as machines of a lab can tell the difference.
 */

interface Host {
  role: string
  ssh: { address: string; port?: number; user?: string; keyPath?: string }
  privateAddress?: string
  hostname?: string
  noTaints?: boolean
}

interface Config {
  metadata?: { name?: string }
  spec: { hosts: Host[]; k0s: { version?: string; config?: { spec?: { api?: { port?: number } } } } }
}

class Failed extends Error {}

const began = Date.now()

function say(level: string, text: string): void {
  process.stdout.write(`time="${new Date().toUTCString()}" level=${level} msg=${JSON.stringify(text)}\n`)
}

async function main(argv: string[]): Promise<number> {
  const [command] = argv
  const flag = (name: string) => {
    const i = argv.findIndex(a => a === name || a.startsWith(`${name}=`))
    return i === -1 ? undefined : (argv[i]?.split('=')[1] ?? argv[i + 1])
  }
  if (command === 'version') {
    process.stdout.write('version: v0.32.2\ncommit: lab\n')
    return 0
  }
  const file = flag('--config') ?? flag('-c')
  if ((command !== 'apply' && command !== 'kubeconfig') || file === undefined) {
    process.stderr.write('usage: k0sctl apply|kubeconfig --config FILE\n')
    return 1
  }
  const config = parseAllDocuments(readFileSync(file, 'utf8'))[0]?.toJS() as Config
  return command === 'kubeconfig'
    ? kubeconfig(config, flag('--address'))
    : apply(config, argv.includes('--no-wait'), argv.includes('--force'))
}

async function kubeconfig(config: Config, address: string | undefined): Promise<number> {
  const leader = config.spec.hosts.find(h => h.role !== 'worker')
  if (!leader) throw new Failed('no controllers')
  const line = await connect(leader)
  try {
    const text = await must(line, leader, sudo('/opt/bin/k0s kubeconfig admin'))
    const name = config.metadata?.name ?? 'k0s-cluster'
    process.stdout.write(
      text
        .replace(/server: \S+/, address === undefined ? '$&' : `server: ${address}`)
        .replaceAll(/\b(local|Default)\b/g, name)
        .replaceAll(/(name|user): user\b/g, '$1: admin'),
    )
    return 0
  } finally {
    line.close()
  }
}

async function apply(config: Config, noWait: boolean, force: boolean): Promise<number> {
  const { hosts } = config.spec
  const version = `v${(config.spec.k0s.version ?? '').replace(/^v/, '')}`
  const controllers = hosts.filter(h => h.role !== 'worker')
  const workers = hosts.filter(h => h.role === 'worker')
  const leader = controllers[0]
  if (!leader) throw new Failed('no hosts with a controller role defined')
  const lines = new Map<Host, SshConnection>()
  const line = (host: Host) => lines.get(host) as SshConnection
  const phase = (title: string) => say('info', `==> Running phase: ${title}`)
  try {
    phase('Connect to hosts')
    for (const host of hosts) {
      lines.set(host, await connect(host))
      say('info', `[ssh] ${where(host)}: connected`)
    }
    phase('Detect host operating systems')
    for (const host of hosts) await must(line(host), host, 'uname')
    phase('Prepare hosts')
    phase('Gather host facts')
    for (const host of hosts)
      say(
        'info',
        `[ssh] ${where(host)}: using ${(await must(line(host), host, 'hostname')).trim()} as hostname`,
      )
    phase('Validate hosts')
    phase('Gather k0s facts')
    const running = new Map<Host, boolean>()
    for (const host of hosts) {
      const there = await line(host).run(sudo('test -f /opt/bin/k0s'))
      const unit = host.role === 'worker' ? 'k0sworker' : 'k0scontroller'
      const status = await line(host).run(sudo('/opt/bin/k0s status -o json'))
      running.set(host, status.code === 0)
      const known = await line(host).run(
        `systemctl show -p LoadState -p ActiveState -p Result -p ExecMainStatus -- ${unit}.service`,
      )
      if (there.code === 0 && status.code !== 0 && !known.stdout.includes('not-found') && !force)
        throw new Failed(
          `k0s doesn't appear to be running but has been installed as a service at /etc/systemd/system/${unit}.service - please remove it or start the service`,
        )
    }
    phase('Validate facts')
    const missing: Host[] = []
    for (const host of hosts)
      if ((await line(host).run(sudo('test -f /opt/bin/k0s'))).code !== 0) missing.push(host)
    if (missing.length > 0) {
      phase('Stage k0s binaries on hosts')
      phase('Install k0s binaries on hosts')
      for (const host of missing)
        await must(line(host), host, sudo('install -D -m 0750 /dev/stdin /opt/bin/k0s'), version)
    }
    phase('Configure k0s')
    for (const host of controllers) {
      await must(
        line(host),
        host,
        sudo('install -D -m 0600 /dev/stdin /etc/k0s/k0s.yaml'),
        JSON.stringify(config.spec.k0s.config ?? {}),
      )
      // As an ordinary user it cannot read the file that it wrote, takes it for changed, and restarts k0s every time.
      if (running.get(host)) await must(line(host), host, sudo('systemctl restart k0scontroller'))
    }
    phase('Initialize the k0s cluster')
    for (const host of controllers) {
      if (!running.get(host)) {
        const flags = [
          ...(force ? ['--force=true'] : []),
          '--data-dir=/var/lib/k0s',
          ...(host.role === 'controller+worker' ? ['--enable-worker=true'] : []),
          ...(host.role === 'single' ? ['--single=true'] : []),
          ...(host.noTaints ? ['--no-taints=true'] : []),
          '--config=/etc/k0s/k0s.yaml',
        ]
        await must(line(host), host, sudo(`/opt/bin/k0s install controller ${flags.join(' ')}`))
        await must(line(host), host, sudo('systemctl start k0scontroller'))
      }
      const ready = await must(line(host), host, sudo('/opt/bin/k0s kubectl get --raw=/readyz'))
      if (ready !== 'ok') throw new Failed(`${where(host)}: kubernetes api not ready`)
    }
    const toJoin = workers.filter(h => !running.get(h))
    if (toJoin.length > 0) {
      phase('Install workers')
      const token = await must(
        line(leader),
        leader,
        sudo('/opt/bin/k0s token create --role=worker --expiry=10m0s --data-dir=/var/lib/k0s'),
      )
      for (const host of toJoin) {
        await must(line(host), host, sudo('install -D -m 0600 /dev/stdin /etc/k0s/k0stoken'), token)
        await must(
          line(host),
          host,
          sudo(
            `/opt/bin/k0s install worker ${force ? '--force=true ' : ''}--data-dir=/var/lib/k0s --token-file=/etc/k0s/k0stoken`,
          ),
        )
        await must(line(host), host, sudo('systemctl start k0sworker'))
      }
      if (!noWait)
        throw new Failed('the lab knows --no-wait only: no node is Ready before there is a network')
    }
    phase('Disconnect from hosts')
    say('info', `==> Finished in ${Math.round((Date.now() - began) / 1000)}s`)
    say('info', `k0s cluster version ${version} is now installed`)
    return 0
  } finally {
    for (const open of lines.values()) open.close()
  }
}

async function connect(host: Host): Promise<SshConnection> {
  const { address, port = 22, user = 'root', keyPath } = host.ssh
  const pins = knownHosts(address, port)
  return connectSsh({
    name: where(host),
    address,
    port,
    user,
    privateKey: readFileSync(keyPath ?? '', 'utf8'),
    pins,
  })
}

/** ed25519 keys that SSH_KNOWN_HOSTS holds for an address; an unknown host is refused here. */
function knownHosts(address: string, port: number): string[] {
  const file = process.env.SSH_KNOWN_HOSTS ?? join(process.env.HOME ?? '', '.ssh', 'known_hosts')
  const name = port === 22 ? address : `[${address}]:${port}`
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(l => l.split(' ')[0] === name)
    .map(l => l.split(' ').slice(1, 3).join(' '))
}

async function must(line: SshConnection, host: Host, command: string, stdin?: string): Promise<string> {
  const result = await line.run(command, stdin === undefined ? {} : { stdin })
  if (result.code !== 0) throw new Failed(`${where(host)}: command failed: ${result.stderr.trim()}`)
  return result.stdout
}

function sudo(command: string): string {
  return `sudo -n -- "\${SHELL-sh}" -c '${command}'`
}

function where(host: Host): string {
  return `${host.ssh.address}:${host.ssh.port ?? 22}`
}

const cache = join(process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? '/tmp', '.cache'), 'k0sctl')
mkdirSync(cache, { recursive: true })
try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  say('info', '==> Apply failed')
  say(
    'fatal',
    `apply failed - log file saved to ${join(cache, 'k0sctl.log')}: failed on 1 hosts:\n - ${(error as Error).message}`,
  )
  process.exitCode = 1
}
