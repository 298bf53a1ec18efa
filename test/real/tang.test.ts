import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectTang, pinProblem } from '../../src/hosts/ignition/tang.ts'
import { TangEmulator } from '../../src/lab/tang/emulator.ts'
import { World } from '../../src/lab/world.ts'
import { smallBlueprint } from '../lab/small-world.ts'
import { scratch } from '../runbook/harness.ts'

const tangd = ['/usr/libexec/tangd', '/usr/lib/x86_64-linux-gnu/tangd'].find(existsSync)
const missing = [
  ...(tangd === undefined ? ['tang'] : []),
  ...['jose', 'socat'].filter(program => spawnSync(program, ['-V']).error),
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
    for (let i = 0; i < 200 && !(await listens(port)); i += 1) await new Promise(r => setTimeout(r, 25))
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

  test('after its keys were rotated the old pin is refused, and the new ones are named', async () => {
    const [old] = signing('S256')
    execFileSync(`${tangd}-rotate-keys`, ['-d', keys])
    const has = await tang.advertisement(url, never)
    expect(signing('S256', true)).toEqual([old])
    expect(pinProblem(url, old, has)).toMatchObject({
      code: 'tang-thumbprint-differs',
      message: expect.stringContaining(signing('S256')[0]!),
    })
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
