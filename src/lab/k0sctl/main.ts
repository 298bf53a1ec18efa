import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { connectSsh, type SshConnection } from '../../hosts/ssh.ts'
import { onlyLoopback } from '../isolation.ts'
import { killsItsCaller } from '../seams.ts'
import { accepted, remember } from './known-hosts.ts'

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

/** What failed on one host, or, without a host, everywhere. */
class Failed extends Error {
  readonly host: Host | undefined
  constructor(message: string, host?: Host) {
    super(message)
    this.host = host
  }
}

const began = Date.now()
// As long as a timer can be.
const forever = 2 ** 31 - 1

function say(level: 'info' | 'warning' | 'fatal', text: string): void {
  process.stdout.write(`level=${level} msg=${JSON.stringify(text)}\n`)
}

function on(host: Host, text: string): void {
  say('info', `${where(host)}: ${text}`)
}

/** Somebody wants it to stop: it finishes its phase. A second signal is not heard by the real one either. */
let cancelled = false
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (!cancelled) say('warning', 'Aborting... Press Ctrl-C again to exit now.')
    cancelled = true
  })

// Version 0.32 has this to say at every apply, on the other stream.
const notice = `
 ▌ k0sctl's host connection and remote execution functionality has been
 ▌ updated. Behavior should be unchanged, but if you encounter any
 ▌ issues, please report them at:
 ▌ hem at https://github.com/k0sproject/k0sctl/issues
 ▌ and roll back to v0.31.1 until the issue is resolved.

`

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
  if (command === 'reset' && !argv.includes('--force')) throw new Failed('reset requires --force')
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
  if (!leader) throw new Failed('no hosts with a controller role defined')
  const line = await connect(leader)
  try {
    const admin = parse(
      await must(line, leader, sudo('/opt/bin/k0s kubeconfig admin --data-dir=/var/lib/k0s')),
    ) as AdminKubeconfig
    const name = config.metadata?.name ?? 'k0s-cluster'
    const { cluster } = admin.clusters[0] ?? { cluster: {} }
    process.stdout.write(
      stringify(
        {
          apiVersion: 'v1',
          clusters: [{ cluster: address === undefined ? cluster : { ...cluster, server: address }, name }],
          contexts: [{ context: { cluster: name, namespace: 'default', user: 'admin' }, name }],
          'current-context': name,
          kind: 'Config',
          users: [{ name: 'admin', user: admin.users[0]?.user ?? {} }],
        },
        { lineWidth: 0, indentSeq: false },
      ),
    )
    return 0
  } finally {
    line.close()
  }
}

interface AdminKubeconfig {
  clusters: { cluster: Record<string, unknown> }[]
  users: { user: Record<string, unknown> }[]
}

/** What is known of a host before anything is changed. */
interface Known {
  binary: boolean
  running: boolean
  /** Of a worker: its node is Ready. A worker that is not is installed anew by every apply. */
  joined: boolean
}

