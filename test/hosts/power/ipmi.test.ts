import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { BmcQuirk } from '../../../src/lab/blueprint.ts'
import { scratch } from '../../runbook/harness.ts'
import { byIpmi, labBmc } from './lab-bmc.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
const signal = AbortSignal.timeout(600_000)

async function lab(quirks: BmcQuirk[] = []) {
  const it = await labBmc(quirks)
  closing.push(() => it.close())
  return it
}

/** A program in the place of ipmitool that writes down how it was called. */
function program(script: string): { command: string[]; log: string } {
  const folder = scratch('ipmitool')
  const log = join(folder, 'log')
  const file = join(folder, 'ipmitool.sh')
  writeFileSync(file, `log=${log}\n${script}\n`)
  return { command: ['sh', file], log }
}

// The whole contract, against this program and the real one, is in test/real: it takes some hundred processes.
test('orders the next boot and turns on, through the lab’s stand-in', async () => {
  const it = await lab()
  const { writer } = byIpmi(it)
  expect(await writer.bootNext('pxe', signal)).toEqual({ lasts: 'once' })
  expect(it.machine.bootOverride()).toBe('pxe')
  await writer.turnOn(signal)
  expect(it.machine.on()).toBe(true)
})

describe('cipher suites', () => {
  test('3 is tried first, then 17, and what worked is kept', async () => {
    const { command, log } = program(`echo "$@" >>$log
case "$*" in *'-C 3 '*) echo 'Error in open session response message : invalid authentication algorithm' >&2
  echo 'Error: Unable to establish IPMI v2 / RMCP+ session' >&2; exit 1;; esac
echo 'Chassis Power is on'`)
    const { writer } = byIpmi({ port: 1 }, { command })
    expect(await writer.state(signal)).toBe('on')
    expect(await writer.state(signal)).toBe('on')
    expect(readFileSync(log, 'utf8').match(/-C \d+/g)).toEqual(['-C 3', '-C 17', '-C 17'])
  })

  test('one that recover.yaml names and the BMC does not know is refused', async () => {
    const { writer } = byIpmi(await lab(['cipher-17']), { cipher: 3 })
    await expect(writer.state(signal)).rejects.toMatchObject({
      code: 'power-refused',
      message: expect.stringContaining('cipher suites 3'),
    })
  })
})

describe('failures', () => {
  test('a wrong password is told and not tried again', async () => {
    const it = await lab()
    let asked = 0
    const password = async () => {
      asked += 1
      return 'wrong'
    }
    const { writer } = byIpmi(it, { password })
    for (let i = 0; i < 2; i += 1)
      await expect(writer.state(signal)).rejects.toMatchObject({ code: 'power-login-refused' })
    expect(asked).toBe(1)
  })

  test('a password longer than IPMI has room for', async () => {
    const { writer } = byIpmi(await lab(), { password: async () => '123456789012345678901' })
    await expect(writer.state(signal)).rejects.toMatchObject({
      code: 'power-login-refused',
      message: expect.stringContaining('longer than 20 bytes'),
    })
  })

  test('a BMC that is away', async () => {
    const it = await lab()
    await it.close()
    await expect(byIpmi(it).writer.state(signal)).rejects.toMatchObject({
      code: 'power-unreachable',
      transient: true,
    })
  })

  test('no program: which package brings it', async () => {
    const { writer } = byIpmi({ port: 1 }, { command: ['/nowhere/ipmitool'] })
    await expect(writer.state(signal)).rejects.toMatchObject({
      code: 'power-program-missing',
      remedy: expect.stringContaining('ipmitool on Debian'),
    })
  })

  test('a program that hangs is ended with what it started', async () => {
    const { command, log } = program('sleep 600 & echo $! >$log; wait')
    const { writer } = byIpmi({ port: 1 }, { command, commandTimeoutMs: 3_000 })
    await expect(writer.state(signal)).rejects.toMatchObject({ code: 'power-unreachable' })
    const started = Number(readFileSync(log, 'utf8'))
    expect(started).toBeGreaterThan(0)
    await expect.poll(() => alive(started)).toBe(false)
  })

  test('a stop ends the program, too', async () => {
    const { command } = program('sleep 600')
    const { writer } = byIpmi({ port: 1 }, { command })
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('enough')), 100)
    await expect(writer.state(stop.signal)).rejects.toThrow('enough')
  })
})

test('the password is in the environment of the program, and nowhere else', async () => {
  process.env.RECOVER_SECRET_NAS_PASSWORD = 'of the NAS'
  closing.push(() => delete process.env.RECOVER_SECRET_NAS_PASSWORD)
  const { command, log } = program(
    `{ echo "args $*"; env; } >>$log; echo "refused for $IPMI_PASSWORD" >&2; exit 1`,
  )
  const { writer } = byIpmi({ port: 1 }, { command })
  const failure = await writer.state(signal).catch((e: unknown) => e)
  expect(failure).toMatchObject({ code: 'power-refused' })
  expect(JSON.stringify(failure)).not.toContain('correct horse')
  const said = readFileSync(log, 'utf8')
  expect(/^args .*$/m.exec(said)?.[0]).not.toContain('correct horse')
  expect(said).toContain('IPMI_PASSWORD=correct horse')
  expect(said).not.toContain('of the NAS')
})

test('legacy firmware is not told to boot by EFI', async () => {
  const shown = `echo "$@" >>$log; echo '   - Boot Device Selector : Force PXE'`
  for (const firmware of ['uefi', 'bios'] as const) {
    const { command, log } = program(shown)
    await byIpmi({ port: 1 }, { command, firmware }).writer.bootNext('pxe', signal)
    expect(readFileSync(log, 'utf8').includes('options=efiboot')).toBe(firmware === 'uefi')
  }
})

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
