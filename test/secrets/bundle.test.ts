import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as age from 'age-encryption'
import { expect, test } from 'vitest'
import { Fault } from '../../src/runbook/fault.ts'
import { bundleSource, sealBundle } from '../../src/secrets/bundle.ts'
import { scratch } from '../runbook/harness.ts'

const content = {
  nas: { username: 'recover', password: 'hunter2 "quoted"\nsecond line ключ' },
  empty: { x: '' },
}

async function fault(promise: Promise<unknown>): Promise<Fault> {
  const thrown = await promise.then(
    value => expect.fail(`nothing thrown, but ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(Fault)
  return thrown as Fault
}

/** A person with a key pair, the secret half in a file as age-keygen writes it. */
async function person(dir: string, name: string) {
  const identity = await age.generateX25519Identity()
  const recipient = await age.identityToRecipient(identity)
  const file = join(dir, name)
  writeFileSync(file, `# created: 2024-01-01\n# public key: ${recipient}\n\n${identity}\n`, { mode: 0o600 })
  return { identity, recipient, file }
}

test('round trip by recipients: either identity opens it, a third one does not', async () => {
  const dir = scratch('bundle')
  const [ann, bob, eve] = await Promise.all(['ann', 'bob', 'eve'].map(name => person(dir, name)))
  const sealed = await sealBundle(content, { recipients: [ann!.recipient, bob!.recipient] })
  expect(sealed).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----\n/)
  expect(sealed).not.toContain('hunter2')
  const file = join(dir, 'secrets.age')
  writeFileSync(file, sealed)
  for (const who of [ann!, bob!]) {
    const source = bundleSource(file, { RECOVER_BUNDLE_IDENTITY: who.file })
    expect(await source.find('nas', 'password')).toEqual({ value: content.nas.password })
    expect(await source.find('nas', 'username')).toEqual({ value: 'recover' })
  }
  const locked = await fault(
    bundleSource(file, { RECOVER_BUNDLE_IDENTITY: eve!.file }).find('nas', 'password'),
  )
  expect(locked.code).toBe('bundle-locked')
  expect(locked.message).toContain(file)
})

test('round trip by passphrase; a wrong one is told as wrong', async () => {
  const file = join(scratch('bundle'), 'secrets.age')
  writeFileSync(file, await sealBundle(content, { passphrase: 'correct horse battery staple', logN: 10 }))
  const right = bundleSource(file, { RECOVER_BUNDLE_PASSPHRASE: 'correct horse battery staple' })
  expect(await right.find('nas', 'password')).toEqual({ value: content.nas.password })
  const wrong = await fault(
    bundleSource(file, { RECOVER_BUNDLE_PASSPHRASE: 'wrong horse' }).find('nas', 'password'),
  )
  expect(wrong.code).toBe('bundle-locked')
  expect(JSON.stringify(wrong)).not.toContain('wrong horse')
  expect((await fault(bundleSource(file, {}).find('nas', 'password'))).code).toBe('bundle-key-missing')
}, 60_000)

test('a binary bundle of the age program opens, too', async () => {
  const dir = scratch('bundle')
  const ann = await person(dir, 'ann')
  const encrypter = new age.Encrypter()
  encrypter.addRecipient(ann.recipient)
  const file = join(dir, 'secrets.age')
  writeFileSync(file, await encrypter.encrypt(JSON.stringify(content)))
  const source = bundleSource(file, { RECOVER_BUNDLE_IDENTITY: ann.file })
  expect(await source.find('nas', 'username')).toEqual({ value: 'recover' })
})

test('what the bundle lacks is missing, not an error; there being no bundle as well', async () => {
  const dir = scratch('bundle')
  const ann = await person(dir, 'ann')
  const file = join(dir, 'secrets.age')
  const absent = await bundleSource(file, {}).find('nas', 'password')
  expect(absent).toMatchObject({ missing: { code: 'secret-file-absent' } })
  writeFileSync(file, await sealBundle(content, { recipients: [ann.recipient] }))
  const source = bundleSource(file, { RECOVER_BUNDLE_IDENTITY: ann.file })
  for (const [secret, field, why] of [
    ['bmc', 'password', 'no secret bmc'],
    ['nas', 'otp', 'no field otp'],
    ['empty', 'x', 'is empty'],
    ['toString', 'name', 'no secret toString'],
    ['nas', '__proto__', 'no field __proto__'],
  ] as const) {
    const answer = await source.find(secret, field)
    expect(answer).toMatchObject({ missing: { code: 'secret-not-in-file' } })
    expect('missing' in answer && answer.missing.message).toContain(why)
  }
})

test('damage anywhere is told as damage', async () => {
  const dir = scratch('bundle')
  const ann = await person(dir, 'ann')
  const file = join(dir, 'secrets.age')
  const raw = age.armor.decode(await sealBundle(content, { recipients: [ann.recipient] }))
  const env = { RECOVER_BUNDLE_IDENTITY: ann.file }
  for (const at of [raw.length - 1, raw.length - 20, raw.length - 60]) {
    const torn = Uint8Array.from(raw)
    torn[at]! ^= 1
    writeFileSync(file, torn)
    expect((await fault(bundleSource(file, env).find('nas', 'password'))).code).toBe('bundle-damaged')
  }
  writeFileSync(file, raw.slice(0, -5))
  expect((await fault(bundleSource(file, env).find('nas', 'password'))).code).toBe('bundle-damaged')
  writeFileSync(file, '-----BEGIN AGE ENCRYPTED FILE-----\nnonsense')
  expect((await fault(bundleSource(file, env).find('nas', 'password'))).code).toBe('bundle-damaged')
})

test('a bundle with something else in it: told without quoting it', async () => {
  const dir = scratch('bundle')
  const ann = await person(dir, 'ann')
  const file = join(dir, 'secrets.age')
  for (const plain of [
    '{"nas": {"password": "hunter2" oops',
    '{"nas": {"password": 12345678}}',
    '["hunter2"]',
  ]) {
    const encrypter = new age.Encrypter()
    encrypter.addRecipient(ann.recipient)
    writeFileSync(file, await encrypter.encrypt(plain))
    const damaged = await fault(
      bundleSource(file, { RECOVER_BUNDLE_IDENTITY: ann.file }).find('nas', 'password'),
    )
    expect(damaged.code).toBe('bundle-damaged')
    expect(JSON.stringify(damaged)).not.toMatch(/hunter2|12345678/)
  }
})

test('the identity file: private, there, and an identity; its content is never quoted', async () => {
  const dir = scratch('bundle')
  const ann = await person(dir, 'ann')
  const file = join(dir, 'secrets.age')
  writeFileSync(file, await sealBundle(content, { recipients: [ann.recipient] }))
  const tried = () => fault(bundleSource(file, { RECOVER_BUNDLE_IDENTITY: ann.file }).find('nas', 'password'))
  chmodSync(ann.file, 0o640)
  expect((await tried()).code).toBe('secret-file-readable')
  chmodSync(ann.file, 0o600)
  const typo = readFileSync(ann.file, 'utf8').replace(/.\n$/, 'b\n')
  writeFileSync(ann.file, typo)
  const invalid = await tried()
  expect(invalid.code).toBe('bundle-identity-invalid')
  expect(invalid.message).toContain('line 4')
  expect(JSON.stringify(invalid).toUpperCase()).not.toContain(ann.identity.slice(20, 40))
  writeFileSync(ann.file, '# nothing\n')
  expect((await tried()).code).toBe('bundle-identity-invalid')
})

test('sealing refuses a weak passphrase, no recipient, and a secret key in place of a recipient', async () => {
  const ann = await person(scratch('bundle'), 'ann')
  expect((await fault(sealBundle(content, { passphrase: 'short' }))).code).toBe('bundle-passphrase-weak')
  expect((await fault(sealBundle(content, { recipients: [] }))).code).toBe('bundle-recipient-invalid')
  const mixedUp = await fault(sealBundle(content, { recipients: [ann.recipient, ann.identity] }))
  expect(mixedUp.code).toBe('bundle-recipient-invalid')
  expect(mixedUp.message).toContain('recipient 2 of 2')
  expect(JSON.stringify(mixedUp)).not.toContain(ann.identity.slice(20, 40))
  const bad = { nas: { password: 5 } } as unknown as typeof content
  expect((await fault(sealBundle(bad, { recipients: [ann.recipient] }))).code).toBe('bundle-content-invalid')
})
