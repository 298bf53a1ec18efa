import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectTang, pinProblem } from '../../src/hosts/ignition/tang.ts'
import { TangEmulator } from '../../src/lab/tang/emulator.ts'
import { World } from '../../src/lab/world.ts'
import { smallBlueprint } from '../lab/small-world.ts'
import { scratch } from '../runbook/harness.ts'
import { until } from './harness/commands.ts'

const tangd = ['/usr/libexec/tangd', '/usr/lib/x86_64-linux-gnu/tangd'].find(existsSync)
const missing = [
  ...(tangd === undefined ? ['tang'] : []),
  ...['clevis', 'cryptsetup', 'jose', 'socat'].filter(program => spawnSync(program, ['-V']).error),
]
const why = missing.length === 0 ? '' : ` (skipped: ${missing.join(', ')} not installed)`

/** Debian's tangd behind socat, as its socket unit would start it: one process a request. */
describe.skipIf(missing.length > 0)(`a real Tang server${why}`, () => {
  const keys = scratch('tang-keys')
  const port = 20_000 + (process.pid % 20_000)
  const url = `http://127.0.0.1:${port}`
  const tang = connectTang()
  const never = new AbortController().signal
  let socat: ChildProcess

  beforeAll(async () => {
    execFileSync(`${tangd}-keygen`, [keys])
    socat = spawn('socat', [`TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr`, `EXEC:${tangd} ${keys}`], {
      stdio: 'ignore',
    })
    await until('socat', 180_000, async () => (await listens(port)) || undefined)
  })
  afterAll(async () => {
    socat?.kill()
    await tang.close()
  })

  /** Thumbprints of the keys in Tang's folder that sign, as the program jose makes them. */
  const signing = (hash: string, hidden = false) =>
    readdirSync(keys)
      .filter(name => name.endsWith('.jwk') && name.startsWith('.') === hidden)
      .filter(name => readFileSync(join(keys, name), 'utf8').includes('"verify"'))
      .map(name =>
        execFileSync('jose', ['jwk', 'thp', '-a', hash, '-i', join(keys, name)], { encoding: 'utf8' }).trim(),
      )

  test('its advertisement is believed, with the thumbprints that jose makes', async () => {
    const has = await tang.advertisement(url, never)
    expect(has.signing).toEqual(signing('S256'))
    expect(has.signingSha1).toEqual(signing('S1'))
    expect(has.exchange).toHaveLength(1)
    expect(pinProblem(url, signing('S256')[0], has)).toBeUndefined()
    expect(pinProblem(url, signing('S1')[0], has)).toBeUndefined()
  })

  const disk = join(scratch('luks'), 'disk')
  const slotKey = `${disk}.key`
  /** Binds the volume as Ignition has clevis do it: by URL and thumbprint, so that nobody is asked whether to trust. */
  const bind = (thp: string) =>
    spawnSync(
      'clevis',
      ['luks', 'bind', '-f', '-d', disk, '-k', slotKey, 'tang', JSON.stringify({ url, thp })],
      {
        encoding: 'utf8',
      },
    )
  /** What clevis gets out of a slot, put to the volume. No device mapper is needed to see whether it opens. */
  const opens = (slot: number) => {
    const pass = spawnSync('clevis', ['luks', 'pass', '-d', disk, '-s', String(slot)])
    if (pass.status !== 0) return false
    const args = ['open', '--test-passphrase', '--key-slot', String(slot), '--key-file', '-', disk]
    return spawnSync('cryptsetup', args, { input: pass.stdout }).status === 0
  }

  test('a LUKS volume that clevis binds to it opens; clevis takes the thumbprint that the preflight takes, and no other', async () => {
    writeFileSync(disk, '')
    truncateSync(disk, 32 << 20)
    writeFileSync(slotKey, 'a key of the person', { mode: 0o600 })
    const luks = ['--type', 'luks2', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000']
    execFileSync('cryptsetup', ['-q', 'luksFormat', ...luks, disk, slotKey])
    const has = await tang.advertisement(url, never)
    for (const wrong of [has.exchange[0]!, 'A'.repeat(43)]) {
      expect(pinProblem(url, wrong, has)).toMatchObject({ code: 'tang-thumbprint-differs' })
      expect(bind(wrong).status, wrong).not.toBe(0)
    }
    const [pinned] = has.signing
    expect(pinProblem(url, pinned, has)).toBeUndefined()
    const bound = bind(pinned!)
    expect(bound.status, bound.stderr).toBe(0)
    expect(execFileSync('clevis', ['luks', 'list', '-d', disk], { encoding: 'utf8' })).toMatch(
      /^1: tang .*url/,
    )
    expect(opens(1)).toBe(true)
  })

  test('after its keys were rotated the old pin is refused, by clevis and by us, and the new ones are named', async () => {
    const [old] = signing('S256')
    execFileSync(`${tangd}-rotate-keys`, ['-d', keys])
    const has = await tang.advertisement(url, never)
    expect(signing('S256', true)).toEqual([old])
    expect(pinProblem(url, old, has)).toMatchObject({
      code: 'tang-thumbprint-differs',
      message: expect.stringContaining(signing('S256')[0]!),
    })
    // What was bound before opens as long as the old keys are kept; nothing new is bound to them.
    expect(opens(1)).toBe(true)
    expect(bind(old!).status).not.toBe(0)
    expect(bind(has.signing[0]!).status).toBe(0)
    for (const name of readdirSync(keys).filter(n => n.startsWith('.'))) rmSync(join(keys, name))
    expect([opens(1), opens(2)]).toEqual([false, true])
  })

  test('the lab’s Tang is one to jose, too, as clevis asks it', async () => {
    const world = World.create(scratch('tang'), smallBlueprint())
    const lab = new TangEmulator(world)
    const at = `http://${world.address}:${await lab.listen()}`
    const advertisement = await (await fetch(`${at}/adv/${lab.thumbprint()}`)).text()
    await lab.close()
    const jose = (args: string[], input: string) => spawnSync('jose', args, { input, encoding: 'utf8' })
    // What clevis-encrypt-tang does with it.
    const set = jose(['fmt', '-j-', '-Og', 'payload', '-SyOg', 'keys', '-AUo-'], advertisement)
    expect(set.status, set.stderr).toBe(0)
    const verifying = jose(['jwk', 'use', '-i-', '-r', '-u', 'verify', '-o-'], set.stdout)
    expect(verifying.status, verifying.stderr).toBe(0)
    const file = join(scratch('adv'), 'adv.jws')
    execFileSync('sh', ['-c', 'cat > "$0"', file], { input: advertisement })
    expect(jose(['jws', 'ver', '-i', file, '-k-', '-a'], verifying.stdout).status).toBe(0)
    expect(jose(['jwk', 'thp', '-i-', '-f', lab.thumbprint(), '-o-'], verifying.stdout).status).toBe(0)
  })
})

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}
