import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Fault } from '../../runbook/fault.ts'
import type { Artifact } from './rung.ts'
import { type ImageKey, type SignedBy, verifySignature } from './signature.ts'

/** A file that was read whole and is what its publisher made. */
export interface VerifiedArtifact {
  file: string
  sha256: string
  bytes: number
  /** Who signed it, where there is a signature. */
  signed?: SignedBy
}

const known = new Map<string, VerifiedArtifact>()

/**
 * Reads a file and checks it by its hash, its signature, or both. Images are half a gigabyte: it is read as a stream, and
 * once a process, as long as it does not change. Faults `image-missing`, `image-damaged`, and those of the signature.
 * @param what for messages: `system image`
 */
export async function verifyArtifact(
  what: string,
  { file, sha256: wanted, signature }: Artifact,
  key: ImageKey,
): Promise<VerifiedArtifact> {
  const missing = (cause: unknown) =>
    new Fault({
      code: 'image-missing',
      blame: 'operator',
      message: `the ${what} ${file} cannot be read`,
      remedy: 'Download it again, and name it in recover.yaml',
      cause,
    })
  const about = await stat(file).catch(cause => {
    throw missing(cause)
  })
  const name = [file, about.size, about.mtimeMs, about.ino, wanted, signature].join('\0')
  const before = known.get(name)
  if (before) return before
  const hash = createHash('sha256')
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  } catch (cause) {
    throw missing(cause)
  }
  const sha256 = hash.digest('hex')
  if (wanted !== undefined && sha256 !== wanted)
    throw new Fault({
      code: 'image-damaged',
      blame: 'operator',
      message: `the ${what} ${file} has the SHA-256 ${sha256}, not ${wanted}; nothing was written`,
      remedy: 'Download it again and check its signature',
    })
  const verified: VerifiedArtifact = {
    file,
    sha256,
    bytes: about.size,
    ...(signature === undefined ? {} : { signed: await verifySignature(what, file, signature, key) }),
  }
  known.set(name, verified)
  return verified
}
