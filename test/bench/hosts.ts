import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { availableParallelism, homedir, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Memory, memoryOf } from './process-memory.ts'

/**
 * Facts of 50 machines, by recover and by Ansible, over the same real sshds on loopback. Run as
 * dist/test/bench/hosts.js; says why it measures nothing where sshd or Ansible is missing.
 */
const { values: flags } = parseArgs({
  options: {
    json: { type: 'string' },
    hosts: { type: 'string', default: '50' },
    /** How often everything is measured; the best counts. */
    rounds: { type: 'string', default: '1' },
    /** The `ansible` program; otherwise on PATH or in the cache. */
    ansible: { type: 'string' },
  },
})
const hosts = Number(flags.hosts)
const sshd = '/usr/sbin/sshd'
const cached = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'recover-ci',
  'ansible-venv',
  'bin',
  'ansible',
)
const ansible = flags.ansible ?? (spawnSync('ansible', ['--version']).status === 0 ? 'ansible' : cached)

/** One way to gather the facts, as it was measured. */
interface Row {
  who: string
  /** `cold`: no connection is open; `warm`: they are. */
  how: 'cold' | 'warm'
  seconds: number
  /** Peak of all its processes together; sshd's own are not counted. */
  peak: Memory
}

async function main(): Promise<void> {
  const missing = [
    ...(existsSync(sshd) ? [] : ['sshd (Debian: openssh-server)']),
    ...(spawnSync(ansible, ['--version']).status === 0
      ? []
      : [
          `ansible (python3 -m venv DIR && DIR/bin/pip install ansible-core, then --ansible DIR/bin/ansible)`,
        ]),
  ]
  if (missing.length > 0) {
    process.stdout.write(
      `skipped: facts of ${hosts} machines against Ansible: there is no ${missing.join(' and no ')}\n`,
    )
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'recover-bench-'))
  const servers: ReturnType<typeof spawn>[] = []
  try {
    const ports = await startServers(folder, servers)
    const rows = measure(folder, ports)
    await report(await rows)
  } finally {
    for (const server of servers) server.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
}

