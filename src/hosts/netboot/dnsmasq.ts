import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { Fault } from '../../runbook/fault.ts'

/** A machine that is to be answered, and where its iPXE script lies. */
export interface AnsweredMachine {
  mac: string
  script: string
}

/** Whoever tells machines that boot from the network where to go on. */
export interface DhcpAnswers {
  /** Why it cannot work on this computer, with what to do about it; undefined when it can. */
  lacks(): string | undefined
  /** From now on answers exactly these; none ends it. */
  answer(machines: AnsweredMachine[]): Promise<void>
  /** Ends what a process of this run that was killed has left. */
  forget(): Promise<void>
}

export interface DnsmasqOptions {
  /** Address of this computer as the machines see it. */
  address: string
  /** Network interface; the one with that address when absent. */
  interface?: string | undefined
  /** Where its config, its boot loaders and its process id lie: a folder of the run, 0700. */
  folder: string
  /**
   * `proxy`: answers beside the network's own DHCP server and gives no addresses. A range (`10.0.0.50,10.0.0.99`) makes it
   * the network's only DHCP server, for networks of one's own.
   */
  mode?: 'proxy' | { range: string }
  /** The program; found on the path by default. */
  program?: string
  /** Folders in which iPXE's loaders are looked for, before the usual ones. */
  loaders?: string[]
}

/** iPXE's first stage for each firmware, as packages of Debian, Fedora and Arch name them. */
const loaders = [
  { name: 'undionly.kpxe', files: ['undionly.kpxe', 'i386/undionly.kpxe'] },
  { name: 'ipxe.efi', files: ['ipxe.efi', 'ipxe-x86_64.efi', 'x86_64/ipxe.efi', 'snponly.efi'] },
  { name: 'ipxe-arm64.efi', files: ['ipxe-arm64.efi', 'arm64-efi/ipxe.efi', 'ipxe-snponly-aarch64.efi'] },
] as const
const loaderFolders = ['/usr/lib/ipxe', '/usr/share/ipxe', '/usr/local/share/ipxe', '/boot']

/** DHCP and TFTP by dnsmasq, as a child process that answers the machines that are armed and nobody else. */
export function answersByDnsmasq(options: DnsmasqOptions): DhcpAnswers {
  const { folder } = options
  const note = join(folder, 'dnsmasq.json')
  let child: ChildProcess | undefined
  const end = async () => {
    const ended = child
    child = undefined
    if (ended && ended.exitCode === null && ended.signalCode === null) {
      const gone = new Promise(resolve => ended.once('exit', resolve))
      ended.kill('SIGTERM')
      const hard = setTimeout(() => ended.kill('SIGKILL'), 3_000)
      await gone
      clearTimeout(hard)
    }
    await rm(note, { force: true })
  }
  return {
    lacks() {
      if (interfaceOf(options) === undefined)
        return `no network interface of this computer has the address ${options.address} (netboot.address)`
      if (programOf(options) === undefined)
        return 'dnsmasq is not installed on this computer (Debian: apt-get install dnsmasq-base)'
      if (loadersOf(options).length === 0)
        return 'iPXE is not installed on this computer (Debian: apt-get install ipxe)'
      if (process.getuid?.() !== 0)
        return 'answering DHCP needs root: run recover with sudo -E, or choose another way'
      return undefined
    },
    async answer(machines) {
      await end()
      if (machines.length === 0) return
      const found = interfaceOf(options)
      const program = programOf(options)
      if (found === undefined || program === undefined)
        throw broken(this.lacks() ?? 'dnsmasq cannot be used here')
      const root = join(folder, 'tftp')
      await mkdir(root, { recursive: true, mode: 0o700 })
      const there = loadersOf(options)
      for (const { name, file } of there) await copyFile(file, join(root, name))
      const config = join(folder, 'dnsmasq.conf')
      const names = there.map(l => l.name)
      await writeFile(config, dnsmasqConfig(options, found, names, machines), { mode: 0o600 })
      const started = spawn(program, ['--keep-in-foreground', `--conf-file=${config}`], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env.PATH ?? '' },
      })
      child = started
      let said = ''
      const listen = (chunk: Buffer) => {
        said = `${said}${chunk}`.slice(-4_000)
      }
      started.stdout.on('data', listen)
      started.stderr.on('data', listen)
      const failed = new Promise<string>(resolve => {
        started.once('error', error => resolve(error.message))
        started.once('exit', code => resolve(`exit ${code}: ${said.trim().split('\n').at(-1) ?? ''}`))
      })
      if (started.pid !== undefined)
        await writeFile(note, JSON.stringify({ pid: started.pid, start: await startOf(started.pid) }), {
          mode: 0o600,
        })
      // It binds its sockets first and says "started" then; one that cannot ends at once.
      const up = new Promise<undefined>(resolve => {
        const look = setInterval(() => {
          if (!/DHCP/.test(said)) return
          clearInterval(look)
          resolve(undefined)
        }, 20)
        setTimeout(() => {
          clearInterval(look)
          resolve(undefined)
        }, 3_000)
      })
      const why = await Promise.race([failed, up])
      if (why !== undefined) {
        child = undefined
        await rm(note, { force: true })
        throw broken(`dnsmasq ended at once (${why})`)
      }
    },
    async forget() {
      await end()
      let left: { pid: number; start: string }
      try {
        left = JSON.parse(await readFile(note, 'utf8')) as typeof left
      } catch {
        return
      }
      // The number may belong to somebody else by now; only the moment at which it started tells.
      if (left.start !== '' && (await startOf(left.pid)) === left.start) process.kill(left.pid, 'SIGKILL')
      await rm(note, { force: true })
    },
  }
}

