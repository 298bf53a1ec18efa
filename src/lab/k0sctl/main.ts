import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { onlyLoopback } from '../isolation.ts'
import { apply } from './apply.ts'
import { type Config, connect, Failed, must, say, sudo, where } from './host.ts'

/**
 * A stand-in for the program k0sctl: the same flags, output, phases and exit codes, and the same commands on the
 * machines as the real one was seen to send, as far as machines of a lab can tell the difference.
 */

/** Somebody wants it to stop: it finishes its phase. A second signal is not heard by the real one either. */
let cancelled = false
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (!cancelled) say('warning', 'Aborting... Press Ctrl-C again to exit now.')
    cancelled = true
  })

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
    : apply(config, {
        noWait: argv.includes('--no-wait'),
        force: argv.includes('--force'),
        restoreFrom: flag('--restore-from'),
        cancelled: () => cancelled,
      })
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
