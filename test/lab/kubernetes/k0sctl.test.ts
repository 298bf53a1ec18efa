import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { knownHostsLine, mintHostKey } from '../../../src/hosts/keys.ts'
import { connectSsh } from '../../../src/hosts/ssh.ts'
import { applyK0sctl, fetchKubeconfig } from '../../../src/kubernetes/k0sctl.ts'
import { type K0sctlRoute, routed } from '../../../src/kubernetes/k0sctl-document.ts'
import { patienceAt } from '../../../src/kubernetes/k0sctl-process.ts'
import { type Lab, startLab } from '../../../src/lab/lab.ts'
import { labProgram } from '../../../src/lab/programs.ts'
import { World } from '../../../src/lab/world.ts'
import { scratch } from '../../runbook/harness.ts'
import { smallBlueprint } from '../small-world.ts'
import { access, helium, install, onMachine } from './cluster.ts'

const program = labProgram('k0sctl')

// Phases as k0sctl 0.32.2 was seen to name them, in these situations.
const first = [
  'Connect to hosts',
  'Detect host operating systems',
  'Prepare hosts',
  'Gather host facts',
  'Validate hosts',
]
const last = ['Run After Apply Hooks', 'Disconnect from hosts']
const fresh = [
  ...first,
  'Validate facts',
  'Stage k0s binaries on hosts',
  'Install k0s binaries on hosts',
  'Configure k0s',
  'Run Before Apply Hooks',
  'Initialize the k0s cluster',
]
const again = [...first, 'Gather k0s facts', 'Validate facts']

let world: World
let lab: Lab
let folder: string
beforeEach(async () => {
  expect(existsSync(program), 'the test needs the build: npm run setup').toBe(true)
  const blueprint = smallBlueprint()
  blueprint.hosts.push(helium)
  world = World.create(scratch('k0sctl'), blueprint)
  lab = await startLab(world)
  folder = scratch('k0sctl-home')
  for (const name of ['lithium', 'helium']) await install(lab.endpoints, name)
})
afterEach(() => lab.close())

const document = {
  apiVersion: 'k0sctl.k0sproject.io/v1beta1',
  kind: 'Cluster',
  metadata: { name: 'home' },
  spec: {
    hosts: [
      { role: 'controller+worker', noTaints: true, ssh: { address: 'lithium.example.net' } },
      { role: 'worker', ssh: { address: 'helium.example.net' } },
    ],
    k0s: { version: '1.34.2+k0s.0', config: {} },
  },
}

async function routes(
  change: (name: string, key: string) => string = (_, key) => key,
): Promise<K0sctlRoute[]> {
  return Promise.all(
    ['lithium', 'helium'].map(async name => {
      const { address, port, user } = lab.endpoints.hosts[name]!
      const line = await connectSsh(access(lab.endpoints, name))
      line.close()
      const knownHost = knownHostsLine(address, port, change(name, line.hostKey))
      return { address, port, user, keyFile: lab.endpoints.operatorKeyFile, knownHost }
    }),
  )
}

interface Ended {
  code: number | null
  stdout: string
  stderr: string
  phases: string[]
}

/** Runs the program itself, with the document of these hosts. */
async function k0sctl(
  args: string[],
  only: 'controllers' | 'all' = 'all',
  to?: K0sctlRoute[],
): Promise<Ended> {
  const ways = to ?? (await routes())
  const config = join(folder, 'k0sctl.yaml')
  writeFileSync(config, stringify(routed(document, ways, i => only === 'all' || i === 0)))
  writeFileSync(join(folder, 'known_hosts'), ways.map(r => r.knownHost).join(''))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args, '--config', config], {
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        XDG_CACHE_HOME: join(folder, 'cache'),
        SSH_KNOWN_HOSTS: join(folder, 'known_hosts'),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', chunk => {
      stdout += chunk
    })
    child.stderr.on('data', chunk => {
      stderr += chunk
    })
    child.on('error', reject)
    child.on('close', code =>
      resolve({
        code,
        stdout,
        stderr,
        phases: [...stdout.matchAll(/^level=info msg="==> Running phase: (.*)"$/gm)].map(m => m[1]!),
      }),
    )
  })
}

const linesOf = ({ stdout }: Ended) => stdout.trimEnd().split('\n')
const at = (name: string) => `127.0.0.1:${lab.endpoints.hosts[name]!.port}`

