import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, runWith } from './commands.ts'
import type { Network } from './network.ts'
import { place } from './place.ts'

/** A disk of a virtual machine. */
export interface VirtualDisk {
  serial: string
  /** On this machine. */
  file: string
}

/** A computer with a firmware, disks with serial numbers, a network card and a CD drive, and a chassis that switches it. */
export interface VirtualMachine {
  name: string
  address: string
  mac: string
  uuid: string
  firmware: 'bios' | 'uefi'
  disks: VirtualDisk[]
  /** Asks and orders its chassis as a BMC does: `get power`, `set boot pxe`. */
  chassis(...order: string[]): string
  /** The program that does so, for a BMC that calls it. */
  chassisFile: string
  isOn(): boolean
  /** Presses the power button, without asking a BMC. */
  press(button: 'on' | 'off'): void
  /** What it printed on its serial port so far. */
  console(): string
  /** The cable of its network. */
  link(state: 'up' | 'down'): void
  /** Bytes that it has read from its CD drive since it was switched on. */
  readFromCd(): number
  /** What its chassis was told, in order: `set power 1`. */
  orders(): string[]
}

/**
 * Makes a machine that is off. Its processor is emulated: hosts of continuous integration have no KVM that a Debian kernel
 * boots under, and offering it is not to be believed. One is quicker than two where others wait for the same cores. It tries its first disk, then the network, then its CD drive.
 */
export function makeVirtualMachine(
  network: Network,
  options: {
    name: string
    number: number
    disks: { serial: string; megabytes: number }[]
    memory?: number
    /** BIOS boots the network by iPXE in its card, UEFI (OVMF) by what it brings itself. */
    firmware?: 'bios' | 'uefi'
    /** Started at each power-on, past firmware and disks. */
    kernel?: { file: string; initrd: string; arguments: string }
  },
): VirtualMachine {
  const { name, number, firmware = 'bios' } = options
  const folder = mkdtempSync(join(place().folder, `${network.bridge}-${name}-`))
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
      '1',
      '-m',
      `${options.memory ?? 1280}`,
    ],
    ...['-nodefaults', '-display', 'none', '-serial', `file:${folder}/console`, '-uuid', uuid],
    ...['-smbios', `type=1,serial=${name.toUpperCase()}-1,uuid=${uuid}`],
    ...['-monitor', `unix:${folder}/monitor,server,nowait`],
    ...disks.flatMap(({ serial, file }, i) => [
      ...['-drive', `file=${file},if=none,id=d${i},format=raw,cache=unsafe`],
      ...['-device', `virtio-blk-pci,drive=d${i},serial=${serial}${i === 0 ? ',bootindex=1' : ''}`],
    ]),
    ...['-netdev', `tap,id=n,ifname=${tap},script=no,downscript=no`],
    ...[
      '-device',
      `virtio-net-pci,id=nic,netdev=n,mac=${mac},bootindex=2${firmware === 'uefi' ? ',romfile=' : ''}`,
    ],
    ...['-drive', 'if=none,id=cd,media=cdrom,readonly=on', '-device', 'virtio-scsi-pci'],
    ...['-device', 'scsi-cd,id=cd,drive=cd,bootindex=3'],
  ]
  if (firmware === 'uefi') {
    // Its own memory, in which the firmware keeps what it boots.
    copyFileSync('/usr/share/OVMF/OVMF_VARS_4M.fd', join(folder, 'variables'))
    const flash = 'if=pflash,format=raw'
    args.push('-machine', 'q35')
    args.push('-drive', `${flash},unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd`)
    args.push('-drive', `${flash},unit=1,file=${folder}/variables`)
  }
  const { kernel } = options
  if (kernel) args.push('-kernel', kernel.file, '-initrd', kernel.initrd, '-append', kernel.arguments)
  writeFileSync(join(folder, 'qemu.args'), args.map(arg => `${arg}\n`).join(''))
  const chassisFile = join(folder, 'chassis')
  const script = join(import.meta.dirname, 'chassis.sh')
  writeFileSync(chassisFile, `#!/bin/sh\nexec ${script} ${folder} "$@"\n`, { mode: 0o755 })
  const chassis = (...order: string[]) => run(chassisFile, ...order)
  return {
    name,
    address: network.address(number),
    mac,
    uuid,
    firmware,
    disks,
    chassis,
    chassisFile,
    press: button => void chassis('set', 'power', button === 'on' ? '1' : '0'),
    isOn: () => chassis('get', 'power').includes('power:1'),
    console: () => (existsSync(join(folder, 'console')) ? readFileSync(join(folder, 'console'), 'utf8') : ''),
    link: state => void run('ip', 'link', 'set', tap, state),
    readFromCd() {
      const ask = ['-t', '2', '-', `UNIX-CONNECT:${folder}/monitor`]
      const said = runWith({ input: 'info blockstats\n' }, 'socat', ...ask)
      return Number(/^cd: rd_bytes=(\d+)/m.exec(said)?.[1] ?? 0)
    },
    orders: () =>
      readFileSync(join(folder, 'orders'), 'utf8')
        .split('\n')
        .map(line => line.split(' ').slice(1).join(' '))
        .filter(order => order.startsWith('set')),
  }
}

/** SHA-256 of a disk's bytes, all of them. */
export function hashOf(disk: VirtualDisk): string {
  return createHash('sha256').update(readFileSync(disk.file)).digest('hex')
}
