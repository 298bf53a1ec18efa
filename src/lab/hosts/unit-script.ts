import { copyUnitFiles, copyUnitSettings, isCopyUnit } from '../nodes/copy-unit.ts'
import { configInInitrd } from './firmware.ts'
import type { DiskModel, Surroundings } from './machine-state.ts'
import { words } from './shell.ts'
import { systemctl } from './systemctl.ts'

/** A line of a unit's script that waits until there is a file. */
const awaits = /^until \[ -e (\S+) \]; do sleep 0\.1; done$/m

/** The file that a unit's script waits for, if it waits for one. */
export function awaitedBy(script: string): string | undefined {
  return awaits.exec(script)?.[1]
}

/**
 * A unit's script, one simple command a line, ended by the first that fails. Undefined while a program in it is at work
 * elsewhere; `start` tells this start of the unit from every other.
 */
export function runScript(machine: Surroundings, text: string, start: string): number | undefined {
  for (const line of text.split('\n')) {
    if (line === '' || line === 'set -eu' || awaits.test(line)) continue
    const same = /^\[ "\$\(lsblk -dno (SERIAL|WWN) \/dev\/(\S+)\)" = (.+) \] \|\| exit (\d+)$/.exec(line)
    const only = /^\[ "\$\(lsblk -dno (SERIAL|WWN) \| grep -cxF (.+)\)" = 1 \] \|\| exit (\d+)$/.exec(line)
    const sum = /^echo (.+) \| sha256sum -c -(?: \|\| exit (\d+))?$/.exec(line)
    const append = /^cat (\S+) >> (\S+)$/.exec(line)
    const write = /^echo (\S+) > (\S+)$/.exec(line)
    if (same) {
      const disk = machine.state.disks.find(d => d.kernelName === same[2])
      if (!disk || nameOfDisk(disk, same[1]) !== words(same[3] ?? '')[0]) return Number(same[4])
    } else if (only) {
      const wanted = words(only[2] ?? '')[0]
      if (machine.state.disks.filter(d => nameOfDisk(d, only[1]) === wanted).length !== 1)
        return Number(only[3])
    } else if (sum) {
      const [hash, path = ''] = (words(sum[1] ?? '')[0] ?? '').split('  ')
      if (machine.state.files[path]?.sha256 !== hash) return Number(sum[2] ?? 1)
    } else if (write) {
      machine.changed(`write ${write[2]}`)
      machine.state.files[write[2] ?? ''] = { text: `${write[1]}\n`, mode: '0644' }
    } else if (append) {
      const from = machine.state.files[append[1] ?? '']
      const to = machine.state.files[append[2] ?? '']
      if (!from || !to) return 1
      machine.state.files[append[2] ?? ''] = { ...from, mode: to.mode }
    } else {
      // Of two programs, the second is for systems on which the first does not work.
      const code = program(machine, words(line.split(' || ')[0] ?? ''), start)
      if (code !== 0) return code
    }
    if (!machine.isUp()) return 1
  }
  return 0
}

/** Programs that a unit may call. */
function program(machine: Surroundings, [name, ...args]: string[], start: string): number | undefined {
  switch (name) {
    case 'exit':
      return Number(args[0] ?? 0)
    // As a shell says whether there is a program.
    case 'command':
      return machine.state.system === 'installer' ? 0 : 1
    case 'exec': {
      const script = machine.state.files[args[1] ?? '']?.text ?? ''
      return isCopyUnit(script) ? copyDisk(machine, script, start) : 127
    }
    case 'flatcar-install':
      return flatcarInstall(machine, args)
    case 'flatcar-reset':
      return flatcarReset(machine, args)
    case 'kexec': {
      const option = (start: string) => args.find(a => a.startsWith(start))?.slice(start.length) ?? ''
      const initrd = machine.state.files[option('--initrd=')]
      const ignition = initrd?.tail === undefined ? undefined : configInInitrd(initrd.tail)
      if (ignition === undefined) return 1
      machine.state.loaded = { ignition, commandLine: option('--command-line=') }
      return 0
    }
    case 'systemctl':
      return systemctl(machine, args).code
    default:
      return 127
  }
}

/** Copies one LUN to another; undefined while it is at that. */
function copyDisk(machine: Surroundings, script: string, start: string): number | undefined {
  const nodes = machine.nodes()
  if (!nodes) return 127
  const { files } = machine.state
  const { FOLDER } = copyUnitSettings(script)
  for (const name of copyUnitFiles) delete files[`${FOLDER}/${name}`]
  const { address } = machine.world
  const end = nodes.copy(start, script, { name: machine.state.name, initiator: machine.initiator(), address })
  if (end === undefined) return undefined
  machine.changed('copy a disk')
  for (const [path, text] of Object.entries(end.files)) files[path] = { text, mode: '0600' }
  return end.code
}

function flatcarReset(machine: Surroundings, args: string[]): number {
  const ignition = machine.state.files[args[args.indexOf('--ignition-file') + 1] ?? '']
  const disk = machine.state.disks.find(d => d.system === machine.state.system)
  if (!ignition || !disk || machine.blueprint.oldSystem !== 'flatcar' || machine.state.system !== 'old-os')
    return 1
  disk.resetTo = ignition.text
  return 0
}

function flatcarInstall(machine: Surroundings, args: string[]): number {
  const option = (name: string) => args[args.indexOf(name) + 1] ?? ''
  const disk = machine.state.disks.find(d => `/dev/${d.kernelName}` === option('-d'))
  const ignition = machine.state.files[option('-i')]
  const image = machine.state.files[option('-f')]
  // It cannot write over the disk that it runs from, nor a partition, nor without a config or an image.
  if (!disk || !ignition || !image || machine.state.system !== 'installer') return 1
  if (machine.world.strikes('install-lies', machine.state.name)) return 0
  disk.writes += 1
  if (machine.world.strikes('host-dies-during-install', machine.state.name)) {
    disk.system = 'half-written'
    disk.content = []
    delete disk.ignition
    delete disk.kept
    machine.powerOff()
    return 1
  }
  disk.system = 'flatcar'
  disk.ignition = ignition.text
  delete disk.kept
  disk.content = [
    { partition: `${disk.kernelName}p6`, fsType: 'btrfs', label: 'OEM' },
    { partition: `${disk.kernelName}p9`, fsType: 'ext4', label: 'ROOT' },
  ]
  return 0
}

function nameOfDisk(disk: DiskModel, column: string | undefined): string {
  return column === 'WWN' ? disk.wwn : disk.serial
}
