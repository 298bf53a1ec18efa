import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { knownHostsLine, mintHostKey, mintHostKeys } from '../../src/hosts/keys.ts'
import { connectSsh } from '../../src/hosts/ssh.ts'
import { type Lab, startLab } from '../../src/lab/lab.ts'
import { labProgram } from '../../src/lab/programs.ts'
import { World } from '../../src/lab/world.ts'
import { access, helium, install } from '../lab/kubernetes/cluster.ts'
import { smallBlueprint } from '../lab/small-world.ts'
import { scratch } from '../runbook/harness.ts'

/** What k0sctl 0.32 does as far as it can be seen without machines that it installs: the stand-in and a real one alike. */
const standIn = [process.execPath, labProgram('k0sctl')]

let world: World
let lab: Lab
let key: string
beforeAll(async () => {
  expect(existsSync(standIn[1]!), 'the test needs the build: npm run setup').toBe(true)
  const blueprint = smallBlueprint()
  blueprint.hosts.push(helium)
  world = World.create(scratch('k0sctl-contract'), blueprint)
  lab = await startLab(world)
  for (const name of ['lithium', 'helium']) await install(lab.endpoints, name)
  const line = await connectSsh(access(lab.endpoints))
  key = line.hostKey
  line.close()
})
afterAll(() => lab?.close())

interface Run {
  code: number | null
  stdout: string
  stderr: string
  home: string
  knownHosts: string
}

/** Runs a k0sctl in a home of its own. `known`: text of known_hosts. */
async function run(
  command: string[],
  args: string[],
  {
    hosts = ['lithium'],
    known = '' as string | 'no file',
    worker = {} as object,
    further = [] as object[],
    port = undefined as number | undefined,
  } = {},
): Promise<Run> {
  const home = scratch('k0sctl-home')
  const knownHosts = join(home, 'known_hosts')
  if (known !== 'no file') writeFileSync(knownHosts, known, { mode: 0o640 })
  const config = join(home, 'k0sctl.yaml')
  const { operatorKeyFile: keyPath } = lab.endpoints
  const documents = [
    {
      apiVersion: 'k0sctl.k0sproject.io/v1beta1',
      kind: 'Cluster',
      metadata: { name: 'home' },
      spec: {
        hosts: hosts.map((name, i) => ({
          role: i === 0 ? 'controller+worker' : 'worker',
          ...(i === 0 ? { noTaints: true } : worker),
          ssh: { ...lab.endpoints.hosts[name], keyPath, ...(port === undefined ? {} : { port }) },
        })),
        k0s: { version: '1.34.2+k0s.0', config: {} },
      },
    },
    ...further,
  ]
  writeFileSync(config, documents.map(d => stringify(d)).join('---\n'))
  const [program = '', ...before] = command
  const given = args[0] === 'version' ? [] : ['--config', config]
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...before, ...args, ...given], {
      env: {
        PATH: process.env.PATH,
        HOME: home,
        XDG_CACHE_HOME: join(home, 'cache'),
        SSH_KNOWN_HOSTS: knownHosts,
        DISABLE_TELEMETRY: 'true',
        DISABLE_UPGRADE_CHECK: 'true',
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
    child.on('close', code => resolve({ code, stdout, stderr, home, knownHosts }))
  })
}

const knownLine = (hostKey: string) => {
  const { address, port } = lab.endpoints.hosts.lithium!
  return knownHostsLine(address, port, hostKey)
}

