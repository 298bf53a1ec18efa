import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Fault } from '../../src/runbook/fault.ts'
import { openSecrets } from '../../src/secrets/resolve.ts'
import { scratch } from '../runbook/harness.ts'

async function fault(promise: Promise<unknown>): Promise<Fault> {
  const thrown = await promise.then(
    value => expect.fail(`nothing thrown, but ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(Fault)
  return thrown as Fault
}

function secretsFile(text: string, mode = 0o600): string {
  const file = join(scratch('resolve'), 'secrets.yaml')
  writeFileSync(file, text)
  chmodSync(file, mode)
  return file
}

/** A folder with a program `op` that counts its calls in a file. */
function opIn(script: string): { PATH: string; calls: () => number } {
  const bin = scratch('op')
  const log = join(bin, 'calls')
  writeFileSync(log, '')
  writeFileSync(join(bin, 'op'), `#!/bin/sh\necho x >> '${log}'\n${script}\n`)
  chmodSync(join(bin, 'op'), 0o755)
  return { PATH: `${bin}:/usr/bin:/bin`, calls: () => readFileSync(log, 'utf8').split('\n').length - 1 }
}

const signedOut = `echo '[ERROR] 2024/01/01 10:00:00 account is not signed in' >&2; exit 1`

describe('the order of sources', () => {
  const file = () => secretsFile('nas: { password: from-file, username: admin-of-file }\n')

  test('the first that knows wins, field by field', async () => {
    const env = { RECOVER_SECRET_NAS_PASSWORD: 'from-environment' }
    const first = openSecrets({ from: ['environment', 'file'], file: file(), env })
    expect(await first.field('nas', 'password')).toBe('from-environment')
    expect(await first.field('nas', 'username')).toBe('admin-of-file')
    const last = openSecrets({ from: ['file', 'environment'], file: file(), env })
    expect(await last.field('nas', 'password')).toBe('from-file')
  })

  test('every character that no variable may have is an underscore', async () => {
    const env = { RECOVER_SECRET_HOST_1_LAN_SSH_KEY: 'value' }
    expect(await openSecrets({ from: ['environment'], env }).field('host-1.lan', 'ssh key')).toBe('value')
  })

  test('a 1Password that cannot be asked does not stop the next source', async () => {
    const { PATH } = opIn(signedOut)
    const secrets = openSecrets({ from: ['onepassword', 'file'], vault: 'Home', file: file(), env: { PATH } })
    expect(await secrets.field('nas', 'password')).toBe('from-file')
  })

  test('a value is asked for once, also by two at a time', async () => {
    const op = opIn(`echo '{"id":"password","value":"from-op"}'`)
    const secrets = openSecrets({ from: ['onepassword'], vault: 'Home', env: { PATH: op.PATH } })
    const asked = await Promise.all([secrets.field('nas', 'password'), secrets.field('nas', 'password')])
    expect(asked).toEqual(['from-op', 'from-op'])
    expect(await secrets.has('nas', 'password')).toBe(true)
    expect(op.calls()).toBe(1)
  })

  test('what was missing is looked for again', async () => {
    const env: NodeJS.ProcessEnv = {}
    const secrets = openSecrets({ from: ['environment'], env })
    expect(await secrets.has('nas', 'password')).toBe(false)
    env.RECOVER_SECRET_NAS_PASSWORD = 'now-it-is'
    expect(await secrets.field('nas', 'password')).toBe('now-it-is')
  })
})

describe('what none knows', () => {
  test('names the secret, the field, every source with its reason, and the variable to set', async () => {
    const { PATH } = opIn(signedOut)
    const file = secretsFile('nas: { username: admin }\n')
    const secrets = openSecrets({
      from: ['onepassword', 'environment', 'file'],
      vault: 'Home',
      file,
      env: { PATH },
    })
    const missing = await fault(secrets.field('nas', 'password'))
    expect(missing).toMatchObject({ code: 'secret-missing', blame: 'operator' })
    expect(missing.message).toBe(
      'the field password of the secret nas is not known (1Password: op is not signed in to 1Password, it said: account is not signed in; ' +
        `environment: RECOVER_SECRET_NAS_PASSWORD is not set; secrets file: ${file} has no field password in the secret nas)`,
    )
    expect(missing.remedy).toMatch(/^Set RECOVER_SECRET_NAS_PASSWORD in the environment; or: Sign in /)
  })

  test('when the environment is no source, the remedy says how to make it one', async () => {
    const secrets = openSecrets({ from: ['file'], file: secretsFile('x: { y: z }'), env: {} })
    const missing = await fault(secrets.field('nas', 'password'))
    expect(missing.remedy).toContain(
      'Put environment into secrets.from of recover.yaml and set RECOVER_SECRET_NAS_PASSWORD',
    )
  })

  test('is transient if a source is throttled', async () => {
    const { PATH } = opIn(`echo '(429) Too Many Requests' >&2; exit 1`)
    const missing = await fault(
      openSecrets({ from: ['onepassword'], env: { PATH } }).field('nas', 'password'),
    )
    expect(missing).toMatchObject({ code: 'secret-missing', transient: true })
  })

  test('has: false if all could be asked, an error if one could not', async () => {
    const file = secretsFile('nas: { username: admin }\n')
    const sure = openSecrets({ from: ['environment', 'file'], file, env: {} })
    expect(await sure.has('nas', 'password')).toBe(false)
    const { PATH } = opIn(signedOut)
    const unsure = openSecrets({ from: ['onepassword', 'file'], file, env: { PATH } })
    expect((await fault(unsure.has('nas', 'password'))).code).toBe('secret-missing')
    expect(await unsure.has('nas', 'username')).toBe(true)
  })

  test('a file that others may read is not stepped over', async () => {
    const env = { RECOVER_SECRET_NAS_PASSWORD: 'from-environment' }
    const file = secretsFile('nas: { password: exposed }\n', 0o644)
    const secrets = openSecrets({ from: ['file', 'environment'], file, env })
    expect((await fault(secrets.field('nas', 'password'))).code).toBe('secret-file-readable')
    expect((await fault(secrets.has('nas', 'password'))).code).toBe('secret-file-readable')
  })

  test('sources that lack what they need are refused when they are opened', () => {
    expect(() => openSecrets({ from: ['bundle'], env: {} })).toThrow(/needs a file/)
    expect(() => openSecrets({ from: ['file'], env: {} })).toThrow(/needs a file/)
    expect(() => openSecrets({ from: ['bundle', 'file'], file: '/x', env: {} })).toThrow(
      /both bundle and file/,
    )
  })
})

describe('the mask', () => {
  test('knows every value that was handed out, from whatever source, and not before', async () => {
    const op = opIn(`echo '{"id":"x","value":"from-onepassword"}'`)
    const env = { PATH: op.PATH, RECOVER_SECRET_NAS_TOKEN: 'from-environment' }
    const file = secretsFile('nas: { password: from-the-file }\n')
    const secrets = openSecrets({ from: ['environment', 'file', 'onepassword'], vault: 'Home', file, env })
    const line = 'from-environment from-the-file from-onepassword ZnJvbS1vbmVwYXNzd29yZA=='
    expect(secrets.mask.text(line)).toBe(line)
    await secrets.field('nas', 'token')
    await secrets.has('nas', 'password')
    await secrets.field('bmc', 'password')
    expect(secrets.mask.text(line)).toBe('‹secret› ‹secret› ‹secret› ‹secret›')
  })

  test('knows what opens the sources from the start', () => {
    const env = {
      RECOVER_BUNDLE_PASSPHRASE: 'correct horse',
      OP_SERVICE_ACCOUNT_TOKEN: 'ops_abcdef',
      OP_SESSION_home: 'session-token',
    }
    const { mask } = openSecrets({ from: ['environment'], env })
    expect(mask.text('correct horse, ops_abcdef, session-token')).toBe('‹secret›, ‹secret›, ‹secret›')
  })

  test('nothing of the values shows when the secrets are printed', async () => {
    const secrets = openSecrets({ from: ['environment'], env: { RECOVER_SECRET_NAS_PASSWORD: 'hunter2!' } })
    await secrets.field('nas', 'password')
    const { inspect } = await import('node:util')
    expect(inspect(secrets, { depth: 9, showHidden: true })).not.toContain('hunter2!')
    expect(JSON.stringify(secrets)).not.toContain('hunter2!')
  })
})
