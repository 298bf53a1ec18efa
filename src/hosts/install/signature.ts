import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { Fault } from '../../runbook/fault.ts'
import type { Warning } from '../../runbook/step.ts'

/** Primary key of Flatcar's image signing (https://www.flatcar.org/security/image-signing-key/). */
export const flatcarKey = 'F88CFEDEFF29A5B4D9523864E25D9AED0593B34A'

/** The key that images are signed with. */
export interface ImageKey {
  /** Path of the public key, armored or binary; undefined where recover.yaml names none. */
  file: string | undefined
  /** Of its primary key, 40 hex digits. Flatcar's when absent. */
  fingerprint?: string | undefined
}

/** Whose signature a file has. */
export interface SignedBy {
  /** Of the primary key. */
  key: string
  /** Of the key that made the signature: the primary key, or one of its sub-keys. */
  signer: string
  /** When the signature was made, ISO 8601. */
  at: string
  /** When the signer's key expires, ISO 8601; absent when never. */
  expires?: string
  /** Said to the person where the key expires soon. */
  warning?: Warning
}

const soonMs = 90 * 24 * 3_600_000

/**
 * Checks a detached OpenPGP signature over a file, reading it as a stream. Faults `image-key-missing`,
 * `image-key-differs`, `image-signature-bad`, `image-key-expired`: a signature by a key that has expired is refused,
 * because flatcar-install would refuse it, too, but only when the disk is half written.
 */
export async function verifySignature(
  what: string,
  file: string,
  signatureFile: string,
  { file: keyFile, fingerprint = flatcarKey }: ImageKey,
  now = new Date(),
): Promise<SignedBy> {
  // A large library that most runs do not need.
  const openpgp = await import('openpgp')
  const wanted = fingerprint.replaceAll(/\s/g, '').toUpperCase()
  const howToGetKey =
    wanted === flatcarKey
      ? 'Download it anew from https://www.flatcar.org/security/image-signing-key/ and name it in recover.yaml (tools.imageKey.file)'
      : 'Name the publisher’s key in recover.yaml (tools.imageKey)'
  if (keyFile === undefined)
    throw new Fault({
      code: 'image-key-missing',
      blame: 'operator',
      message: `the ${what} ${file} has a signature, and there is no key to check it with`,
      remedy: howToGetKey,
    })
  const bytes = await read('the key that images are signed with', keyFile, howToGetKey)
  const key = await (isArmored(bytes)
    ? openpgp.readKey({ armoredKey: bytes.toString() })
    : openpgp.readKey({ binaryKey: bytes })
  ).catch(cause => {
    throw new Fault({
      code: 'image-key-missing',
      blame: 'operator',
      message: `${keyFile} is no OpenPGP public key`,
      remedy: howToGetKey,
      cause,
    })
  })
  const primary = key.getFingerprint().toUpperCase()
  if (primary !== wanted)
    throw new Fault({
      code: 'image-key-differs',
      blame: 'operator',
      message: `${keyFile} is the key ${primary}, not ${wanted}; nothing is trusted that it has signed`,
      remedy: howToGetKey,
    })
  const text = await read('the signature', signatureFile, 'Download it from beside the image')
  const bad = (why: string, cause?: unknown) =>
    new Fault({
      code: 'image-signature-bad',
      blame: 'operator',
      message: `the signature ${signatureFile} does not fit the ${what} ${file}: ${why}; nothing was written`,
      remedy: 'Download both again, from the same release',
      cause,
    })
  const signature = await (isArmored(text)
    ? openpgp.readSignature({ armoredSignature: text.toString() })
    : openpgp.readSignature({ binarySignature: text })
  ).catch(cause => {
    throw bad('it is no OpenPGP signature', cause)
  })
  const message = await openpgp.createMessage({
    binary: Readable.toWeb(createReadStream(file, { highWaterMark: 1 << 20 })) as ReadableStream<Uint8Array>,
  })
  const { data, signatures } = await openpgp.verify({
    message,
    signature,
    verificationKeys: key,
    format: 'binary',
  })
  // The verdict comes when the last byte has gone by. Read by a reader: the library replaces that way of a stream alone
  // when it listens in, and `for await` would find the stream locked.
  const reader = (data as unknown as ReadableStream<Uint8Array>).getReader()
  while (!(await reader.read()).done);
  const found = signatures.find(s => key.getKeys(s.keyID).length > 0)
  if (!found)
    throw bad(
      `it was made by the key ${signatures.map(s => s.keyID.toHex()).join(', ')}, which ${primary} does not hold`,
    )
  await found.verified.catch(cause => {
    throw bad('it is of other bytes, or its key was not valid then', cause)
  })
  const [signer] = key.getKeys(found.keyID)
  const expiry =
    signer === undefined || signer === key ? await key.getExpirationTime() : await expiryOf(signer)
  const made = (await found.signature).packets[0]?.created ?? now
  const by: SignedBy = {
    key: primary,
    signer: (signer ?? key).getFingerprint().toUpperCase(),
    at: made.toISOString(),
    ...(expiry instanceof Date ? { expires: expiry.toISOString() } : {}),
  }
  if (!(expiry instanceof Date)) return by
  if (expiry <= now)
    throw new Fault({
      code: 'image-key-expired',
      blame: 'operator',
      message: `the ${what} ${file} is signed with the key ${by.signer}, which expired on ${by.expires!.slice(0, 10)} as ${keyFile} has it; nothing was written`,
      remedy: `${howToGetKey}: it may have been prolonged; or take a newer image, which is signed with a newer key`,
    })
  return expiry.getTime() - now.getTime() < soonMs
    ? {
        ...by,
        warning: {
          code: 'image-key-expires-soon',
          blame: 'operator',
          message: `the key ${by.signer} that signed ${file} expires on ${by.expires!.slice(0, 10)}, and what it has signed is refused from then on`,
          remedy: howToGetKey,
        },
      }
    : by
}

/** A sub-key's end; the library gives Infinity for never, null for one that is not valid at all. */
async function expiryOf(key: unknown): Promise<Date | number | null> {
  return (key as { getExpirationTime(): Promise<Date | number | null> }).getExpirationTime()
}

function isArmored(bytes: Buffer): boolean {
  return bytes.subarray(0, 64).toString('latin1').trimStart().startsWith('-----BEGIN PGP')
}

async function read(what: string, file: string, remedy: string): Promise<Buffer> {
  return readFile(file).catch(cause => {
    throw new Fault({
      code: 'image-missing',
      blame: 'operator',
      message: `${what}, ${file}, cannot be read`,
      remedy,
      cause,
    })
  })
}
