import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const mac = '52:54:00:aa:bb:01'
export const redfish = {
  redfish: 'https://192.0.2.112',
  fingerprint: `sha256:${'0'.repeat(64)}`,
  credentials: 'bmc',
}

/**
 * Gives the host hydrogen of an example home other ways to be installed, with all that they need: a MAC address, an
 * installer, an address for network boot.
 * @param recoverYaml the home's cluster file
 * @param more fields of the host
 */
export function ladderAt(recoverYaml: string, install: string, more: Record<string, unknown> = {}): void {
  const home = join(recoverYaml, '..')
  const file = (name: string, text: string | Buffer) => {
    mkdirSync(join(home, 'installer'), { recursive: true })
    writeFileSync(join(home, 'installer', name), text)
    return { file: `installer/${name}`, sha256: createHash('sha256').update(text).digest('hex') }
  }
  const fields = Object.entries({ mac, ...more }).map(([k, v]) => `\n    ${k}: ${JSON.stringify(v)}`)
  const text = readFileSync(recoverYaml, 'utf8').replace(
    /install: \[by-hand\]/,
    `install: [${install}]${fields.join('')}`,
  )
  const installer = {
    kernel: file('vmlinuz', 'a kernel'),
    initrd: file('initrd.gz', 'an initrd'),
    iso: file(
      'installer.iso',
      smallCd('label flatcar\n  kernel /flatcar/vmlinuz\n  append initrd=/flatcar/cpio.gz\n'),
    ),
    arguments: 'console=ttyS0',
  }
  const netboot = { address: '127.0.0.1' }
  writeFileSync(
    recoverYaml,
    `${text}\ninstaller: ${JSON.stringify(installer)}\nnetboot: ${JSON.stringify(netboot)}\n`,
  )
}

/** The smallest CD that has a boot loader's config in it: one volume descriptor, one folder, one file. */
export function smallCd(config: string): Buffer {
  const sector = 2048
  const image = Buffer.alloc(24 * sector)
  const both = (at: number, value: number) => {
    image.writeUInt32LE(value, at)
    image.writeUInt32BE(value, at + 4)
  }
  const entry = (at: number, name: string, extent: number, size: number, folder: boolean) => {
    const length = 33 + name.length + (name.length % 2 === 0 ? 1 : 0)
    image[at] = length
    both(at + 2, extent)
    both(at + 10, size)
    image[at + 25] = folder ? 2 : 0
    image[at + 32] = name.length
    image.write(name, at + 33, 'latin1')
    return at + length
  }
  image[16 * sector] = 1
  image.write('CD001', 16 * sector + 1, 'latin1')
  entry(16 * sector + 156, '\0', 20, sector, true)
  image[17 * sector] = 255
  image.write('CD001', 17 * sector + 1, 'latin1')
  const root = entry(entry(20 * sector, '\0', 20, sector, true), '\x01', 20, sector, true)
  entry(root, 'ISOLINUX', 21, sector, true)
  const folder = entry(entry(21 * sector, '\0', 21, sector, true), '\x01', 20, sector, true)
  entry(folder, 'ISOLINUX.CFG;1', 22, config.length, false)
  image.write(config, 22 * sector, 'latin1')
  return image
}