async function startServers(folder: string, servers: ReturnType<typeof spawn>[]): Promise<number[]> {
  const key = (name: string) => {
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)])
    return readFileSync(join(folder, `${name}.pub`), 'utf8')
  }
  writeFileSync(join(folder, 'authorized_keys'), key('id'))
  key('host_key')
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const ports: number[] = []
  for (let i = 0; i < hosts; i += 1) {
    const port = await freePort()
    ports.push(port)
    const config = join(folder, `sshd-${port}`)
    writeFileSync(
      config,
      [
        `ListenAddress 127.0.0.1:${port}`,
        `HostKey ${join(folder, 'host_key')}`,
        `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
        'PidFile none',
        'UsePAM no',
        'StrictModes no',
        'PermitRootLogin prohibit-password',
        'PasswordAuthentication no',
        'UseDNS no',
        // A bash that thinks that another one started it does not read rc files, for either side.
        'SetEnv SHLVL=5',
      ].join('\n'),
    )
    servers.push(spawn(sshd, ['-D', '-f', config], { stdio: 'ignore' }))
  }
  for (const port of ports)
    while (!(await listens(port))) await new Promise(resolve => setTimeout(resolve, 20))
  return ports
}

async function measure(folder: string, ports: number[]): Promise<Row[]> {
  const [type, blob] = readFileSync(join(folder, 'host_key.pub'), 'utf8').split(' ')
  const user = userInfo().username
  const known = join(folder, 'known_hosts')
  writeFileSync(known, ports.map(port => `[127.0.0.1]:${port} ${type} ${blob}\n`).join(''))
  const inventory = join(folder, 'inventory')
  writeFileSync(
    inventory,
    `[all]\n${ports.map((port, i) => `h${i} ansible_host=127.0.0.1 ansible_port=${port}\n`).join('')}`,
  )
  const sockets = join(folder, 'cp')
  mkdirSync(sockets)
  writeFileSync(join(folder, 'ansible.cfg'), '')
  const byAnsible = (forks: number): string[] => [
    ansible,
    'all',
    ...['-i', inventory, '-u', user, '--private-key', join(folder, 'id'), '-f', String(forks), '-o'],
    ...['-m', 'ansible.builtin.setup', '-a', 'gather_subset=!all,min gather_timeout=30'],
  ]
  const env = {
    ...process.env,
    ANSIBLE_PIPELINING: 'true',
    ANSIBLE_SSH_ARGS: `-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=${known} -o IdentitiesOnly=yes`,
    ANSIBLE_SSH_CONTROL_PATH_DIR: sockets,
    ANSIBLE_NOCOLOR: '1',
    ANSIBLE_PYTHON_INTERPRETER: '/usr/bin/python3',
    ANSIBLE_LOCAL_TEMP: join(folder, 'ansible'),
    ANSIBLE_HOME: join(folder, 'ansible-home'),
    ANSIBLE_CONFIG: join(folder, 'ansible.cfg'),
  }
  const rows: Row[] = []
  const ours = join(import.meta.dirname, '..', '..', 'bundle', 'hosts-child.js')
  // Both sides in turn, so that a busy moment of the computer meets both.
  for (let round = 0; round < Number(flags.rounds); round += 1) {
    for (const row of await measureOurs([process.execPath, ours, folder, user, ports.join(',')]))
      rows.push(row)
    for (const forks of [50, 5]) {
      const who = forks === 5 ? 'ansible (5 forks, the default)' : `ansible (${forks} forks)`
      // With so few forks it is slow enough to be measured once.
      if (forks === 5 && round > 0) continue
      for (const how of ['cold', 'warm'] as const) {
        const { seconds, peak, output } = await peakOf(
          byAnsible(forks),
          env,
          how === 'warm' ? sockets : undefined,
        )
        const succeeded = output.split('\n').filter(line => / \| SUCCESS => /.test(line)).length
        if (succeeded !== hosts)
          throw new Error(`ansible reached ${succeeded} of ${hosts}: ${output.slice(-500)}`)
        rows.push({ who, how, seconds, peak })
      }
      endMasters(sockets)
    }
  }
  return rows
}

/** The child tells when its first and second look were done. */
async function measureOurs(command: string[]): Promise<Row[]> {
  const { output, peak, seconds } = await peakOf(command, process.env, undefined)
  const told = JSON.parse(output) as {
    hosts: number
    facts: number
    coldMs: number
    warmMs: number
    beforeMs: number
  }
  if (told.hosts !== hosts || told.facts < 20) throw new Error(`recover found ${output}`)
  // A process of ours that looks once: everything of the run but the second look.
  const cold = seconds - told.warmMs / 1_000
  return [
    { who: 'recover', how: 'cold', seconds: cold, peak },
    { who: 'recover', how: 'warm', seconds: told.warmMs / 1_000, peak },
  ]
}

/**
 * Runs a program and adds up the resident memory of it and everything that came of it, every 50 ms.
 * @param also a folder of control sockets, whose masters have left the tree and are counted too
 */
async function peakOf(
  [program = '', ...args]: string[],
  env: NodeJS.ProcessEnv,
  also: string | undefined,
): Promise<{ seconds: number; peak: Memory; output: string }> {
  const began = performance.now()
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
  const errors: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
  const peak: Memory = { rss: 0, pss: 0 }
  const timer = setInterval(() => {
    const now = memoryOf(child.pid!, also)
    peak.rss = Math.max(peak.rss, now.rss)
    peak.pss = Math.max(peak.pss, now.pss)
  }, 50)
  const code = await new Promise(resolve => child.once('close', resolve))
  const seconds = (performance.now() - began) / 1_000
  clearInterval(timer)
  if (code !== 0)
    throw new Error(`${program} ended with ${code}: ${Buffer.concat(errors).toString().slice(-800)}`)
  return { seconds, peak, output: Buffer.concat(output).toString() }
}

function endMasters(sockets: string): void {
  for (const name of readdirSync(sockets))
    spawnSync('ssh', ['-F', 'none', '-S', join(sockets, name), '-O', 'exit', 'x'])
}

async function report(rows: Row[]): Promise<void> {
  const best = new Map<string, Row>()
  for (const row of rows) {
    const key = `${row.who} ${row.how}`
    const known = best.get(key)
    if (known === undefined || row.seconds < known.seconds) best.set(key, row)
  }
  const ours = (how: string) => best.get(`recover ${how}`)!
  const table = [...best.values()].map(row => {
    const base = ours(row.how)
    return {
      ...row,
      seconds: round(row.seconds),
      peak: { rss: round(row.peak.rss), pss: round(row.peak.pss) },
      timesOurTime: round(row.seconds / base.seconds),
      timesOurRss: round(row.peak.rss / base.peak.rss),
      timesOurPss: round(row.peak.pss / base.peak.pss),
    }
  })
  process.stdout.write(
    `Facts of ${hosts} machines over real sshds on loopback, ${availableParallelism()} cores; best of the rounds\n`,
  )
  for (const row of table)
    process.stdout.write(
      `${row.who.padEnd(32)}${row.how.padEnd(6)}${`${row.seconds} s`.padStart(9)}${`${row.peak.rss} MiB RSS`.padStart(16)}${`${row.peak.pss} MiB PSS`.padStart(16)}   ${row.timesOurTime} x our time, ${row.timesOurRss} x our RSS, ${row.timesOurPss} x our PSS\n`,
    )
  const json = `${JSON.stringify({ hosts, node: process.version, cores: availableParallelism(), rows: table }, null, 2)}\n`
  if (flags.json === undefined) process.stdout.write(`\n${json}`)
  else writeFileSync(flags.json, json)
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('data', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

await main()
