import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync, statSync } from 'node:fs'

/**
 * What a cluster file is known by: it, every file that it names, and what else was read for it (`read`).
 *
 * @param images path to what is said of its content. They are half a gigabyte each and every command loads the
 * file: what stands in them is compared with that before they are used, so that and their size are enough here.
 */
export function hashOf(files: string[], images: ReadonlyMap<string, string>, read: unknown): string {
  const hash = createHash('sha256').update(JSON.stringify(read))
  const chunk = Buffer.alloc(256 * 1024)
  for (const file of files) {
    hash.update(file)
    const declared = images.get(file)
    const stat = statSync(file)
    if (declared !== undefined) hash.update(`${declared} ${stat.size}`)
    else if (!stat.isFile()) hash.update('folder')
    else {
      const fd = openSync(file, 'r')
      try {
        for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk))
          hash.update(chunk.subarray(0, read))
      } finally {
        closeSync(fd)
      }
    }
  }
  return hash.digest('hex').slice(0, 32)
}
