import type { FaultJson } from '../runbook/fault.ts'
import type { Victim } from '../runbook/step.ts'
import { marks, paint, visible, wrap } from './ink.ts'
import { showVictims } from './plan.ts'
import type { Paper } from './view.ts'

type Page = Pick<Paper, 'columns' | 'colour'>

/** A device as it is drawn: a disk, a partition, or what is opened from one. */
interface Device {
  name: string
  type?: string
  mapped?: string
  sizeBytes: number
  fsType: string
  label: string
  partLabel?: string
  mountpoints: string[]
  swap: boolean
  children: Device[]
}

interface WholeDisk extends Device {
  serial: string
  wwn: string
  model: string
  transport: string
  boot: boolean
  removable: boolean
  readOnly: boolean
}

/** What is told of a host's system. */
interface SystemFacts {
  hostname: string
  access: string
  os: { name: string; variant: string }
  arch: string
  kernel: string
  kernelArguments: string
  memoryBytes: number
  uefi: boolean
  secureBoot: boolean
  kexecRefused: boolean
  tools: string[]
  rootFileSystem: string
  bootId: string
  machineSerial: string
  machineModel: string
  interfaces: { name: string; mac: string; physical: boolean; up: boolean; addresses: string[] }[]
  defaultRoute: { interface: string; via: string } | undefined
  disks: WholeDisk[]
  bootDisk: string | undefined
  iscsi: { target: string; portal: string; state: string; disks: string[] }[]
  run: { run: string } | undefined
  k0s: { version: string; role: string | undefined; running: boolean } | undefined
}

/** One host, as far as somebody looked. */
export interface ShownHost {
  host: string
  role: string
  address: string
  install: string[]
  answers: boolean
  says: string
  facts?: SystemFacts
  disk: {
    named: string
    found?: { name: string; model: string; sizeBytes: number; boot: boolean }
    refused?: FaultJson
  }
}

export interface ShownHostPlan extends ShownHost {
  victims: Victim[]
  untouched: string[]
  uses: string[]
  rungs: { name: string; says: string; refuses?: string }[]
  sources: { what: string; url: string; from: string }[]
  configRefused?: FaultJson
  lacks: string[]
  possible: boolean
}

/** Hosts as a table, one line each. */
export function showHostList(hosts: ShownHost[], page: Page): string {
  const head = ['HOST', 'ADDRESS', 'ANSWERS', 'SYSTEM', 'K0S', 'BOOTED FROM', 'DISK', 'INSTALL']
  return showTable(
    head,
    hosts.map(({ host, address, answers, facts, disk, install }) => [
      host,
      address,
      answers ? 'yes' : 'no',
      facts ? facts.os.name || '?' : '-',
      facts?.k0s
        ? `${facts.k0s.role ?? 'no role'} ${facts.k0s.version}${facts.k0s.running ? '' : ', stopped'}`.trim()
        : '-',
      facts ? (facts.bootDisk ?? 'memory') : '-',
      disk.found ? `${disk.found.name} (${disk.named})` : disk.refused ? `! ${disk.named}` : disk.named,
      install.join(', '),
    ]),
    page,
  )
}

/** Everything that one look at a host told. */
export function showHostFacts(host: ShownHost, page: Page): string {
  const ink = paint(page.colour)
  const out = [ink.bold(`${host.host} (${host.address})`)]
  const { facts } = host
  if (!facts) return `${[...out, wrap(`  ${marks.failed} ${host.says}`, page.columns, 4)].join('\n')}\n`
  const say = (what: string, value: string) => {
    if (value !== '') out.push(wrap(`  ${what.padEnd(12)} ${value}`, page.columns, 15))
  }
  say('system', `${facts.os.name}, kernel ${facts.kernel}, ${facts.arch}; / is ${facts.rootFileSystem}`)
  say(
    'seen as',
    { root: 'root', sudo: 'root, through sudo', none: 'a user without sudo: much may be hidden' }[
      facts.access
    ] ?? '',
  )
  say(
    'machine',
    [
      facts.machineModel,
      facts.machineSerial && `serial ${facts.machineSerial}`,
      `${bytes(facts.memoryBytes)} of memory`,
    ]
      .filter(Boolean)
      .join(', '),
  )
  say(
    'firmware',
    [facts.uefi ? 'UEFI' : 'BIOS', facts.secureBoot && 'Secure Boot', facts.kexecRefused && 'kexec refused']
      .filter(Boolean)
      .join(', '),
  )
  say('boot', `${facts.bootId}, from ${facts.bootDisk ? `/dev/${facts.bootDisk}` : 'memory'}`)
  say('arguments', facts.kernelArguments)
  for (const i of facts.interfaces.filter(i => i.physical || i.name === facts.defaultRoute?.interface))
    say(
      'network',
      `${i.name} ${i.mac}${i.up ? '' : ', down'} ${i.addresses.join(' ')}${facts.defaultRoute?.interface === i.name ? ` via ${facts.defaultRoute.via}` : ''}`,
    )
  if (facts.k0s)
    say(
      'k0s',
      `${facts.k0s.version || 'no program'}, ${facts.k0s.role ?? 'no unit'}${facts.k0s.running ? ', running' : ', not running'}`,
    )
  if (facts.run) say('run', `made by run ${facts.run.run}`)
  say('programs', facts.tools.join(' '))
  for (const session of facts.iscsi)
    say(
      'iSCSI',
      `${session.target} at ${session.portal}: ${session.disks.join(', ') || 'no disk'} (${session.state})`,
    )
  for (const disk of facts.disks) out.push(...diskLines(disk, host.disk.found?.name === disk.name, page))
  if (host.disk.refused) out.push(...fault(host.disk.refused, page))
  return `${out.join('\n')}\n`
}

