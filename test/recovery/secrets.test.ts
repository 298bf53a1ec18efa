import { spawn } from 'node:child_process'
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { mintHostKey } from '../../src/hosts/keys.ts'
import { World } from '../../src/lab/world.ts'
import { root } from '../cli/program.ts'

const decoy = 'decoy-nobody-may-read-this'
const folder = mkdtempSync(join(tmpdir(), 'recover-secrets-'))
const state = join(folder, 'state')
const events = join(folder, 'events.ndjson')
const leaving = join(folder, 'leaving')

/** Everything that a whole rehearsal, its report and its folder said, by where it was said. */
const said = new Map<string, Buffer>()
/** Command line and environment of every process that was seen meanwhile, by what it is. */
const commandLines = new Set<string>()
const environments = new Set<string>()
/** The secrets by name, each with all the ways in which it may be written. */
const secrets = new Map<string, string[]>()
let agentAsked = 0
let run = ''

beforeAll(async () => {
  const socket = join(folder, 'agent')
  const agent = createServer(asked => {
    agentAsked += 1
    asked.destroy()
  }).listen(socket)
  let secret: Buffer | undefined
  const sampling = setInterval(() => {
    sample()
    secret ??= runSecret()
  }, 10)
  const first = await recover(['rehearse', 'examples/home', '--plain', '--json-into', events], {
    SSH_AUTH_SOCK: socket,
    RECOVER_SECRET_ONEPASSWORD_CREDENTIALS: decoy,
    RECOVER_SECRET_ONEPASSWORD_TOKEN: decoy,
    RECOVER_SECRET_NAS_USERNAME: decoy,
    RECOVER_SECRET_NAS_PASSWORD: decoy,
    NODE_OPTIONS: `--import ${join(root, 'dist/test/recovery/leaving.js')}`,
    LEAVING_LOG: leaving,
  })
  clearInterval(sampling)
  agent.close()
  said.set('stdout', first.stdout).set('stderr', first.stderr).set('--json-into', readFileSync(events))
  expect(first.exit, first.stderr.toString()).toBe(0)
  const runs = join(state, 'recover', 'runs')
  run = join(runs, readdirSync(runs)[0] ?? '')
  for (const form of ['markdown', 'json']) {
    const report = await recover(['report', '--format', form])
    expect(report.exit).toBe(0)
    said.set(`report ${form}`, report.stdout)
  }
  for (const path of filesBelow(run)) said.set(path, readFileSync(path))
  expect(secret).toBeDefined()
  nameSecrets(secret!)
}, 10 * 60_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('after a whole rehearsal', () => {
  test('it was sampled well: its processes were seen, and the secrets are where they belong', () => {
    expect([...commandLines].some(line => line.includes('bundle/k0sctl.js'))).toBe(true)
    expect([...commandLines].some(line => line.includes('bundle/lab.js'))).toBe(true)
    expect(secrets.size).toBeGreaterThan(8)
    const lab = Buffer.concat(filesBelow(join(run, 'lab'), true).map(path => readFileSync(path)))
    expect(environments.size).toBeGreaterThan(1)
    const kubeconfig = readFileSync(join(run, 'kubeconfig'))
    expect(secrets.get('client key')!.some(form => kubeconfig.includes(form))).toBe(true)
    for (const name of [
      'NAS password',
      '1Password credentials',
      '1Password token',
      'variable of lithium.bu',
      'host key of lithium',
    ])
      expect(
        secrets.get(name)!.some(form => lab.includes(form)),
        `${name} reached the lab`,
      ).toBe(true)
  })

  test('no secret is in anything that was shown or kept', () => {
    const found = [...said].flatMap(([where, bytes]) =>
      [...secrets].flatMap(([name, forms]) =>
        forms.some(form => bytes.includes(form)) &&
        !(name.startsWith('client key') && where.endsWith('/kubeconfig'))
          ? [`${name} in ${where}`]
          : [],
      ),
    )
    expect(found).toEqual([])
  })

  test('no secret is in a command line', () => {
    const found = [...commandLines].filter(line =>
      [...secrets.values()].flat().some(form => line.includes(form)),
    )
    expect(found).toEqual([])
  })

  test('only its owner can look into what was kept', () => {
    const wrong = [join(state, 'recover'), ...filesAndFolders(join(state, 'recover'))].flatMap(path => {
      const stat = lstatSync(path)
      const mode = (stat.mode & 0o777).toString(8)
      return mode === (stat.isDirectory() ? '700' : '600') ? [] : [`${path} ${mode}`]
    })
    expect(wrong).toEqual([])
    expect((lstatSync(events).mode & 0o777).toString(8)).toBe('600')
  })

  test('what the run knew its machines by is erased', () => {
    expect(existsSync(join(run, 'secret'))).toBe(false)
  })

  test('the person’s own secrets were not read, nor handed on', () => {
    expect(agentAsked).toBe(0)
    expect([...environments].filter(text => text.includes(decoy))).toEqual([])
    const everywhere = [
      ...said,
      ...filesBelow(join(run, 'lab'), true).map(path => [path, readFileSync(path)] as const),
    ]
    expect(everywhere.filter(([, bytes]) => bytes.includes(decoy)).map(([where]) => where)).toEqual([])
  })

  test('every process of it can reach nothing but loopback', () => {
    const lines = new Set(readFileSync(leaving, 'utf8').trimEnd().split('\n'))
    expect([...lines].sort()).toEqual([
      'bin/run.js rehearsal-would-leave',
      'bundle/k0sctl.js rehearsal-would-leave',
      'bundle/lab.js rehearsal-would-leave',
    ])
  })
})

async function recover(args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), ...args], {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: folder, XDG_STATE_HOME: state, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 5 * 60_000,
    killSignal: 'SIGKILL',
  })
  const [stdout, stderr]: Buffer[][] = [[], []]
  child.stdout.on('data', (bytes: Buffer) => stdout!.push(bytes))
  child.stderr.on('data', (bytes: Buffer) => stderr!.push(bytes))
  const exit = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { exit, stdout: Buffer.concat(stdout!), stderr: Buffer.concat(stderr!) }
}

