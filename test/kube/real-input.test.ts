import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { answerFurther, init } from '../../src/cluster/init.ts'
import type { Json } from '../lab/kubernetes/cluster.ts'
import { describeKube } from './harness/describe-kube.ts'
import type { KubeHome } from './harness/home.ts'
import { failures } from './harness/judge.ts'
import { fillKit } from './harness/kit.ts'
import { live, type RealHome, startHome } from './harness/recovery.ts'

const input = fileURLToPath(new URL('../../../shared/inputs/materia-2025-02', import.meta.url))
const there = existsSync(input)
if (!there)
  process.stdout.write(
    'skipped: the bootstrap of a real repository on a real control plane: it is not beside this checkout\n',
  )

describeKube(
  'a real repository on a real control plane',
  { parts: ['kustomize', 'argocd', 'cilium'], programs: ['git', 'helm', 'redis-server'] },
  () => {
    test.skipIf(!there)(
      'its network, secrets and Argo CD are rendered from a kit, planned and applied; who owns data is held',
      { timeout: 40 * 60_000 },
      async () => {
        const home = await startHome({
          home: homeOfInput(),
          // Its Services want both families, as its cluster has them.
          apiServer: ['--service-cluster-ip-range=10.96.0.0/16,fd01::/108'],
        })
        const only = 'hosts,kubernetes,bootstrap'
        const { plan } = await live(home, 'plan', { only: '' })
        const steps = plan?.entries.map(e => e.step)
        for (const part of ['cilium', '1password-connect', 'argocd'])
          expect(steps).toContain(`bootstrap/apply[${part}]`)
        // Its items have the names of Secrets that 1Password itself needs: told before anything is done.
        const checked = plan?.entries.find(e => e.step === 'preflight/check-bootstrap')
        expect(JSON.stringify(checked)).toContain('"onepassword-item-owns-credentials"')
        expect((await home.cluster.ask('GET', '/api/v1/namespaces/1password')).status).toBe(404)

        const lived = await live(home, 'begin', { only })
        expect(failures(lived)).toEqual({})
        expect(lived.end).toBe(0)
        const tables = lived.events.flatMap(e => (e.code === 'step-table' ? [e] : []))
        const rows = tables.find(e => e.step === 'evidence/what-waits')?.table.rows ?? []
        const held = rows.filter(row => row[1] === 'held').map(([name, , claims, why]) => [name, claims, why])
        expect(held).toEqual(heldOfInput)
        await isBootstrapped(home)
        // Argo CD compares one that nobody holds, knows every one that is held, and has neither compared nor synced any.
        await comparesWhatIsNotHeld(home)
        const known = await applicationsOf(home)
        expect(known.map(a => [a.metadata.name, a.status?.sync ?? a.status?.operationState]).sort()).toEqual(
          heldOfInput.map(([name]) => [name, undefined]),
        )
        await home.close()
      },
    )
  },
)

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyThatNobodyHolds0000000000000000000 you'

// Who is held, its claims, and why.
const heldOfInput = [
  ['authentik', '', 'it may own data: the chart authentik 2024.12.3, which is not rendered here'],
  ['elasticsearch', 'elasticsearch/data', 'its data is in Deployment elasticsearch/deployment'],
  ['grafana', 'grafana/data', 'its data is in Deployment grafana/deployment'],
  ['influxdb', 'influxdb/data', 'its data is in Deployment influxdb/deployment'],
  ['mastodon', 'mastodon/redis-data', 'its data is in Deployment mastodon/redis'],
  ['postgresql', 'postgresql/data', 'its data is in Deployment postgresql/deployment'],
  ['prometheus', 'prometheus/data', 'its data is in Deployment prometheus/deployment'],
  ['teamspeak', 'teamspeak/data', 'its data is in Deployment teamspeak/deployment'],
]