function contract(name: string, command: string[]): void {
  describe(`k0sctl's contract: ${name}`, () => {
    test('it tells its version', async () => {
      const { code, stdout } = await run(command, ['version'])
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: expect.stringMatching(/^version: v?\S+\ncommit: \S+\n/),
      })
    })

    test('a wrong host key ends it at once, and known_hosts stays as it was', async () => {
      const known = knownLine(mintHostKey(Buffer.alloc(32, 1), 'stranger').publicKey)
      const { code, stdout, home, knownHosts } = await run(command, ['apply', '--no-wait'], { known })
      expect(code).toBe(1)
      expect(stdout).toContain('level=info msg="==> Running phase: Connect to hosts"')
      expect(stdout).toContain('level=info msg="==> Apply failed"')
      const last = stdout.trimEnd().split('\n').at(-1)
      expect(last).toMatch(
        /^level=fatal msg="apply failed - log file saved to \S+\/k0sctl\.log: failed on 1 hosts:\\n - 127\./,
      )
      expect(last).toContain('ssh: handshake failed: host key mismatch: knownhosts: key mismatch')
      expect(readFileSync(knownHosts, 'utf8')).toBe(known)
      const log = statSync(join(home, 'cache/k0sctl/k0sctl.log'))
      expect(log.mode & 0o777).toBe(0o600)
    })

    test('of a host that is known by another kind of key, it takes no ed25519 key', async () => {
      const ecdsa = mintHostKeys(Buffer.alloc(32, 1), 'lithium').find(k => k.publicKey.startsWith('ecdsa'))
      const { code, stdout } = await run(command, ['apply', '--no-wait'], {
        known: knownLine(ecdsa!.publicKey),
      })
      expect(code).toBe(1)
      expect(stdout).toContain('key mismatch')
    })

    test.for([
      ['no file', 'no file', 0o600],
      ['an empty one', '', 0o640],
    ] as const)(
      'of known_hosts there is %s: it trusts whoever answers, and writes that down in hashed form',
      async ([, known, mode]) => {
        const { knownHosts, stdout } = await run(command, ['kubeconfig'], { known })
        expect(stdout).not.toContain('key mismatch')
        expect(readFileSync(knownHosts, 'utf8')).toMatch(/^\|1\|\S+\|\S+ ssh-ed25519 \S+\s*$/)
        expect(statSync(knownHosts).mode & 0o777).toBe(mode)
      },
    )

    test('a host that refuses is tried again until its time is over, and that is what it says', async () => {
      const { code, stdout } = await run(command, ['apply', '--no-wait', '--timeout', '6s'], { port: 1 })
      expect(code).toBe(1)
      const last = stdout.trimEnd().split('\n').at(-1)
      expect(last).toMatch(
        /failed on 1 hosts:\\n - 127\.\S+:1: context deadline exceeded\\nclient connect: retry: context done after \d+ attempts: context deadline exceeded: ssh dial: dial tcp 127\.\S+:1: connect: connection refused"$/,
      )
    })

    test('reset wants to be forced', async () => {
      const { code, stdout } = await run(command, ['reset'], { known: knownLine(key) })
      expect(code).toBe(1)
      expect(stdout.trimEnd().split('\n').at(-1)).toMatch(
        /^level=fatal msg="reset failed - .*: reset requires --force"$/,
      )
    })
  })
}

contract('the stand-in', standIn)

const real = onPath('k0sctl')
if (real) contract(`a real k0sctl (${real})`, [real])
else
  describe.skip('k0sctl’s contract: a real k0sctl (skipped: there is no k0sctl on PATH)', () =>
    test('it is there', () => {}))

function onPath(name: string): string | undefined {
  try {
    return (
      execFileSync('sh', ['-c', `command -v ${name}`])
        .toString()
        .trim() || undefined
    )
  } catch {
    return undefined
  }
}

// Where the output of a real one lies beside the checkout.
const recorded = fileURLToPath(new URL('../../../shared/k0sctl/outputs', import.meta.url))
// And the commands that it sent to a controller (h1) and a worker (h2), in order.
const transcripts = join(recorded, '..')

