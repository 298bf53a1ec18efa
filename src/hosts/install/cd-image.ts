import { open } from 'node:fs/promises'
import { Fault } from '../../runbook/fault.ts'
import type { Patch } from '../netboot/patch.ts'

const sector = 2048

/** One entry of a directory of a CD (ECMA-119, 9.1). */
interface Entry {
  /** Where the entry itself lies. */
  at: number
  name: string
  /** First sector of what it names. */
  extent: number
  size: number
  folder: boolean
}

/**
 * What has to be changed in a CD image so that its boot loader hands more arguments to the kernel: the lines of
 * ISOLINUX's, SYSLINUX's and GRUB's configs that start Linux. A file on a CD fills its last sector with nothing, so it can
 * grow into that without anything moving. Fault `cd-not-understood` where there is no such line or no room.
 */
export async function argumentsIntoCd(file: string, more: string): Promise<Patch[]> {
  const handle = await open(file, 'r')
  try {
    const read = async (offset: number, length: number) => {
      const bytes = Buffer.alloc(length)
      const { bytesRead } = await handle.read(bytes, 0, length, offset)
      return bytes.subarray(0, bytesRead)
    }
    const configs = new Map<number, { size: number; entries: number[] }>()
    // Volume descriptors begin at sector 16: one for plain names, one for Joliet's, which name the same files.
    for (let i = 16; i < 32; i += 1) {
      const descriptor = await read(i * sector, sector)
      const type = descriptor[0]
      if (descriptor.toString('latin1', 1, 6) !== 'CD001' || type === 255) break
      if (type !== 1 && type !== 2) continue
      const joliet = type === 2
      const folders = [{ extent: descriptor.readUInt32LE(156 + 2), size: descriptor.readUInt32LE(156 + 10) }]
      const seen = new Set<number>()
      for (let folder = folders.pop(); folder; folder = folders.pop()) {
        if (seen.has(folder.extent) || folder.size > 16 * 2 ** 20) continue
        seen.add(folder.extent)
        const bytes = await read(folder.extent * sector, folder.size)
        for (const entry of entriesOf(bytes, folder.extent * sector, joliet)) {
          if (entry.folder) folders.push(entry)
          else if (
            /^(?:(?:isolinux|syslinux|grub)\.cfg|txt\.cfg)$/i.test(entry.name) &&
            entry.size < 2 ** 20
          ) {
            const known = configs.get(entry.extent)
            configs.set(entry.extent, { size: entry.size, entries: [...(known?.entries ?? []), entry.at] })
          }
        }
      }
    }
    const patches: Patch[] = []
    for (const [extent, { size, entries }] of configs) {
      const before = (await read(extent * sector, size)).toString('latin1')
      const after = before.replaceAll(
        /^([ \t]*(?:append|linux|linuxefi|linux16)[ \t][^\r\n]*)/gim,
        `$1 ${more}`,
      )
      if (after === before) continue
      const room = Math.ceil(size / sector) * sector
      if (after.length > room) throw notUnderstood(file, `there is no room in its boot loader's config`)
      patches.push({ offset: extent * sector, bytes: Buffer.from(after.padEnd(room, '\0'), 'latin1') })
      for (const at of entries) {
        // The size stands there twice, in both byte orders.
        const both = Buffer.alloc(8)
        both.writeUInt32LE(after.length, 0)
        both.writeUInt32BE(after.length, 4)
        patches.push({ offset: at + 10, bytes: both })
      }
    }
    if (patches.length === 0) throw notUnderstood(file, 'no ISOLINUX or GRUB config starts Linux in it')
    return patches.toSorted((a, b) => a.offset - b.offset)
  } finally {
    await handle.close()
  }
}

function* entriesOf(bytes: Buffer, offset: number, joliet: boolean): Generator<Entry> {
  for (let at = 0; at + 33 < bytes.length; ) {
    const length = bytes[at] ?? 0
    if (length === 0) {
      // Entries do not cross sectors; what is left of one is empty.
      at = (Math.floor(at / sector) + 1) * sector
      continue
    }
    const nameLength = bytes[at + 32] ?? 0
    const raw = bytes.subarray(at + 33, at + 33 + nameLength)
    // The first two entries are the folder itself and the one above.
    if (nameLength > 1 || (raw[0] ?? 0) > 1)
      yield {
        at: offset + at,
        name: (joliet ? Buffer.from(raw).swap16().toString('utf16le') : raw.toString('latin1'))
          .replace(/;\d+$/, '')
          .replace(/\.$/, ''),
        extent: bytes.readUInt32LE(at + 2),
        size: bytes.readUInt32LE(at + 10),
        folder: ((bytes[at + 25] ?? 0) & 2) !== 0,
      }
    at += length
  }
}

function notUnderstood(file: string, why: string): Fault {
  return new Fault({
    code: 'cd-not-understood',
    blame: 'operator',
    message: `this run cannot make the CD image ${file} its own: ${why}`,
    remedy:
      'Use the CD image that Flatcar publishes (installer.iso in recover.yaml), or choose another way to install',
  })
}