/** The config for dnsmasq: no DNS, no machine but those named, iPXE's loader first and then the machine's own script. */
export function dnsmasqConfig(
  { address, mode = 'proxy', folder }: DnsmasqOptions,
  network: { name: string; netmask: string },
  there: readonly string[],
  machines: AnsweredMachine[],
): string {
  const efi = there.includes('ipxe.efi')
  const bios = there.includes('undionly.kpxe')
  const arm = there.includes('ipxe-arm64.efi')
  const firmwares = [
    ...(bios ? [{ csa: 'x86PC', arch: 0, loader: 'undionly.kpxe' }] : []),
    // Which of the two numbers stands for 64-bit x86 was never agreed on.
    ...(efi
      ? [
          { csa: 'BC_EFI', arch: 7, loader: 'ipxe.efi' },
          { csa: 'x86-64_EFI', arch: 9, loader: 'ipxe.efi' },
        ]
      : []),
    ...(arm ? [{ csa: 'ARM64_EFI', arch: 11, loader: 'ipxe-arm64.efi' }] : []),
  ]
  const lines = [
    'port=0',
    `interface=${network.name}`,
    'bind-interfaces',
    'no-hosts',
    'no-resolv',
    'no-ping',
    // The folder is for us alone; dnsmasq would otherwise become a user who cannot read it.
    'user=root',
    'group=root',
    `pid-file=`,
    `dhcp-leasefile=${join(folder, 'leases')}`,
    'log-dhcp',
    'log-facility=-',
    'enable-tftp',
    `tftp-root=${join(folder, 'tftp')}`,
    'dhcp-match=set:ipxe,175',
    ...firmwares.map(f => `dhcp-match=set:arch${f.arch},option:client-arch,${f.arch}`),
    ...machines.map((m, i) => `dhcp-host=${m.mac},set:machine${i}`),
    // Nobody but the machines named above is answered.
    'dhcp-ignore=tag:!known',
  ]
  if (mode === 'proxy')
    return [
      ...lines,
      `dhcp-range=${address},proxy,${network.netmask}`,
      ...firmwares.map(f => `pxe-service=tag:!ipxe,${f.csa},"recover",${f.loader}`),
      ...machines.flatMap((m, i) =>
        [...new Set(['x86PC', 'BC_EFI', 'x86-64_EFI', 'ARM64_EFI'])].map(
          csa => `pxe-service=tag:ipxe,tag:machine${i},${csa},"recover",${m.script}`,
        ),
      ),
      '',
    ].join('\n')
  return [
    ...lines,
    `dhcp-range=${mode.range},${network.netmask},1h`,
    ...firmwares.map(f => `dhcp-boot=tag:!ipxe,tag:arch${f.arch},${f.loader}`),
    ...machines.map((m, i) => `dhcp-boot=tag:ipxe,tag:machine${i},${m.script}`),
    '',
  ].join('\n')
}

function interfaceOf(options: DnsmasqOptions): { name: string; netmask: string } | undefined {
  for (const [name, addresses] of Object.entries(networkInterfaces()))
    for (const { address, netmask } of addresses ?? [])
      if (address === options.address && (options.interface === undefined || options.interface === name))
        return { name, netmask }
  return undefined
}

function programOf({ program }: DnsmasqOptions): string | undefined {
  if (program !== undefined) return existsSync(program) ? program : undefined
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin', '/sbin']
  return folders.map(f => join(f, 'dnsmasq')).find(existsSync)
}

function loadersOf(options: DnsmasqOptions): { name: string; file: string }[] {
  const folders = [...(options.loaders ?? []), ...loaderFolders]
  return loaders.flatMap(({ name, files }) => {
    const file = folders.flatMap(folder => files.map(f => join(folder, f))).find(existsSync)
    return file === undefined ? [] : [{ name, file }]
  })
}

/** When a process was started, in clock ticks since the boot; empty for one that is gone. */
async function startOf(pid: number): Promise<string> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold anything; fields are counted behind it.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? '' : (fields[19] ?? '')
  } catch {
    return ''
  }
}

function broken(why: string): Fault {
  return new Fault({
    code: 'dnsmasq-broken',
    blame: 'operator',
    message: `no DHCP answers for machines that boot from the network: ${why}`,
    remedy:
      'See whether another DHCP or TFTP server holds the ports 67, 69 and 4011 on this computer, or choose another way to install',
  })
}
