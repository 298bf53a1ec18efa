import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Fault } from '../../src/runbook/fault.ts'
import { type OnePasswordOptions, onePasswordSource } from '../../src/secrets/onepassword.ts'
import type { SecretSource } from '../../src/secrets/source.ts'
import { scratch } from '../runbook/harness.ts'

interface StandIn {
  source: SecretSource
  /** The arguments of every call, one a line, separated by `|`. */
  calls(): string[]
  /** The environment of the last call. */
  environment(): string
}

/** A program `op` that does what the script says: a stand-in behind the real process boundary. */
function op(script: string, options: Partial<OnePasswordOptions> = {}): StandIn {
  const bin = scratch('op')
  const note = (name: string) => join(bin, name)
  writeFileSync(
    join(bin, 'op'),
    [
      '#!/bin/sh',
      `(IFS='|'; printf '%s\\n' "$*") >> '${note('calls')}'`,
      `env > '${note('env')}'`,
      script,
      '',
    ].join('\n'),
  )
  chmodSync(join(bin, 'op'), 0o755)
  return {
    source: onePasswordSource({
      vault: 'Home',
      ...options,
      env: { PATH: `${bin}:/usr/bin:/bin`, ...options.env },
    }),
    calls: () => (existsSync(note('calls')) ? readFileSync(note('calls'), 'utf8').trimEnd().split('\n') : []),
    environment: () => readFileSync(note('env'), 'utf8'),
  }
}

const answer = (value: unknown) => `cat <<'END'\n${JSON.stringify(value, null, 2)}\nEND`
const failure = (text: string) => `cat >&2 <<'END'\n${text}\nEND\nexit 1`