/** Looks at the processes that have something to do with the run: their arguments name its folder. */
function sample(): void {
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name)))
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      if (line !== '') commandLines.add(line)
      // The run's own process was given them by this test; whom it starts must not be.
      if (line.includes(state) && !line.includes('bin/run.js'))
        environments.add(readFileSync(`/proc/${pid}/environ`, 'utf8'))
    } catch {
      // It has ended.
    }
}

function runSecret(): Buffer | undefined {
  try {
    const runs = join(state, 'recover', 'runs')
    const bytes = readFileSync(join(runs, readdirSync(runs)[0] ?? '', 'secret'))
    return bytes.length === 32 ? bytes : undefined
  } catch {
    return undefined
  }
}

function nameSecrets(secret: Buffer): void {
  const { blueprint } = World.open(join(run, 'lab'))
  secrets.set('NAS password', formsOf(blueprint.nas.password))
  secrets.set('1Password credentials', formsOf('{"verifier":"of the lab","version":"2"}'))
  secrets.set('1Password token', formsOf('a token of the lab'))
  secrets.set('run secret', [
    secret.toString('hex'),
    unpadded(secret),
    secret.toString('base64url'),
    secret.toString('latin1'),
  ])
  secrets.set('variable of lithium.bu', formsOf('made-up-cloudflare-api-token'))
  for (const { name } of blueprint.hosts)
    secrets.set(`host key of ${name}`, formsOfKey(mintHostKey(secret, name).privateKey))
  const operator = readFileSync(join(run, 'lab', 'operator.key'), 'utf8')
  secrets.set('key of the operator', formsOfKey(operator))
  const { users } = parse(readFileSync(join(run, 'kubeconfig'), 'utf8')) as {
    users: { user: Record<string, string> }[]
  }
  const encoded = users[0]?.user['client-key-data'] ?? ''
  const clientKey = Buffer.from(encoded, 'base64').toString()
  expect(clientKey).toContain('PRIVATE KEY')
  secrets.set('client key', [encoded, ...formsOfKey(clientKey)])
  for (const [path, fields] of Object.entries(blueprint.items))
    for (const value of Object.values(fields)) secrets.set(`field of ${path}`, formsOf(value))
}

/** Plain, as JSON writes it, in base64 and as a part of a URL. */
function formsOf(value: string): string[] {
  return [value, JSON.stringify(value).slice(1, -1), unpadded(Buffer.from(value)), encodeURIComponent(value)]
}

/** Every line of a key's body that is its own, and the whole file in base64. */
function formsOfKey(pem: string): string[] {
  const lines = pem.split('\n').filter(line => line !== '' && !line.startsWith('-----'))
  // The first line of an OpenSSH key is the same in all of them.
  return [...lines.slice(1).filter(line => line.length > 20), unpadded(Buffer.from(pem))]
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '').slice(0, -1)
}

function filesAndFolders(top: string): string[] {
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => !/\/lab(?:\/|$)/.test(path.slice(top.length)))
}

/** Files below a folder; those of the lab, where the emulated home keeps its own secrets, only when asked for. */
function filesBelow(top: string, labToo = false): string[] {
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => labToo || !path.startsWith(join(top, 'lab')))
}