describe.skipIf(!existsSync(recorded))(
  'the stand-in says what a real k0sctl was heard to say (skipped where its output is not beside the checkout)',
  () => {
    const heard = (scenario: string) => readFileSync(join(recorded, `${scenario}.stdout.txt`), 'utf8')
    const both = async () => {
      const known = await Promise.all(
        ['lithium', 'helium'].map(async name => {
          const line = await connectSsh(access(lab.endpoints, name))
          line.close()
          const { address, port } = lab.endpoints.hosts[name]!
          return knownHostsLine(address, port, line.hostKey)
        }),
      )
      return { hosts: ['lithium', 'helium'], known: known.join('') }
    }
    const files = scratch('k0sctl-files')
    writeFileSync(join(files, 'a.txt'), 'a')
    const full = {
      worker: {
        files: [
          { name: 'a', src: join(files, 'a.txt'), dstDir: '/etc/lab', perm: '0640' },
          { name: 'd', data: 'inline\n', dst: '/etc/lab/d.txt', perm: '0600' },
        ],
        hooks: {
          apply: { before: ['echo hook-before-apply'], after: ['echo hook-after-apply'] },
          install: { before: ['echo ib'], after: ['echo ia'] },
        },
      },
      further: [
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'x', namespace: 'default' },
          data: { a: 'b' },
        },
      ],
    }
    type Hosts = Record<string, { files: Record<string, { text: string; mode: string }>; units: object }>
    const filesOf = (host: string) => world.read<Hosts>('hosts')?.[host]?.files ?? {}

    test('in a dry run, which uploads k0s all the same and leaves nothing', async () => {
      expect(readdirSync(recorded).length).toBeGreaterThan(10)
      const { code, stdout } = await run(standIn, ['apply', '--no-wait', '--dry-run'], {
        ...(await both()),
        ...full,
      })
      expect(code).toBe(0)
      expect(said(stdout)).toEqual(said(heard('dry-run-fresh')))
      expect(wouldDo(heard('dry-run-fresh')).length).toBeGreaterThan(15)
      expect(wouldDo(stdout)).toEqual(wouldDo(heard('dry-run-fresh')))
      const left = Object.keys(filesOf('lithium')).filter(path => /k0s/.test(path))
      expect(left).toEqual([])
    })

    test('on fresh machines, and on those whose worker is not Ready', async () => {
      for (const scenario of ['fresh-controller-worker-nowait', 'apply-nowait-worker-not-ready']) {
        const { code, stdout } = await run(standIn, ['apply', '--no-wait'], await both())
        expect(code).toBe(0)
        expect(said(heard(scenario)).length).toBeGreaterThan(20)
        expect(said(stdout)).toEqual(said(heard(scenario)))
      }
    })

    test('in a reset, which resets the leader twice and leaves the join token', async () => {
      const { code, stdout } = await run(standIn, ['reset', '--force'], await both())
      expect(code).toBe(0)
      expect(said(stdout)).toEqual(said(heard('reset-force')))
      expect(Object.keys(filesOf('helium')).filter(path => /^\/(?:opt\/bin|etc)\/.*k0s/.test(path))).toEqual([
        '/etc/k0s/k0stoken',
        '/etc/k0s/arguments',
      ])
      expect(filesOf('lithium')['/opt/bin/k0s']).toBe(undefined)
    })

    test('with files, hooks, further documents and a kubeconfig that is written over a longer one', async () => {
      const out = join(files, 'kubeconfig')
      writeFileSync(out, 'x'.repeat(100_000))
      const { code, stdout } = await run(standIn, ['apply', '--no-wait', '--kubeconfig-out', out], {
        ...(await both()),
        ...full,
      })
      expect(code).toBe(0)
      expect(said(stdout)).toEqual(said(heard('fresh-with-files-hooks-manifest-kubeconfigout')))
      expect(filesOf('helium')['/etc/lab/a.txt']).toMatchObject({ text: 'a', mode: '0640' })
      expect(filesOf('helium')['/etc/lab/d.txt']).toMatchObject({ text: 'inline\n', mode: '0600' })
      expect(readFileSync(out, 'utf8')).toMatch(/^apiVersion: v1\n[\s\S]*xxxx$/)
    })

    test('and does to machines what a real one was seen to do to them, in the same order', async () => {
      const seen = (scenario: string) =>
        ordered(
          readFileSync(join(transcripts, `${scenario}.commands.txt`), 'utf8')
            .split('\n')
            .map(changeOf),
        )
      const done: string[] = []
      const { countMutation } = world
      world.countMutation = (emulator, what) => {
        done.push(what)
        countMutation.call(world, emulator, what)
      }
      try {
        const of = (host: string) =>
          ordered(done.map(what => (what.startsWith(`${host}: `) ? what.slice(host.length + 2) : undefined)))
        expect((await run(standIn, ['reset', '--force'], await both())).code).toBe(0)
        expect(seen('reset-force.h2').length).toBeGreaterThan(5)
        expect(of('helium')).toEqual(seen('reset-force.h2'))
        done.length = 0
        expect((await run(standIn, ['apply', '--no-wait'], await both())).code).toBe(0)
        for (const [host, scenario] of [
          ['lithium', 'fresh-controller-worker-nowait.h1'],
          ['helium', 'fresh-controller-worker-nowait.h2'],
        ] as const) {
          expect(seen(scenario).length).toBeGreaterThan(12)
          expect(of(host)).toEqual(seen(scenario))
        }
        done.length = 0
        expect((await run(standIn, ['kubeconfig'], await both())).code).toBe(0)
        expect(of('lithium')).toEqual(seen('kubeconfig.h1'))
      } finally {
        world.countMutation = countMutation
      }
    })
  },
)

