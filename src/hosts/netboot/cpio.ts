import { gzipSync } from 'node:zlib'

/** A file of an archive; its folders are made. */
export interface CpioFile {
  /** Without a leading slash: `usr/share/oem/config.ign`. */
  path: string
  content: string | Buffer
  /** Permission bits. */
  mode: number
}

const folder = 0o040000
const regular = 0o100000

/**
 * A cpio archive in the format of an initramfs (`newc`: linux/Documentation/driver-api/early-userspace/buffer-format.rst),
 * gzipped. The kernel unpacks archives that stand one behind another, so it can be appended to any initrd.
 */
export function cpioArchive(files: CpioFile[]): Buffer {
  const parts: Buffer[] = []
  const folders = new Set<string>()
  let inode = 1
  const add = (path: string, mode: number, content: Buffer) => {
    const name = Buffer.from(`${path}\0`)
    const fields = [
      inode, // c_ino
      mode, // c_mode
      0, // c_uid
      0, // c_gid
      1, // c_nlink
      0, // c_mtime
      content.length, // c_filesize
      0, // c_devmajor
      0, // c_devminor
      0, // c_rdevmajor
      0, // c_rdevminor
      name.length, // c_namesize
      0, // c_check
    ]
    inode += 1
    const header = Buffer.from(`070701${fields.map(f => f.toString(16).padStart(8, '0')).join('')}`, 'latin1')
    parts.push(header, name, padding(header.length + name.length), content, padding(content.length))
  }
  for (const { path, content, mode } of files) {
    const names = path.split('/')
    for (let i = 1; i < names.length; i += 1) {
      const above = names.slice(0, i).join('/')
      if (!folders.has(above)) add(above, folder | 0o755, Buffer.alloc(0))
      folders.add(above)
    }
    add(path, regular | mode, Buffer.from(content as string))
  }
  add('TRAILER!!!', 0, Buffer.alloc(0))
  return gzipSync(Buffer.concat(parts))
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4)
}
