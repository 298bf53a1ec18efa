const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ 0xedb88320
  return value
})

/** The checksum of gzip; Node has one of its own only from version 22 on. */
export function crc32(contents: Uint8Array): number {
  let crc = -1
  for (const byte of contents) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!
  return (crc ^ -1) >>> 0
}