/** What the three parts brought, by the objects that matter. */
async function isBootstrapped({ cluster }: RealHome): Promise<void> {
  const get = async (path: string): Promise<Json> => (await cluster.ask('GET', path)).body
  expect((await get('/apis/apps/v1/namespaces/kube-system/daemonsets/cilium')).status.numberReady).toBe(2)
  // Given once more encoded than a Secret has it, as a chart of that age wants it.
  const { data } = await get('/api/v1/namespaces/1password/secrets/op-credentials')
  const once = Buffer.from(data['1password-credentials.json'], 'base64').toString()
  expect(JSON.parse(Buffer.from(once, 'base64').toString())).toMatchObject({ version: '2' })
  const redis = await get('/api/v1/namespaces/argocd/services/argocd-redis')
  expect(redis.spec.ipFamilies).toEqual(['IPv4', 'IPv6'])
  const projects = await get('/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects')
  expect(projects.items.map((p: Json) => p.metadata.name)).toEqual(
    expect.arrayContaining(['applications', 'system']),
  )
}

async function applicationsOf({ cluster }: RealHome): Promise<Json[]> {
  const { body } = await cluster.ask('GET', '/apis/argoproj.io/v1alpha1/applications')
  return body.items.filter((a: Json) => a.metadata.name !== notHeld)
}

const notHeld = 'not-held'

/** Argo CD is at work here: given an Application like the held ones, without the mark, it says how it compares. */
async function comparesWhatIsNotHeld(home: RealHome): Promise<void> {
  const [{ apiVersion, kind, metadata, spec }] = await applicationsOf(home)
  const { namespace } = metadata
  const source = { ...spec.source, path: 'applications/snmp-exporter' }
  const { syncPolicy: _, ...others } = spec
  await home.cluster.apply('tester', {
    apiVersion,
    kind,
    metadata: { namespace, name: notHeld },
    // The project `default` is made by Argo CD's server, which does not run here.
    spec: { ...others, source, project: 'applications' },
  })
  const path = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applications/${notHeld}`
  const status = await home.controlPlane.processes.waitFor(
    'kube-apiserver',
    'Argo CD compared an Application that is not held',
    async () => {
      const { status } = (await home.cluster.ask('GET', path)).body
      return status?.sync && status
    },
  )
  expect(status.sync.status, JSON.stringify(status.conditions)).toBe('OutOfSync')
}

/** The repository as a person has it after `recover init`, with every question answered and a kit. */
function homeOfInput(): KubeHome {
  const folder = mkdtempSync(join(tmpdir(), 'materia-'))
  const repository = join(folder, 'repository')
  cpSync(input, repository, { recursive: true })
  // It may lie there only to be read.
  execFileSync('chmod', ['-R', 'u+w', repository])
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=you', '-c', 'user.email=you@example.net', ...args], {
      cwd: repository,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  git('init', '-q', '-b', 'main')
  git('add', '-A')
  git('commit', '-q', '-m', 'All of it')
  cpSync('examples/home/images/flatcar_production_image.bin.bz2', join(folder, 'image.bz2'))
  const sha256 = createHash('sha256')
    .update(readFileSync(join(folder, 'image.bz2')))
    .digest('hex')
  for (const host of ['lithium', 'hydrogen'])
    writeFileSync(
      join(folder, `${host}.bu`),
      `variant: flatcar
version: 1.0.0
passwd: { users: [{ name: core, ssh_authorized_keys: [${key}] }] }
storage: { files: [{ path: /etc/hostname, contents: { inline: ${host} } }] }
`,
    )
  fillKit(join(folder, 'kit'))
  const file = join(folder, 'recover.yaml')
  const asked = init({ repository, output: file })
  const answers = asked.questions.map(({ path }) => [path, answerTo(path, sha256, repository)] as const)
  expect(answerFurther(asked, Object.fromEntries(answers)).questions).toEqual([])
  writeFileSync(
    file,
    readFileSync(file, 'utf8')
      .replace(/^checks:\n(?: .*\n)+/m, '')
      .replace(/^( {2}default:) adopt/m, '$1 new')
      .concat('kit: ./kit\n'),
  )
  return { folder: repository, file }
}

function answerTo(path: string, sha256: string, repository: string): string {
  if (path.endsWith('ignition')) return `./${path.split('.')[1]}.bu`
  if (path.endsWith('image.file')) return './image.bz2'
  if (path.endsWith('sha256')) return sha256
  if (path.endsWith('serial')) return `SERIAL-OF-${path.split('.')[1]}`
  if (path.endsWith('fingerprint')) return `sha256:${sha256}`
  if (path === 'gitops.remote') return `file://${repository}`
  throw new Error(`a question that nobody foresaw: ${path}`)
}
