import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bmc, startBmc } from './bmc.ts'
import { run } from './commands.ts'
import type { Network } from './network.ts'
import { place } from './place.ts'

/** A disk of a virtual machine. */
export interface VirtualDisk {
  serial: string
  /** On this machine. */
  file: string
}

/** A computer with BIOS, disks with serial numbers, a network card that boots by iPXE, and a BMC that switches it. */
export interface VirtualMachine {
  name: string
  address: string
  mac: string
  uuid: string
  disks: VirtualDisk[]
  bmc: Bmc
  isOn(): boolean
  /** Presses the power button, without asking the BMC. */
  press(button: 'on' | 'off'): void
  /** What it printed on its serial port so far. */
  console(): string
  /** The cable of its network. */
  link(state: 'up' | 'down'): void
  /** What the BMC was told, in order: `set power 1`. */
  orders(): string[]
  close(): Promise<void>
}

/**
 * Makes a machine that is off. Its processor is emulated: hosts of continuous integration have no KVM that a Debian kernel
 * boots under, and offering it is not to be believed.
 */
export async function makeVirtualMachine(
  network: Network,
  options: {
    name: string
    number: number
    disks: { serial: string; megabytes: number }[]
    memory?: number
    /** Started at each power-on, past firmware and disks. */
    kernel?: { file: string; initrd: string; arguments: string }
  },
): Promise<VirtualMachine> {
  const { name, number } = options
  const folder = join(place().folder, `${network.bridge}-${name}`)
  mkdirSync(folder)
  const mac = `52:54:00:77:01:${number.toString(16).padStart(2, '0')}`
  const uuid = `00000000-0000-4000-8000-${mac.replaceAll(':', '')}`
  const tap = network.tap(name)
  const disks = options.disks.map(({ serial, megabytes }, i) => {
    const file = join(folder, `disk${i}`)
    writeFileSync(file, '')
    truncateSync(file, megabytes * 2 ** 20)
    return { serial, file }
  })
  const args: string[] = [
    ...[
      '-name',
      name,
      '-accel',
      'tcg,thread=multi,tb-size=128',
      '-smp',
      '2',
      '-m',
      `${options.memory ?? 1280}`,
    ],
    ...['-nodefaults', '-display', 'none', '-serial', `file:${folder}/console`, '-uuid', uuid],
    ...['-smbios', `type=1,serial=${name.toUpperCase()}-1,uuid=${uuid}`],
    ...disks.flatMap(({ serial, file }, i) => [
      ...['-drive', `file=${file},if=none,id=d${i},format=raw,cache=unsafe`],
      ...['-device', `virtio-blk-pci,drive=d${i},serial=${serial}`],
    ]),
    ...['-netdev', `tap,id=n,ifname=${tap},script=no,downscript=no`],
    ...['-device', `virtio-net-pci,netdev=n,mac=${mac}`],
  ]
  const { kernel } = options
  if (kernel) args.push('-kernel', kernel.file, '-initrd', kernel.initrd, '-append', kernel.arguments)
  writeFileSync(join(folder, 'qemu.args'), args.map(arg => `${arg}\n`).join(''))
  const bmc = await startBmc(network, 100 + number, folder, uuid)
  return {
    name,
    address: network.address(number),
    mac,
    uuid,
    disks,
    bmc,
    press: button => void run(join(folder, 'chassis'), 'set', 'power', button === 'on' ? '1' : '0'),
    isOn: () => /power:1/.test(run(join(folder, 'chassis'), 'get', 'power')),
    console: () => (existsSync(join(folder, 'console')) ? readFileSync(join(folder, 'console'), 'utf8') : ''),
    link: state => void run('ip', 'link', 'set', tap, state),
    orders: () =>
      readFileSync(join(folder, 'orders'), 'utf8')
        .split('\n')
        .map(line => line.split(' ').slice(1).join(' '))
        .filter(order => order.startsWith('set')),
    close: () => bmc.close(),
  }
}

/** SHA-256 of a disk's bytes, all of them. */
export function hashOf(disk: VirtualDisk): string {
  return createHash('sha256').update(readFileSync(disk.file)).digest('hex')
}
