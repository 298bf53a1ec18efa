import { createReadStream, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
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

/** Signs the system image as its publisher does, with a key that is made for it. Once a run of the tests. */
export async function signedImage(): Promise<SignedImage> {
  const folder = join(place().folder, 'published')
  const [file, signature, key] = ['image.bin.bz2', 'image.bin.bz2.sig', 'key.asc'].map(name =>
    join(folder, name),
  ) as [string, string, string]
  if (!existsSync(key)) {
    mkdirSync(folder)
    symlinkSync(place().image.compressed, file)
    const made = await openpgp.generateKey({
      type: 'rsa',
      rsaBits: 2048,
      userIDs: [{ name: 'A publisher of images', email: 'images@example.net' }],
      format: 'object',
    })
    const signed = await openpgp.sign({
      message: await openpgp.createMessage({
        binary: Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>,
      }),
      signingKeys: made.privateKey,
      detached: true,
      format: 'binary',
    })
    const parts: Uint8Array[] = []
    for await (const part of signed as unknown as AsyncIterable<Uint8Array>) parts.push(part)
    writeFileSync(signature, Buffer.concat(parts))
    writeFileSync(key, made.publicKey.armor())
  }
  const published = await openpgp.readKey({ armoredKey: readFileSync(key, 'utf8') })
  return { file, signature, key, fingerprint: published.getFingerprint().toUpperCase() }
}
