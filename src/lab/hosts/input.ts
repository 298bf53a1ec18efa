import { createHash } from 'node:crypto'

/** What a command was given on its standard input. Long ones are not kept whole: an image is half a gigabyte. */
export interface Input {
  text: string
  sha256: string
  bytes: number
  /** The last part in base64, where it is not text. */
  tail?: string
}

const kept = 256 * 1024

/** Takes an input in as it comes. */
export class InputReader {
  private readonly hash = createHash('sha256')
  private chunks: Buffer[] = []
  private size = 0
  private bytes = 0

  add(chunk: Buffer): void {
    this.hash.update(chunk)
    this.chunks.push(chunk)
    this.size += chunk.length
    this.bytes += chunk.length
    // Shortened now and then, not at each chunk.
    if (this.size > 8 * kept) this.shorten()
  }

  end(): Input {
    if (this.size > kept) this.shorten()
    const bytes = Buffer.concat(this.chunks)
    const text = bytes.toString()
    const sha256 = this.hash.digest('hex')
    const { bytes: all } = this
    return Buffer.from(text).equals(bytes)
      ? { text, sha256, bytes: all }
      : { text: '', sha256, bytes: all, tail: bytes.toString('base64') }
  }

  private shorten(): void {
    const bytes = Buffer.concat(this.chunks)
    this.chunks = [bytes.subarray(-kept)]
    this.size = this.chunks[0]?.length ?? 0
  }
}

/** The same of bytes that are all there. */
export function inputOf(bytes: Buffer): Input {
  const reader = new InputReader()
  reader.add(bytes)
  return reader.end()
}