/** What a command of a transcript changes, in the lab's words; undefined where it only looks, or did not succeed. */
function changeOf(line: string): string | undefined {
  const [, command = ''] = /^0\s+(?:SUDO ')?(.*?)(?:'(?: {2}<stdin>)?)?$/.exec(line) ?? []
  const file = command.split(' ').at(-1) ?? ''
  const k0s = /^\/opt\/bin\/k0s (install \w+|reset)/.exec(command)?.[1]
  const unit = /^systemctl ((?:start|stop|restart) \S+)$/.exec(command)?.[1]
  if (k0s !== undefined) return `k0s ${k0s}`
  if (unit !== undefined) return unit
  if (/^rm -f /.test(command)) return `rm ${file}`
  if (/^dd /.test(command)) return `write ${/ of=(\S+)/.exec(command)?.[1]}`
  if (/^(?:mktemp|mv|chmod|install (?!-d)) ?/.test(command)) return `write ${file}`
  return undefined
}

/**
 * Changes in their order, with names that are made up in the place of each. Folders, which are everywhere in a lab, and the
 * file on which a real k0sctl tries what `touch` can do are left out.
 */
function ordered(changes: (string | undefined)[]): string[] {
  return changes
    .flatMap(change => change ?? [])
    .filter(change => !/rigfs-touch-test| \/opt\/bin$/.test(change))
    .map(change =>
      change
        .replace(/\.upload-\w+/, '.upload')
        .replace(/k0s\.tmp\.\w+/, 'k0s.tmp')
        .replace(/ \/tmp\/\w+/, ' /tmp/T'),
    )
}

/** What a dry run would do, whichever host comes first. */
function wouldDo(stdout: string): string[] {
  return [...stdout.matchAll(/^dry-run: {2}- (.*)$/gm)]
    .map(m =>
      (m[1] ?? '')
        .replace(/\d+\.\d+\.\d+\.\d+:\d+/g, 'HOST')
        .replace(/k0s\.tmp\.\d+/, 'k0s.tmp')
        .replace(/v1\.\d+\.\d+\+k0s\.\d+/g, 'VERSION')
        .replace(/upload file \S+/, 'upload file')
        .replace(/manifest .*/, 'manifest'),
    )
    .filter(line => !line.startsWith('set timestamp'))
    .sort()
}

/** What it says, in order; where hosts are at work side by side, by what is said and not by whom. */
function said(stdout: string): string[] {
  const lines = [...stdout.matchAll(/^level=(\w+) msg="(.*)"$/gm)].map(m => `${m[1]} ${m[2]}`)
  return (
    lines
      .map(line =>
        line
          .replace(/\d+\.\d+\.\d+\.\d+:\d+/g, 'HOST')
          .replace(/Finished in .*/, 'Finished')
          .replace(/v1\.\d+\.\d+\+k0s\.\d+/g, 'VERSION')
          .replace(/(status 127) .*/, '$1')
          .replace(/apply manifest .*/, 'apply manifest')
          .replace(/kubectl apply: .*/, 'kubectl apply'),
      )
      // What depends on the binary's way there and on the hosts' networks.
      .filter(
        line =>
          !/binary path is set|failed to walk|discovered \S+ as private|using \S+ as hostname|uploading k0s/.test(
            line,
          ),
      )
      .map(line =>
        line
          .replace(/(has joined|checking if worker) \S+/, '$1')
          .replace(/api connection to \S+ /, 'api connection '),
      )
      .filter((line, i, all) => line !== all[i - 1])
  )
}
