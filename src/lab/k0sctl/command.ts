import { readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'
import { goYaml } from '../../kubernetes/go-yaml.ts'
import { apply } from './apply.ts'
import { type Cluster, type Config, connect, Failed, say, where } from './host.ts'
import { adminKubeconfig } from './kubeconfig.ts'
import { reset } from './reset.ts'

/** Somebody wants it to stop: it finishes its phase. A second signal is not heard by the real one either. */
let cancelled = false
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (!cancelled) say('warning', 'Aborting... Press Ctrl-C again to exit now.')
    cancelled = true
  })

/** Carries out what was typed; says what failed, and where its log is. Resolves with the exit code. */
export async function command(argv: string[], log: string): Promise<number> {
  try {
    return await carryOut(argv)
  } catch (error) {
    const { message, host } = error as Failed
    const reason = host === undefined ? message : `failed on 1 hosts:\n - ${where(host)}: ${message}`
    if (argv[0] === 'apply') {
      say('info', '==> Apply failed')
      say('fatal', `apply failed - log file saved to ${log}: ${reason}`)
    } else if (argv[0] === 'reset') say('fatal', `reset failed - log file saved to ${log}: ${reason}`)
    else say('fatal', reason)
    return 1
  }
}

async function carryOut(argv: string[]): Promise<number> {
  const [command] = argv
  const flag = (name: string) => {
    const i = argv.findIndex(a => a === name || a.startsWith(`${name}=`))
    return i === -1 ? undefined : (argv[i]?.split('=')[1] ?? argv[i + 1])
  }
  const file = flag('--config') ?? flag('-c')
  if (command === 'reset' && !argv.includes('--force')) throw new Failed('reset requires --force')
  if ((command !== 'apply' && command !== 'kubeconfig' && command !== 'reset') || file === undefined) {
    process.stderr.write('usage: k0sctl apply|kubeconfig|reset --config FILE\n')
    return 1
  }
  const config = read(file)
  const { cluster } = config
  const patienceMs = Math.min(connectMs, scaled(flag('--timeout')))
  const stopping = { cancelled: () => cancelled, patienceMs }
  if (command === 'reset') return reset(cluster.spec.hosts, stopping)
  if (command === 'apply')
    return apply(config, {
      noWait: argv.includes('--no-wait'),
      force: argv.includes('--force'),
      dryRun: argv.includes('--dry-run'),
      restoreFrom: flag('--restore-from'),
      kubeconfigOut: flag('--kubeconfig-out'),
      file,
      ...stopping,
    })
  const leader = cluster.spec.hosts.find(h => h.role !== 'worker')
  if (!leader) throw new Failed('no hosts with a controller role defined')
  const line = await connect(leader, patienceMs)
  try {
    process.stdout.write(await adminKubeconfig(line, leader, cluster, flag('--address')))
    return 0
  } finally {
    line.close()
  }
}

// Ten minutes with the real one: everything that takes time here is two hundred times as fast.
const connectMs = 3_000

function scaled(timeout: string | undefined): number {
  const [, number, unit] = /^(\d+)(s|m)$/.exec(timeout ?? '') ?? []
  return number === undefined
    ? Number.POSITIVE_INFINITY
    : (Number(number) * (unit === 'm' ? 60_000 : 1_000)) / 200
}

/** Its documents: that of the hosts, configurations of k0s that are taken into it, and what is applied at the end. */
function read(file: string): Config {
  const [cluster, ...further] = parseAllDocuments(readFileSync(file, 'utf8'), goYaml).map(
    d => d.toJS() as unknown,
  )
  const isConfig = (d: unknown) => (d as { kind?: string } | null)?.kind === 'ClusterConfig'
  return { cluster: cluster as Cluster, manifests: further.filter(d => d !== null && !isConfig(d)) }
}