async function fault(promise: Promise<unknown>): Promise<Fault> {
  const thrown = await promise.then(
    value => expect.fail(`nothing thrown, but ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(Fault)
  return thrown as Fault
}

describe('a value', () => {
  const field = {
    id: 'password',
    type: 'CONCEALED',
    purpose: 'PASSWORD',
    label: 'password',
    value: 'hunter2\n"ключ"',
  }

  test('is read from what op prints; its arguments name item, vault and field only', async () => {
    const { source, calls } = op(answer(field))
    expect(await source.find('nas', 'password')).toEqual({ value: 'hunter2\n"ключ"' })
    expect(calls()).toEqual(['item|get|nas|--vault|Home|--fields|label=password|--format|json|--reveal'])
  })

  test('without a vault none is named', async () => {
    const { source, calls } = op(answer(field), { vault: undefined })
    await source.find('nas', 'password')
    expect(calls()).toEqual(['item|get|nas|--fields|label=password|--format|json|--reveal'])
  })

  test('names with spaces, commas and quotes are one argument each, and no shell sees them', async () => {
    const { source, calls } = op(answer(field))
    await source.find('my $(nas)', 'a, "b"')
    expect(calls()).toEqual([
      'item|get|my $(nas)|--vault|Home|--fields|"label=a, ""b"""|--format|json|--reveal',
    ])
  })

  test('of several fields with the label, the one of the item itself wins', async () => {
    const own = { ...field, value: 'own' }
    const added = { ...field, id: 'x5k2', value: 'added' }
    expect(await op(answer([added, own])).source.find('nas', 'password')).toEqual({ value: 'own' })
    const two = await fault(
      op(answer([added, { ...added, id: 'y', value: 'z' }])).source.find('nas', 'password'),
    )
    expect(two.code).toBe('onepassword-ambiguous')
    expect(JSON.stringify(two)).not.toContain('added')
  })

  test('that is empty or not there is missing', async () => {
    for (const value of [{ ...field, value: '' }, { id: 'password' }, []])
      expect(await op(answer(value)).source.find('nas', 'password')).toMatchObject({
        missing: { code: 'onepassword-field-missing' },
      })
  })

  test('that op hid, or output that is no JSON, is an error that does not quote it', async () => {
    const hidden = { ...field, value: "[use 'op item get x --reveal' to reveal]" }
    expect((await fault(op(answer(hidden)).source.find('nas', 'password'))).code).toBe('onepassword-failed')
    const bare = await fault(op('echo hunter2').source.find('nas', 'password'))
    expect(bare.code).toBe('onepassword-failed')
    expect(`${JSON.stringify(bare)}${bare.stack}`).not.toContain('hunter2')
  })

  test('that op printed before it failed goes nowhere', async () => {
    const failed = await fault(op(`${answer(field)}\necho oops >&2; exit 3`).source.find('nas', 'password'))
    expect(failed.code).toBe('onepassword-failed')
    expect(failed.message).toBe('op failed and said: oops')
    expect(`${JSON.stringify(failed)}${failed.stack}${String(failed.cause)}`).not.toContain('hunter2')
  })

  test('op gets nothing on its standard input, none of our own secrets, and no Connect server beside a service account', async () => {
    const env = {
      OP_SERVICE_ACCOUNT_TOKEN: 'ops_token',
      OP_CONNECT_HOST: 'http://in-the-cluster',
      OP_CONNECT_TOKEN: 'connect',
      RECOVER_SECRET_BMC_PASSWORD: 'other',
      HOME: '/home/someone',
    }
    const script = `[ "$(cat)" = "" ] || exit 9\n${answer(field)}`
    const { source, environment } = op(script, { env })
    expect(await source.find('nas', 'password')).toMatchObject({ value: field.value })
    expect(environment()).toContain('OP_SERVICE_ACCOUNT_TOKEN=ops_token')
    expect(environment()).toContain('HOME=/home/someone')
    expect(environment()).not.toMatch(/CONNECT|RECOVER_/)
    // Only what it was given, nothing of this process.
    expect(environment()).not.toContain('VITEST')
    const connect = op(answer(field), { env: { OP_CONNECT_HOST: 'http://elsewhere' } })
    await connect.source.find('nas', 'password')
    expect(connect.environment()).toContain('OP_CONNECT_HOST=http://elsewhere')
  })
})

describe('what goes wrong', () => {
  test('no op in PATH', async () => {
    const source = onePasswordSource({ vault: 'Home', env: { PATH: scratch('empty') } })
    const missing = await fault(source.find('nas', 'password'))
    expect(missing).toMatchObject({ code: 'onepassword-cli-missing', blame: 'operator' })
  })

  test.each([
    [
      '[ERROR] 2024/01/01 10:00:00 You are not currently signed in. Please run `op signin --help` for instructions',
    ],
    ['[ERROR] 2024/01/01 10:00:00 account is not signed in'],
    [
      'No accounts configured for use with 1Password CLI.\n\nDo you want to add an account manually now? [Y/n]',
    ],
    ['[ERROR] 2024/01/01 10:00:00 authorization prompt dismissed, please try again'],
  ])('not signed in: %s', async text => {
    const signedOut = await fault(op(failure(text)).source.find('nas', 'password'))
    expect(signedOut).toMatchObject({ code: 'onepassword-signed-out', blame: 'operator', transient: false })
    expect(signedOut.message).not.toMatch(/\[ERROR\]|2024/)
  })

  test('throttled: transient, and says how long', async () => {
    const text =
      "[ERROR] 2023/06/26 11:55:32 (429) Too Many Requests: You've reached the maximum number of this type of requests this service account is allowed to make. Please retry in 58 minutes or try other requests."
    const limited = await fault(op(failure(text)).source.find('nas', 'password'))
    expect(limited).toMatchObject({ code: 'onepassword-rate-limited', transient: true })
    expect(limited.message).toContain('retry in 58 minutes')
  })

  test('no such item, no such field: missing, not an error', async () => {
    const item = op(
      failure(
        `[ERROR] 2024/01/01 10:00:00 "nas" isn't an item in the "Home" vault. Specify the item with its UUID, name, or domain.`,
      ),
    )
    const noItem = await item.source.find('nas', 'password')
    expect(noItem).toMatchObject({ missing: { code: 'onepassword-item-missing', blame: 'operator' } })
    const field = op(failure(`[ERROR] 2024/01/01 10:00:00 "otp" isn't a field in the "nas" item.`))
    expect(await field.source.find('nas', 'otp')).toMatchObject({
      missing: { code: 'onepassword-field-missing' },
    })
  })

  test.each([
    [`[ERROR] 2024/01/01 10:00:00 "Home" isn't a vault in this account.`, 'onepassword-vault-missing'],
    [
      '[ERROR] 2025/01/05 22:26:55 a vault query must be provided when this command is called by a service account. Please specify one either through the --vault flag or through piped input',
      'onepassword-vault-missing',
    ],
    ['[ERROR] 2024/01/01 10:00:00 More than one item matches "nas".', 'onepassword-ambiguous'],
    ['[ERROR] 2024/01/01 10:00:00 unknown flag: --reveal', 'onepassword-cli-old'],
    [
      '[ERROR] 2024/01/01 10:00:00 Get "https://my.1password.com": dial tcp: lookup my.1password.com: no such host',
      'onepassword-unreachable',
    ],
    ['something new', 'onepassword-failed'],
    ['', 'onepassword-failed'],
  ])('%s', async (text, code) => {
    const thrown = await fault(op(failure(text)).source.find('nas', 'password'))
    expect(thrown.code).toBe(code)
    expect(thrown.message).not.toMatch(/\.$/)
  })

  test('an item named like a flag is never passed to op', async () => {
    const { source, calls } = op('exit 0')
    for (const name of ['-', '--help'])
      expect(await source.find(name, 'password')).toMatchObject({
        missing: { code: 'onepassword-item-missing' },
      })
    expect(calls()).toEqual([])
  })

  test('an op that waits for ever is ended at the limit', async () => {
    const began = performance.now()
    const slow = await fault(op('exec sleep 30', { limit: 300 }).source.find('nas', 'password'))
    expect(slow.code).toBe('onepassword-timeout')
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test('after one failure, others in the queue do not cost another prompt', async () => {
    const { source, calls } = op(failure('[ERROR] 2024/01/01 10:00:00 account is not signed in'))
    const faults = await Promise.all(['a', 'b', 'c'].map(name => fault(source.find(name, 'password'))))
    expect(faults.map(f => f.code)).toEqual(Array(3).fill('onepassword-signed-out'))
    expect(calls()).toHaveLength(1)
  })

  test('a missing item does not stop the next one', async () => {
    const { source } = op(
      `if [ "$3" = nas ]; then echo "\\"nas\\" isn't an item in the vault" >&2; exit 1; fi\n${answer({ id: 'password', value: 'v' })}`,
    )
    expect(await source.find('nas', 'password')).toMatchObject({
      missing: { code: 'onepassword-item-missing' },
    })
    expect(await source.find('bmc', 'password')).toEqual({ value: 'v' })
  })
})