test('controllers first, then the worker with --no-wait, then nothing to do', async () => {
  const alone = await k0sctl(['apply', '--no-wait'], 'controllers')
  expect(alone).toMatchObject({ code: 0, phases: [...fresh, ...last] })
  const [empty, copyright, ...lines] = linesOf(alone)
  expect([empty, copyright]).toEqual(['', expect.stringContaining('Copyright')])
  expect(lines.filter(l => !/^level=(info|warning) msg="/.test(l))).toEqual([])
  expect(lines.slice(-4)).toEqual([
    expect.stringMatching(/^level=info msg="==> Finished in \d+s"$/),
    'level=info msg="k0s cluster version v1.34.2+k0s.0 is now installed"',
    'level=info msg="Tip: To access the cluster you can now fetch the admin kubeconfig using:"',
    'level=info msg="     k0sctl kubeconfig"',
  ])
  // Version 0.32 has a box to show at every apply, and on the other stream.
  expect(alone.stderr).toContain('host connection and remote execution')

  const both = await k0sctl(['apply', '--no-wait'])
  expect(both).toMatchObject({
    code: 0,
    phases: [
      ...again,
      'Stage k0s binaries on hosts',
      'Install k0s binaries on hosts',
      'Configure k0s',
      'Run Before Apply Hooks',
      'Install workers',
      ...last,
    ],
  })
  // As an ordinary user it restarts the control plane every time.
  expect(both.stdout).toContain(`level=info msg="${at('lithium')}: restarting k0s service"`)
  expect(both.stdout).toContain('--no-wait given, created join tokens will remain valid for 10 minutes')

  // The worker is not Ready: there is no network. So every apply installs it anew.
  const third = await k0sctl(['apply', '--no-wait'])
  expect(third.phases).toEqual([
    ...again,
    'Configure k0s',
    'Run Before Apply Hooks',
    'Install workers',
    ...last,
  ])
  expect(third.stdout).toContain(`level=info msg="${at('helium')}: stopping service"`)
  const impatient = await k0sctl(['apply'])
  expect(impatient.code).toBe(1)
  expect(linesOf(impatient).slice(-2)).toEqual([
    'level=info msg="==> Apply failed"',
    `level=fatal msg="apply failed - log file saved to ${join(folder, 'cache/k0sctl/k0sctl.log')}: failed on 1 hosts:\\n - ${at('helium')}: context deadline exceeded\\nnode helium is not ready"`,
  ])
  expect(world.read<{ lithium: { units: object } }>('hosts')?.lithium.units).toHaveProperty('k0scontroller')
})

test('both at once on fresh machines', async () => {
  const { code, phases } = await k0sctl(['apply', '--no-wait'])
  expect({ code, phases }).toEqual({ code: 0, phases: [...fresh, 'Install workers', ...last] })
})

test('the kubeconfig is named after the cluster; only the first controller has to be alive', async () => {
  const early = await k0sctl(['kubeconfig'])
  expect(early).toMatchObject({ code: 1, stderr: '' })
  expect(early.stdout).toMatch(/^level=fatal msg="/)
  await k0sctl(['apply', '--no-wait'], 'controllers')
  const fetched = await k0sctl(['kubeconfig'])
  expect(fetched).toMatchObject({ code: 0, stderr: '' })
  const kubeconfig = parse(fetched.stdout)
  expect(Object.keys(kubeconfig)).toEqual([
    'apiVersion',
    'clusters',
    'contexts',
    'current-context',
    'kind',
    'users',
  ])
  expect(kubeconfig).toMatchObject({
    clusters: [{ name: 'home', cluster: { server: lab.endpoints.kubernetes.url } }],
    contexts: [{ name: 'home', context: { cluster: 'home', namespace: 'default', user: 'admin' } }],
    'current-context': 'home',
    users: [{ name: 'admin', user: { 'client-key-data': expect.any(String) } }],
  })
  // What is given is put in as it is.
  const other = await k0sctl(['kubeconfig', '--address', '192.0.2.11'])
  expect(parse(other.stdout).clusters[0].cluster.server).toBe('192.0.2.11')
})

test('a wrong host key ends it at once, before any command', async () => {
  const stranger = mintHostKey(Buffer.alloc(32, 1), 'stranger').publicKey
  const count = world.mutations.hosts
  const refused = await k0sctl(
    ['apply', '--no-wait'],
    'all',
    await routes((name, key) => (name === 'helium' ? stranger : key)),
  )
  expect(refused).toMatchObject({ code: 1, phases: ['Connect to hosts'] })
  expect(linesOf(refused).slice(-3)).toEqual([
    `level=info msg="${at('lithium')}: connected"`,
    'level=info msg="==> Apply failed"',
    `level=fatal msg="apply failed - log file saved to ${join(folder, 'cache/k0sctl/k0sctl.log')}: failed on 1 hosts:\\n - ${at('helium')}: retrying aborted\\nclient connect: retry: abort condition reached after 1 attempts: operation cannot be completed: ssh: handshake failed: host key mismatch: knownhosts: key mismatch"`,
  ])
  expect(world.mutations.hosts).toBe(count)
})

test('what a killed one had uploaded whole is swept by the next one', async () => {
  await onMachine(lab.endpoints, 'lithium', sudo => sudo('install -D /dev/stdin /opt/bin/k0s.tmp.1', 'k0s'))
  expect(await k0sctl(['apply', '--no-wait'], 'controllers')).toMatchObject({ code: 0 })
  const { files } = world.read<{ lithium: { files: Record<string, unknown> } }>('hosts')!.lithium
  expect(Object.keys(files).filter(path => path.startsWith('/opt/bin/'))).toEqual(['/opt/bin/k0s'])
})

test('killed between install and start it refuses the next time, and --force goes on', async () => {
  await onMachine(lab.endpoints, 'lithium', async sudo => {
    await sudo('install -D -m 0750 /dev/stdin /opt/bin/k0s', 'v1.34.2+k0s.0')
    await sudo('/opt/bin/k0s install controller --enable-worker=true')
  })
  const refused = await k0sctl(['apply', '--no-wait'])
  expect(refused).toMatchObject({ code: 1, phases: [...first, 'Gather k0s facts'] })
  expect(linesOf(refused).at(-1)).toContain(
    `failed on 1 hosts:\\n - ${at('lithium')}: k0s doesn't appear to be running but has been installed as a service at /etc/systemd/system/k0scontroller.service - please remove it or start the service`,
  )
  expect(await k0sctl(['apply', '--no-wait', '--force'])).toMatchObject({ code: 0 })
})

test('our driver understands it: phases, forced second attempt, failure, kubeconfig', async () => {
  const ways = await routes()
  const phases: string[] = []
  const options = {
    signal: new AbortController().signal,
    onPhase: (phase: string) => phases.push(phase),
    patience: patienceAt(1),
  }
  const driver = { command: [process.execPath, program], folder }
  const controllers = routed(document, ways, i => i === 0)
  const everything = routed(document, ways, () => true)
  const apply = (what: typeof controllers, flags = {}) => applyK0sctl(driver, what, ways, flags, options)
  await onMachine(lab.endpoints, 'lithium', async sudo => {
    await sudo('install -D -m 0750 /dev/stdin /opt/bin/k0s', 'v1.34.2+k0s.0')
    await sudo('/opt/bin/k0s install controller --enable-worker=true')
  })
  expect(await apply(controllers)).toMatchObject({
    code: 'k0sctl-failed',
    message: expect.stringContaining('has been installed as a service'),
  })
  expect(await apply(controllers, { force: true })).toBe(undefined)
  expect(phases).toEqual([
    ...first,
    'Gather k0s facts',
    ...again,
    'Configure k0s',
    'Run Before Apply Hooks',
    'Initialize the k0s cluster',
    ...last,
  ])
  const { url } = lab.endpoints.kubernetes
  expect(await fetchKubeconfig(driver, controllers, ways, url, options)).toContain('current-context: home')

  world.arm('k0sctl-fails-half-way', 'helium', 1)
  expect(await apply(everything)).toMatchObject({
    code: 'k0sctl-failed',
    message: expect.stringMatching(
      /^k0sctl: failed on 1 hosts: .*: command failed: Job for k0sworker\.service failed/,
    ),
  })
  expect(await apply(everything, { force: true })).toBe(undefined)
  expect((await k0sctl(['apply', '--no-wait'])).stdout).toContain(
    'is running k0s worker version v1.34.2+k0s.0',
  )
})