/** What installing a host would destroy, how it would be tried, and what is missing. */
export function showHostPlan(plan: ShownHostPlan, page: Page): string {
  const ink = paint(page.colour)
  const out = [ink.bold(`${plan.host} (${plan.address})`)]
  const line = (mark: string, text: string) => out.push(wrap(`  ${mark} ${text}`, page.columns, 4))
  line(
    plan.answers ? ink.green(marks.done) : ink.red(marks.failed),
    plan.answers ? `${plan.says} answers` : plan.says,
  )
  if (plan.victims.length > 0) out.push(showVictims(plan.victims, page))
  else if (plan.disk.refused) out.push(...fault(plan.disk.refused, page))
  else
    line(
      marks.unknown,
      `the disk with ${plan.disk.named} would be wiped; what is on it is not known until something runs on ${plan.host}`,
    )
  for (const use of plan.uses) line(marks.note, `in use: ${use}`)
  if (plan.untouched.length > 0) out.push('Not touched by any way to install:')
  for (const other of plan.untouched) line(marks.note, other)
  out.push('Ways to install it, in this order:')
  for (const rung of plan.rungs)
    if (rung.refuses === undefined) line(ink.green(marks.works), `${rung.name}: ${rung.says}`)
    else line(ink.dim(marks.blocked), `${rung.name} cannot be tried now: ${rung.refuses}`)
  if (plan.sources.length > 0) out.push('What its config takes from elsewhere:')
  for (const { what, url, from } of plan.sources) line(marks.note, `${what} (${url}), ${from}`)
  if (plan.configRefused) out.push('Its config:', ...fault(plan.configRefused, page))
  if (plan.lacks.length > 0) out.push('Missing:')
  for (const lack of plan.lacks) line(marks.note, lack)
  return `${out.join('\n')}\n`
}

/** A table whose columns are as wide as they need; the last one is cut where the paper ends. */
export function showTable(head: string[], rows: string[][], page: Page): string {
  const ink = paint(page.colour)
  const widths = head.map((title, i) => Math.max(visible(title), ...rows.map(row => visible(row[i] ?? ''))))
  const text = (row: string[]) => {
    const line = row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(widths[i]! - visible(cell))))
      .join('  ')
    return visible(line) > page.columns ? `${[...line].slice(0, page.columns - 1).join('')}…` : line
  }
  return `${[ink.bold(text(head)), ...rows.map(text)].join('\n')}\n`
}

function diskLines(disk: WholeDisk, named: boolean, page: Page): string[] {
  const ink = paint(page.colour)
  const about = [
    disk.model,
    disk.serial ? `serial ${disk.serial}` : 'no serial',
    disk.wwn && `WWN ${disk.wwn}`,
    bytes(disk.sizeBytes),
    disk.transport,
    disk.removable && 'removable',
    disk.readOnly && 'write-protected',
    disk.boot && 'booted from',
  ].filter(Boolean)
  const title = `  ${named ? ink.red(marks.destroys) : ' '} /dev/${disk.name}: ${about.join(', ')}${named ? ink.red(' (the one that is named)') : ''}`
  return [wrap(title, page.columns, 6), ...deviceLines(disk.children, 6, page)]
}

function deviceLines(devices: Device[], indent: number, page: Page): string[] {
  return devices.flatMap(d => [
    wrap(
      `${' '.repeat(indent)}${d.mapped ?? d.name}  ${[d.type, bytes(d.sizeBytes), d.fsType || 'nothing recognised', d.label || d.partLabel, d.swap && 'swap in use', d.mountpoints.length > 0 && `mounted at ${d.mountpoints.join(', ')}`].filter(Boolean).join(', ')}`,
      page.columns,
      indent + 2,
    ),
    ...deviceLines(d.children, indent + 2, page),
  ])
}

function fault({ message, code, remedy }: FaultJson, page: Page): string[] {
  return [
    wrap(`  ${marks.blocked} ${message} [${code}]`, page.columns, 4),
    wrap(`    What to do: ${remedy}`, page.columns, 4),
  ]
}

/** Powers of ten, as disks are sold. */
function bytes(size: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = size
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}