async function apply(config: Config, noWait: boolean, force: boolean): Promise<number> {
  const { hosts } = config.spec
  process.stderr.write(notice)
  process.stdout.write('\nk0sctl v0.32.2 (lab) Copyright 2026, k0sctl authors.\n')
  const version = `v${(config.spec.k0s.version ?? '').replace(/^v/, '')}`
  const controllers = hosts.filter(h => h.role !== 'worker')
  const workers = hosts.filter(h => h.role === 'worker')
  const leader = controllers[0]
  if (!leader) throw new Failed('no hosts with a controller role defined')
  const lines = new Map<Host, SshConnection>()
  const line = (host: Host) => lines.get(host) as SshConnection
  const run: string[] = []
  const phase = (title: string) => {
    if (cancelled)
      throw new Failed(`context canceled before entering phase ${JSON.stringify(title)}: context canceled`)
    run.push(title)
    say('info', `==> Running phase: ${title}`)
  }
  /** Of a host that has been begun with and is not through. */
  const unready = new Set<Host>()
  try {
    phase('Connect to hosts')
    const refused: unknown[] = []
    for (const host of hosts)
      try {
        lines.set(host, await connect(host))
        on(host, 'connected')
      } catch (error) {
        refused.push(error)
      }
    if (refused.length > 0) throw refused[0]
    phase('Detect host operating systems')
    for (const host of hosts) {
      await must(line(host), host, 'uname')
      const release = await line(host).run('cat /etc/os-release')
      on(
        host,
        `is running ${/^NAME="?([^"\n]+)/m.exec(release.stdout)?.[1] ?? 'Flatcar Container Linux by Kinvolk'}`,
      )
    }
    phase('Prepare hosts')
    phase('Gather host facts')
    const names = new Map<Host, string>()
    for (const host of hosts) {
      on(host, 'detected amd64 architecture')
      names.set(host, (await must(line(host), host, 'hostname')).trim())
      on(host, `using ${names.get(host)} as hostname`)
    }
    phase('Validate hosts')
    say('info', 'validating clock skew')
    const known = await gatherFacts(hosts, leader, line, names, force, phase)
    const is = (host: Host) => known.get(host) as Known
    phase('Validate facts')
    const missing = hosts.filter(h => !is(h).binary)
    if (missing.length > 0) {
      phase('Stage k0s binaries on hosts')
      const staged = new Map<Host, string>()
      for (const host of missing) {
        staged.set(host, `/opt/bin/k0s.tmp.${Date.now()}`)
        on(host, `uploading k0s binary to ${staged.get(host)}`)
        await upload(line(host), host, version, staged.get(host) ?? '')
      }
      phase('Install k0s binaries on hosts')
      for (const host of missing) {
        await must(line(host), host, sudo(`mv -f ${staged.get(host)} /opt/bin/k0s`))
        await must(line(host), host, sudo('chmod 0750 /opt/bin/k0s'))
      }
    }
    for (const host of controllers) on(host, 'validating configuration')
    phase('Configure k0s')
    for (const host of controllers) {
      on(host, 'installing new configuration')
      await must(
        line(host),
        host,
        sudo('install -D -m 0600 /dev/stdin /etc/k0s/k0s.yaml'),
        JSON.stringify(config.spec.k0s.config ?? {}),
      )
      if (!is(host).running) continue
      // As an ordinary user it cannot read the file that it wrote, takes it for changed, and restarts k0s every time.
      on(host, 'restarting k0s service')
      await must(line(host), host, sudo('systemctl restart k0scontroller'))
      on(host, 'waiting for k0s service to start')
    }
    phase('Run Before Apply Hooks')
    const toStart = controllers.filter(h => !is(h).running)
    for (const [i, host] of toStart.entries()) {
      if (host === leader) phase('Initialize the k0s cluster')
      else if (i === 0 || toStart[i - 1] === leader) phase('Install controllers')
      on(host, 'installing k0s controller')
      unready.add(host)
      const flags = [
        ...(force ? ['--force=true'] : []),
        '--data-dir=/var/lib/k0s',
        ...(host.role === 'controller+worker' ? ['--enable-worker=true'] : []),
        ...(host.role === 'single' ? ['--single=true'] : []),
        ...(host.noTaints ? ['--no-taints=true'] : []),
        '--config=/etc/k0s/k0s.yaml',
      ]
      await must(line(host), host, sudo(`/opt/bin/k0s install controller ${flags.join(' ')}`))
      if (force) say('warning', `${where(host)}: --force given, using k0s install with --force`)
      await must(line(host), host, sudo('systemctl start k0scontroller'))
      on(host, 'waiting for the k0s service to start')
      on(host, 'wait for kubernetes to reach ready state')
      const ready = await must(line(host), host, sudo('/opt/bin/k0s kubectl get --raw=/readyz'))
      if (ready !== 'ok') throw new Failed('kubernetes api not ready', host)
      // The leader is taken to be unready for as long as this apply lasts.
      if (host !== leader) unready.delete(host)
    }
    const toJoin = workers.filter(h => !is(h).joined)
    if (toJoin.length > 0) {
      phase('Install workers')
      for (const [i, host] of toJoin.entries()) {
        on(leader, `generating a join token for worker ${i + 1}`)
        const token = await must(
          line(leader),
          leader,
          sudo('/opt/bin/k0s token create --role=worker --expiry=10m0s --data-dir=/var/lib/k0s'),
        )
        on(host, 'writing join token to /etc/k0s/k0stoken')
        await must(line(host), host, sudo('install -D -m 0600 /dev/stdin /etc/k0s/k0stoken'), token)
        await reachesApi(line(host), host)
        if (is(host).running) {
          on(host, 'stopping service')
          await must(line(host), host, sudo('systemctl stop k0sworker'))
        }
        unready.add(host)
        on(host, 'installing k0s worker')
        // A unit that is there is removed first, which is what --force does to it.
        const flags = `${force || is(host).running ? '--force=true ' : ''}--data-dir=/var/lib/k0s --token-file=/etc/k0s/k0stoken`
        await must(line(host), host, sudo(`/opt/bin/k0s install worker ${flags}`))
        if (force) say('warning', `${where(host)}: --force given, using k0s install with --force`)
        on(host, 'starting service')
        await must(line(host), host, sudo('systemctl start k0sworker'))
      }
      if (noWait)
        say(
          'warning',
          `${where(leader)}: --no-wait given, created join tokens will remain valid for 10 minutes`,
        )
      else
        for (const host of toJoin)
          if (!(await becomesReady(line(leader), leader, names.get(host) ?? '')))
            throw new Failed(`context deadline exceeded\nnode ${names.get(host)} is not ready`, host)
    }
    phase('Run After Apply Hooks')
    phase('Disconnect from hosts')
    say('info', `==> Finished in ${Math.round((Date.now() - began) / 1000)}s`)
    say('info', `k0s cluster version ${version} is now installed`)
    say('info', 'Tip: To access the cluster you can now fetch the admin kubeconfig using:')
    say('info', '     k0sctl kubeconfig')
    return 0
  } catch (error) {
    await cleanUp(
      run,
      hosts.filter(h => unready.has(h)),
      line,
    )
    throw error
  } finally {
    for (const open of lines.values()) open.close()
  }
}

