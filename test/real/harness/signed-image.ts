import { createReadStream, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import * as openpgp from 'openpgp'
import { place } from './place.ts'

/** The system image with its publisher's signature, and the publisher's key. */
export interface SignedImage {
  file: string
  signature: string
  key: string
  /** Of the key, 40 hex digits. */
  fingerprint: string
}

let made: Promise<SignedImage> | undefined

/** Signs the system image as its publisher does, with a key that is made for it; once in each thread of the tests. */
export function signedImage(): Promise<SignedImage> {
  made ??= sign()
  return made
}

async function sign(): Promise<SignedImage> {
  const folder = mkdtempSync(join(place().folder, 'published-'))
  const file = join(folder, 'image.bin.bz2')
  const [signature, key] = [`${file}.sig`, join(folder, 'key.asc')]
  symlinkSync(place().image.compressed, file)
  const { privateKey, publicKey } = await openpgp.generateKey({
    type: 'rsa',
    rsaBits: 2048,
    userIDs: [{ name: 'A publisher of images', email: 'images@example.net' }],
    format: 'object',
  })
  const signed = await openpgp.sign({
    message: await openpgp.createMessage({
      binary: Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>,
    }),
    signingKeys: privateKey,
    detached: true,
    format: 'binary',
  })
  const parts: Uint8Array[] = []
  for await (const part of signed as unknown as AsyncIterable<Uint8Array>) parts.push(part)
  writeFileSync(signature, Buffer.concat(parts))
  writeFileSync(key, publicKey.armor())
  return { file, signature, key, fingerprint: publicKey.getFingerprint().toUpperCase() }
}
