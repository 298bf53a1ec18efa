import { gunzipSync } from 'node:zlib'
import { request } from 'undici'
import type { World } from '../world.ts'

/** What a kernel was booted with: its command line, and the config that Ignition found. */
export interface Given {
  commandLine: string
  ignition: string | undefined
}

/** Where DHCP sends machines that boot from the network: MAC address to the address of an iPXE script. */
export type Offers = Record<string, string>

/**
 * Boots from the network as iPXE does after DHCP: fetches the script, the kernel, every initrd, and then as Ignition does
 * its config. Nothing when nobody offers, the script says `exit`, or anything fails.
 *
 * There is no DHCP in a lab: it needs root and a network of its own. What dnsmasq would answer is told to the world
 * instead; everything from the script on is fetched in earnest.
 */
export async function bootFromNetwork(world: World, mac: string): Promise<Given | undefined> {
  const script = world.read<Offers>('offers')?.[mac]
  if (script === undefined) return undefined
  const text = (await fetched(script)).toString()
  if (!text.startsWith('#!ipxe')) return undefined
  let commandLine: string | undefined
  let tail: Buffer | undefined
  for (const line of text.split('\n').slice(1)) {
    const [command, ...args] = line.trim().split(/\s+/)
    if (command === 'exit' || command === 'sanboot') return undefined
    if (command === 'kernel') {
      await fetched(args[0] ?? '')
      commandLine = args.slice(1).join(' ')
    }
    if (command === 'initrd') tail = await fetched(args.at(-1) ?? '')
    if (command === 'boot') break
  }
  return commandLine === undefined ? undefined : given(commandLine, tail)
}

/**
 * Boots an image from the virtual drive, which the BMC fetches. A boot loader's line is found in it by its look; the
 * lab has no file system of CDs.
 */
export async function bootFromMedia(url: string): Promise<Given | undefined> {
  const image = await fetched(url, Number.POSITIVE_INFINITY)
  const line = /^\s*(?:append|linux\s+\S+)\s+(.*recover\.run=.*)$/m.exec(image.toString('latin1'))?.[1]
  return given(line?.trim() ?? '', undefined)
}

async function given(commandLine: string, initrd: Buffer | undefined): Promise<Given | undefined> {
  const url = /(?:^|\s)ignition\.config\.url=(\S+)/.exec(commandLine)?.[1]
  if (url !== undefined) return { commandLine, ignition: (await fetched(url)).toString() }
  return { commandLine, ignition: initrd && configInInitrd(initrd.toString('base64')) }
}

/** The config in a cpio archive that was appended to an initrd, as Flatcar finds it in its OEM folder. */
export function configInInitrd(tail: string): string | undefined {
  const bytes = Buffer.from(tail, 'base64')
  for (let at = bytes.length - 4; at >= 0; at -= 1) {
    // A gzip member begins with these three bytes.
    if (bytes.readUIntBE(at, 3) !== 0x1f8b08) continue
    try {
      const found = fileInCpio(gunzipSync(bytes.subarray(at)), 'usr/share/oem/config.ign')
      if (found !== undefined) return found
    } catch {
      // It only looked like one.
    }
  }
  return undefined
}

/** Reads one file of a newc archive. */
function fileInCpio(archive: Buffer, wanted: string): string | undefined {
  for (let at = 0; archive.toString('latin1', at, at + 6) === '070701'; ) {
    const field = (i: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + i * 8, at + 14 + i * 8), 16)
    const size = field(6)
    const nameSize = field(11)
    const name = archive.toString('utf8', at + 110, at + 110 + nameSize - 1)
    const data = (at + 110 + nameSize + 3) & ~3
    if (name === wanted) return archive.toString('utf8', data, data + size)
    at = (data + size + 3) & ~3
  }
  return undefined
}

/** The last part of what an address answers; throws for anything but 200. */
async function fetched(url: string, kept = 256 * 1024): Promise<Buffer> {
  // Firmware tries for minutes; whoever serves may be a busy process.
  const { statusCode, body } = await request(url, { headersTimeout: 60_000, bodyTimeout: 60_000 })
  let bytes = Buffer.alloc(0)
  for await (const chunk of body) {
    bytes = Buffer.concat([bytes, chunk as Buffer])
    if (bytes.length > kept) bytes = bytes.subarray(-kept)
  }
  if (statusCode !== 200) throw new Error(`${url} answers ${statusCode}`)
  return bytes
}