/** Looks for k0s everywhere; the phase is only named when there is some. */
async function gatherFacts(
  hosts: Host[],
  leader: Host,
  line: (host: Host) => SshConnection,
  names: Map<Host, string>,
  force: boolean,
  phase: (title: string) => void,
): Promise<Map<Host, Known>> {
  const known = new Map<Host, Known>()
  for (const host of hosts) {
    const binary = (await line(host).run(sudo('test -f /opt/bin/k0s'))).code === 0
    known.set(host, { binary, running: false, joined: false })
  }
  const having = hosts.filter(h => known.get(h)?.binary)
  if (having.length > 0) phase('Gather k0s facts')
  for (const host of having) {
    const status = await line(host).run(sudo('/opt/bin/k0s status -o json'))
    const running = status.code === 0
    const unit = host.role === 'worker' ? 'k0sworker' : 'k0scontroller'
    const shown = await line(host).run(
      `systemctl show -p LoadState -p ActiveState -p Result -p ExecMainStatus -- ${unit}.service`,
    )
    if (!running && !shown.stdout.includes('not-found') && !force)
      throw new Failed(
        `k0s doesn't appear to be running but has been installed as a service at /etc/systemd/system/${unit}.service - please remove it or start the service`,
        host,
      )
    let joined = false
    if (running) {
      const { Version } = JSON.parse(status.stdout) as { Version: string }
      say('info', `${where(host)}: is running k0s ${host.role} version ${Version}`)
    }
    if (running && host.role === 'worker') {
      say('info', `${where(leader)}: checking if worker ${names.get(host)} has joined`)
      joined = await isReady(line(leader), names.get(host) ?? '')
    }
    known.set(host, { binary: true, running, joined })
  }
  return known
}

async function isReady(leader: SshConnection, node: string): Promise<boolean> {
  const found = await leader.run(sudo(`/opt/bin/k0s kubectl get node ${node} -o json`))
  if (found.code !== 0) return false
  const { status } = JSON.parse(found.stdout) as {
    status?: { conditions?: { type: string; status: string }[] }
  }
  return status?.conditions?.some(c => c.type === 'Ready' && c.status === 'True') === true
}

/** What each phase that ran does when the whole of it fails; k0s itself refuses to be reset while it runs. */
async function cleanUp(run: string[], unready: Host[], line: (host: Host) => SshConnection): Promise<void> {
  const reset = async (of: Host[]) => {
    for (const host of of) {
      say('info', `${where(host)}: cleaning up`)
      const done = await line(host)
        .run(sudo('/opt/bin/k0s reset --data-dir=/var/lib/k0s'), { timeoutMs: forever })
        .catch(() => undefined)
      if (done?.code !== 0) say('warning', `${where(host)}: k0s reset failed`)
    }
  }
  const [controllers, workers] = [
    unready.filter(h => h.role !== 'worker'),
    unready.filter(h => h.role === 'worker'),
  ]
  for (const title of run) {
    if (!/^(?:Stage|Install) k0s binaries|^Initialize|^Install (?:controllers|workers)/.test(title)) continue
    say('info', `* Running clean-up for phase: ${title}`)
    if (title.startsWith('Initialize')) await reset(controllers.slice(0, 1))
    if (title === 'Install controllers') await reset(controllers.slice(1))
    if (title === 'Install workers') await reset(workers)
  }
}

