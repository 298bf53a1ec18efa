import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as openpgp from 'openpgp'
import { expect, test } from 'vitest'
import { verifyArtifact } from '../../../src/hosts/install/artifact.ts'
import { flatcarKey, verifySignature } from '../../../src/hosts/install/signature.ts'
import { scratch } from '../../runbook/harness.ts'

const day = 24 * 3600

/** An image with a signature by a sub-key, as Flatcar publishes them. */
async function signed({ made = new Date(), subkeyDays = 400 } = {}) {
  const { privateKey, publicKey } = await openpgp.generateKey({
    userIDs: [{ name: 'Image Signing' }],
    date: made,
    subkeys: [{ sign: true, keyExpirationTime: subkeyDays * day }],
    format: 'object',
  })
  const folder = scratch('signed')
  const path = (name: string) => join(folder, name)
  const bytes = Buffer.from('an image '.repeat(20_000))
  writeFileSync(path('image'), bytes)
  const signature = await openpgp.sign({
    message: await openpgp.createMessage({ binary: bytes }),
    signingKeys: privateKey,
    detached: true,
    format: 'binary',
    date: made,
  })
  writeFileSync(path('image.sig'), signature as Uint8Array)
  writeFileSync(path('key.asc'), publicKey.armor())
  return {
    path,
    fingerprint: publicKey.getFingerprint(),
    check: (fingerprint = publicKey.getFingerprint(), now = new Date()) =>
      verifySignature('image', path('image'), path('image.sig'), { file: path('key.asc'), fingerprint }, now),
  }
}

test('a signature by a sub-key of the pinned key is accepted, and told who made it', async () => {
  const image = await signed()
  const by = await image.check()
  expect(by.key).toBe(image.fingerprint.toUpperCase())
  expect(by.signer).not.toBe(by.key)
  expect(by.expires).toMatch(/^20/)
  expect(by.warning).toBeUndefined()
  const key = { file: image.path('key.asc'), fingerprint: image.fingerprint }
  const artifact = { file: image.path('image'), signature: image.path('image.sig') }
  expect(await verifyArtifact('image', artifact, key)).toMatchObject({
    signed: { key: by.key },
    bytes: 180_000,
  })
})

test('one bit of the image, another key, no key: each is refused with its own reason', async () => {
  const image = await signed()
  await expect(image.check(flatcarKey)).rejects.toMatchObject({ code: 'image-key-differs' })
  await expect(
    verifySignature('image', image.path('image'), image.path('image.sig'), { file: undefined }),
  ).rejects.toMatchObject({ code: 'image-key-missing', remedy: expect.stringContaining('flatcar.org') })
  const other = await signed()
  await expect(
    verifySignature('image', image.path('image'), other.path('image.sig'), {
      file: image.path('key.asc'),
      fingerprint: image.fingerprint,
    }),
  ).rejects.toMatchObject({ code: 'image-signature-bad' })
  writeFileSync(image.path('image'), 'An image '.repeat(20_000))
  await expect(image.check()).rejects.toMatchObject({
    code: 'image-signature-bad',
    message: expect.stringContaining('of other bytes'),
  })
})

test('a key that has expired is refused although the signature was made before; one that expires soon is told', async () => {
  const made = new Date(Date.now() - 300 * day * 1000)
  const expired = await signed({ made, subkeyDays: 200 })
  await expect(expired.check()).rejects.toMatchObject({
    code: 'image-key-expired',
    remedy: expect.stringMatching(/prolonged; or take a newer image/),
  })
  const soon = await signed({ made, subkeyDays: 330 })
  expect((await soon.check()).warning).toMatchObject({
    code: 'image-key-expires-soon',
    message: expect.stringMatching(/expires on \d{4}-\d\d-\d\d/),
  })
})
