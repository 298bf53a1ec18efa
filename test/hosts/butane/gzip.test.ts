import { createHash, randomBytes } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { gzipLikeGo } from '../../../src/hosts/butane/gzip/gzip.ts'

/** Bytes that look random, and are always the same. */
function noise(length: number): Buffer {
  const out: Buffer[] = []
  for (let i = 0; out.length * 32 < length; i++) out.push(createHash('sha256').update(`${i}`).digest())
  return Buffer.concat(out).subarray(0, length)
}

const words = Array.from({ length: 9000 }, (_, i) => `line ${(i * i) % 977} of ${i}\n`).join('')

// Made by Go 1.26's compress/gzip at level 9: length and SHA-256 of the result.
test.each<[what: string, contents: Buffer, length: number, hash: string]>([
  ['nothing', Buffer.alloc(0), 23, '10c2221846da8b4250e556aa520c86d6674614d7c5874d8b9cb7f26d62835036'],
  [
    'one letter often',
    Buffer.from('a'.repeat(1000)),
    32,
    '5cf5a13d554c7cab922c87724c2d8f3462f5f93e75364a24fac9d83d6a702cf8',
  ],
  [
    'noise, which is stored',
    noise(70_000),
    70048,
    '081b2a318a488a00d134569a0f452fda1f50a4d1fa77a08f3554482810ae2dd3',
  ],
  [
    'more words than a window holds',
    Buffer.from(words),
    38770,
    '43527e429500e83bff0aca7eb10ffbff85a395913a7f332390c1311e953a7e88',
  ],
  [
    'words far apart',
    Buffer.from(words.slice(0, 3000) + noise(40_000).toString('hex') + words),
    81826,
    '07b220bfa4d4c5a647ea6f7e0204e42a54d22cb6efa520a03df9ab719242a368',
  ],
])('%s is packed to the same bytes as in Go', (_, contents, length, hash) => {
  const packed = gzipLikeGo(contents)
  expect([packed.length, createHash('sha256').update(packed).digest('hex')]).toEqual([length, hash])
})

test('whatever is packed can be unpacked', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', 'abc', 'longer word ', '\n', 'é')),
      fc.nat(50),
      (parts, n) => {
        const contents = Buffer.concat([Buffer.from(parts.join('').repeat(n)), randomBytes(n)])
        expect(gunzipSync(gzipLikeGo(contents)).equals(contents)).toBe(true)
      },
    ),
    { numRuns: 50 },
  )
})