/** From the worker itself, with the way in that its token holds. */
async function reachesApi(line: SshConnection, host: Host): Promise<void> {
  on(host, 'validating api connection using join token')
  const temporary = (await must(line, host, 'mktemp -- /tmp/XXXXXX')).trim()
  const command = sudo(`/opt/bin/k0s kubectl get --raw=/version --kubeconfig=${temporary}`)
  const end = Date.now() + patienceMs
  for (;;) {
    const { code, stderr } = await line.run(command, { timeoutMs: forever })
    if (code === 0) break
    if (Date.now() > end)
      throw new Failed(
        `connectivity check failed: context deadline exceeded\nfailed to connect to kubernetes api using the join token - check networking: command result: process finished with error: Process exited with status ${code} (${stderr.trim()})`,
        host,
      )
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  await must(line, host, sudo(`rm -f ${temporary}`))
}

// Two minutes with the real one; nothing in a lab gets ready by waiting longer.
const patienceMs = 3_000

async function becomesReady(line: SshConnection, leader: Host, node: string): Promise<boolean> {
  await must(line, leader, sudo('/opt/bin/k0s kubectl get --raw=/readyz'))
  const end = Date.now() + patienceMs
  while (Date.now() < end) {
    if (await isReady(line, node)) return true
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  return false
}

async function connect(host: Host): Promise<SshConnection> {
  const { address, port = 22, user = 'root', keyPath } = host.ssh
  try {
    const pins = accepted(address, port)
    const privateKey = readFileSync(keyPath ?? '', 'utf8')
    const line = await connectSsh({ name: where(host), address, port, user, privateKey, pins })
    if (pins === 'first-use') remember(address, port, line.hostKey)
    return line
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    throw new Failed(
      code === 'host-key-mismatch'
        ? 'retrying aborted\nclient connect: retry: abort condition reached after 1 attempts: operation cannot be completed: ssh: handshake failed: host key mismatch: knownhosts: key mismatch'
        : `context deadline exceeded\nclient connect: ${message}`,
      host,
    )
  }
}

/** Under a name of its own first, which only an orderly end takes away. */
async function upload(line: SshConnection, host: Host, content: string, to: string): Promise<void> {
  await must(line, host, sudo('install -d -m 0755 /opt/bin'))
  const path = (await must(line, host, sudo('mktemp -- /opt/bin/.upload-XXXXXX'))).trim()
  await must(line, host, sudo(`dd if=/dev/stdin of=${path} bs=60 seek=0 conv=notrunc`), content)
  await must(line, host, sudo(`mv -f ${path} ${to}`))
}

async function must(line: SshConnection, host: Host, command: string, stdin?: string): Promise<string> {
  // Its commands carry no deadline.
  const result = await line.run(command, { timeoutMs: forever, ...(stdin === undefined ? {} : { stdin }) })
  if (result.stderr.trim() === killsItsCaller) process.kill(process.pid, 'SIGKILL')
  if (result.code !== 0) throw new Failed(`command failed: ${result.stderr.trim()}`, host)
  return result.stdout
}

function sudo(command: string): string {
  return `sudo -n -- "\${SHELL-sh}" -c '${command}'`
}

function where(host: Host): string {
  return `${host.ssh.address}:${host.ssh.port ?? 22}`
}

onlyLoopback()
const cache = join(process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? '/tmp', '.cache'), 'k0sctl')
mkdirSync(cache, { recursive: true })
writeFileSync(join(cache, 'k0sctl.log'), 'level=info msg="###### New session ######"\n', {
  flag: 'a',
  mode: 0o600,
})
const args = process.argv.slice(2)
try {
  process.exitCode = await main(args)
} catch (error) {
  const { message, host } = error as Failed
  const reason = host === undefined ? message : `failed on 1 hosts:\n - ${where(host)}: ${message}`
  if (args[0] === 'apply') {
    say('info', '==> Apply failed')
    say('fatal', `apply failed - log file saved to ${join(cache, 'k0sctl.log')}: ${reason}`)
  } else if (args[0] === 'reset')
    say('fatal', `reset failed - log file saved to ${join(cache, 'k0sctl.log')}: ${reason}`)
  else say('fatal', reason)
  process.exitCode = 1
}
