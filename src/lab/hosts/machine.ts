import { dataScript, fetchScript } from '../../hosts/data-script.ts'
import { factScript, factShell } from '../../hosts/fact-script.ts'
import { k0sScript } from '../../hosts/k0s-script.ts'
import { mintHostKey } from '../../hosts/keys.ts'
import { lockShell } from '../../hosts/lock-script.ts'
import { putShell } from '../../hosts/put-script.ts'
import type { DiskBlueprint, HostBlueprint } from '../blueprint.ts'
import { type ApiSeam, type BootTarget, killsItsCaller, type NasSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { machineFacts } from './facts.ts'
import { bootFromMedia, bootFromNetwork, configInInitrd, type Given } from './firmware.ts'
import { runHostCopy } from './host-copy.ts'
import { filesOf } from './ignition-files.ts'
import { type Input, inputOf } from './input.ts'
import { type K0sSurroundings, k0s, startK0s } from './k0s.ts'
import { machineK0s } from './k0s-report.ts'
import { type Kept, keepOnDisk, keptOnDisk } from './kept.ts'
import { fetchedFiles, machineData } from './local-data.ts'
import { deniedTo } from './permissions.ts'
import { words } from './shell.ts'

export type System = 'old-os' | 'installer' | 'flatcar'

/** Everything that a machine remembers. Times are epoch milliseconds of the lab's own clock. */
export interface MachineState {
  name: string
  /** `firmware`: it is on and looks for something to boot; `hung`: it is on and answers nobody. */
  system: System | 'off' | 'firmware' | 'hung'
  /** Command line of the running kernel. */
  commandLine?: string
  /** Config of the installer that runs, if it was given one. */
  given?: string
  /** What the next boot, and only that, comes from. */
  bootOverride?: BootTarget
  /** Address of the image in the virtual drive. */
  media?: string
  /** What `kexec -l` has loaded. */
  loaded?: Given
  /** Not reachable before: it boots. */
  upAt: number
  bootId: string
  /** Host key of the running system, OpenSSH private format. */
  hostKey: string
  files: Record<string, FileModel>
  units: Record<string, UnitModel>
  disks: DiskModel[]
}

export interface FileModel {
  /** Its text; the last part of it where it is long. */
  text: string
  mode: string
  /** root, where nothing is said. */
  owner?: 'core'
  /** Of all of it. */
  sha256?: string
  bytes?: number
  /** Its last part in base64, where it is not text. */
  tail?: string
}

export interface DiskModel extends DiskBlueprint {
  /** What would boot from it. */
  system?: 'old-os' | 'flatcar' | 'half-written'
  /** The config that the installer put on it. */
  ignition?: string
  /** `flatcar-reset` has marked it: the next boot begins anew with that config. */
  resetTo?: string
  /** What the system on it has written since it was made. */
  kept?: Kept
  /** How often it was written whole. */
  writes: number
}

export interface UnitModel {
  active: string
  result: string
  exitCode: number
  endsAt?: number
  script?: string
}

export interface Output {
  code: number
  stdout: string
  stderr: string
  /** The line drops after this answer, or instead of it. */
  drops?: boolean
  /** How long it takes until the answer is there; `never` as from a machine that vanishes without a word. */
  takesMs?: number | 'never'
  /** Address of what is to be printed. */
  fetches?: string
}

/** A line of a unit's script that waits until there is a file. */
const awaits = /^until \[ -e (\S+) \]; do sleep 0\.1; done$/m

/** One emulated machine: what it is, and the small vocabulary of commands that it understands. */
export class Machine {
  readonly state: MachineState
  private readonly world: World
  private readonly blueprint: HostBlueprint
  private readonly nas: () => NasSeam | undefined
  private readonly save: () => void
  private readonly api: () => ApiSeam | undefined
  /** Counts boots, so that a slow one is not taken for a later one. */
  private turn = 0

  constructor(
    world: World,
    blueprint: HostBlueprint,
    stored: MachineState | undefined,
    nas: () => NasSeam | undefined,
    save: () => void,
    api: () => ApiSeam | undefined = () => undefined,
  ) {
    this.world = world
    this.blueprint = blueprint
    this.nas = nas
    this.save = save
    this.api = api
    this.state = stored ?? {
      name: blueprint.name,
      system: 'off',
      upAt: 0,
      bootId: '',
      hostKey: '',
      files: {},
      units: {},
      disks: blueprint.disks.map((d, i) => ({
        ...d,
        writes: 0,
        ...(i === 0 ? { system: 'old-os' as const } : {}),
      })),
    }
    const { begins } = blueprint
    if (!stored && begins === 'hung') this.hang()
    else if (!stored && begins !== 'off' && begins !== 'hung') this.start(begins)
    // The lab ended while the firmware was at work: it begins again.
    else if (this.state.system === 'firmware') this.boot()
  }

  /** Whether a connection would get through to a running sshd now. */
  reachable(): boolean {
    this.settle()
    return this.isUp() && Date.now() >= this.state.upAt
  }

  /** Whether the power is on, whatever runs. */
  on(): boolean {
    return this.state.system !== 'off'
  }

  /** Somebody presses the button of a machine that is off. */
  powerOn(): void {
    if (!this.on()) this.boot()
  }

  /** Off and on again, whatever runs. */
  restart(): void {
    this.powerOff()
    this.boot()
  }

  /** Orders where the next boot comes from; undefined takes it back. */
  setBootOverride(target: BootTarget | undefined): void {
    if (target === undefined) delete this.state.bootOverride
    else this.state.bootOverride = target
    this.changed(`boot next from ${target ?? 'the usual place'}`)
    this.save()
  }

  /** Puts an image into the virtual drive; undefined takes it out. Throws an Error where the drive refuses it. */
  setMedia(url: string | undefined): void {
    if (url !== undefined && this.world.suffers('media-refused', this.state.name))
      throw new Error('the virtual drive cannot be used: no license')
    if (url === undefined) delete this.state.media
    else this.state.media = url
    this.changed(url === undefined ? 'eject media' : 'insert media')
    this.save()
  }

  /** It stays on, and nothing answers any more. */
  hang(): void {
    this.leave()
    this.state.system = 'hung'
    this.save()
  }

  /** A person puts in the stick and presses the button. */
  insertStick(): void {
    this.start('installer')
    this.save()
  }

  powerOff(): void {
    this.leave()
    if (!this.world.suffers('zombie-host', this.state.name)) this.nas()?.dropSessions(this.initiator())
    this.state.system = 'off'
    this.save()
  }

  /** The firmware looks for something to boot: what was ordered for this once, or the disk. */
  boot(): void {
    const { state, world } = this
    const ordered = state.bootOverride
    delete state.bootOverride
    const once = ordered && !world.strikes('bmc-ignores-boot-once', state.name) ? ordered : undefined
    if (once === 'pxe' || (once === undefined && world.suffers('network-boots-first', state.name)))
      this.bootFrom(bootFromNetwork(world, this.blueprint.mac))
    else if (once === 'cd' && state.media !== undefined) this.bootFrom(bootFromMedia(state.media))
    else this.bootDisk()
  }

  /** Boots what comes, or else the disk, unless something else happened to the machine meanwhile. */
  private bootFrom(source: Promise<Given | undefined>): void {
    this.leave()
    if (this.state.system === 'old-os') this.nas()?.dropSessions(this.blueprint.oldInitiator)
    this.state.system = 'firmware'
    const { turn } = this
    this.save()
    const next = (given: Given | undefined) => {
      if (turn !== this.turn) return
      if (given) this.start('installer', given)
      else this.bootDisk()
      this.save()
    }
    source.then(next, () => next(undefined))
  }

  /** Boots what the first disk holds. */
  private bootDisk(): void {
    const disk = this.state.disks.find(d => d.system === 'flatcar' || d.system === 'old-os')
    const lies =
      (disk?.system === 'flatcar' || disk?.resetTo !== undefined) &&
      this.world.strikes('old-os-returns', this.state.name)
    if (disk?.resetTo !== undefined && !lies) {
      disk.system = 'flatcar'
      disk.ignition = disk.resetTo
      delete disk.kept
      disk.writes += 1
    }
    delete disk?.resetTo
    const returns = lies ? 'old-os' : disk?.system
    if (returns === undefined || returns === 'half-written') this.powerOff()
    else this.start(returns, { ignition: disk?.ignition, commandLine: 'root=LABEL=ROOT' })
    this.save()
  }

  /** What ran is gone; what was under way for an earlier boot is not waited for any more. */
  private leave(): void {
    keepOnDisk(this.state)
    this.turn += 1
    delete this.state.loaded
    delete this.state.given
  }

  private isUp(): boolean {
    return ['old-os', 'installer', 'flatcar'].includes(this.state.system)
  }

  /** Another disk in the first one's place; what is not named stays as it was. `label` is of its last file system. */
  swapDisk(serial: string | undefined, other: { wwn?: string; model?: string; label?: string } = {}): void {
    const [first] = this.state.disks
    if (!first) return
    const { label, ...identity } = other
    Object.assign(first, identity, serial === undefined ? {} : { serial })
    const written = first.content.at(-1)
    if (label !== undefined && written) written.label = label
    this.save()
  }

  initiator(): string {
    return this.state.system === 'old-os'
      ? this.blueprint.oldInitiator
      : `iqn.2016-04.com.open-iscsi:${this.world.uuidFor(`${this.state.name}-initiator`).slice(0, 12)}`
  }

  /** Whether this system lets in the person who holds the lab's key. */
  hasLogin(): boolean {
    if (this.state.system !== 'flatcar') return this.state.given === undefined
    return this.authorizedKeys().length > 0
  }

  /** Keys that the config of this system lets in. */
  authorizedKeys(): string[] {
    const { system, given, disks } = this.state
    const config = system === 'installer' ? given : disks.find(d => d.system === 'flatcar')?.ignition
    if (config === undefined || system === 'old-os') return []
    const { passwd } = JSON.parse(config) as { passwd?: { users?: { sshAuthorizedKeys?: string[] }[] } }
    return (passwd?.users ?? []).flatMap(u => u.sshAuthorizedKeys ?? [])
  }

  /** Whether the system that its last config describes is up, with the host key from that config. */
  runsWhatItWasGiven(): boolean {
    const given = this.state.files['/etc/ssh/ssh_host_ed25519_key']?.text
    return this.state.system === 'flatcar' && given !== undefined && given === this.state.hostKey
  }

  /** Runs one command line as the user `core`. */
  run(line: string, stdin: string | Input): Output {
    this.settle()
    const input = typeof stdin === 'string' ? inputOf(Buffer.from(stdin)) : stdin
    let argv: string[]
    let root = false
    try {
      argv = words(line)
    } catch {
      return failed(2, 'sh: syntax error: unterminated quoted string')
    }
    if (argv[0] === 'sudo') {
      root = true
      argv = argv.slice(argv[1] === '-n' ? 2 : 1)
      if (argv[0] === '--') argv = argv.slice(1)
      // k0sctl's form: sudo -n -- "${SHELL-sh}" -c 'one command'.
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's expansion, as k0sctl sends it
      if (argv[0] === '${SHELL-sh}' && argv[1] === '-c') return this.run(`sudo -n ${argv[2] ?? ''}`, input)
    }
    const answer = this.command(argv, input.text, input, root)
    this.save()
    return answer
  }

  private command(argv: string[], stdin: string, input: Input, root: boolean): Output {
    const [program = '', ...args] = argv
    const { files } = this.state
    const denied = root ? undefined : deniedTo('core', argv, files)
    if (denied) return denied
    switch (program) {
      case 'sh': {
        if (args[0] === '-c' && args[1] === factShell && stdin === factScript)
          return said(machineFacts(this.state, this.blueprint, this.hostname(), this.world))
        if (args[0] === '-c' && args[1] === factShell && stdin === dataScript)
          return said(machineData(this.state, args.slice(3)))
        if (args[0] === '-c' && args[1] === factShell && stdin === k0sScript)
          return said(machineK0s(this.state, this.world, this.api(), args.slice(3)))
        if (args[0] === '-c' && args[1] === factShell && stdin === fetchScript)
          return said(fetchedFiles(this.state, args.slice(3)))
        if (args[0] === '-c' && args[1] === putShell) return this.put(args.slice(3), input)
        if (args[0] !== '-c' || args[1] !== lockShell)
          return failed(127, 'sh: this is not a shell; the lab knows a few commands only')
        const [text = '', lock = ''] = args.slice(3)
        if (files[lock]) return failed(0, `ln: failed to create hard link '${lock}': File exists`)
        this.changed(`lock ${lock}`)
        files[lock] = { text, mode: '0644' }
        return said('')
      }
      case 'df': {
        const free = this.world.suffers('no-room-for-image', this.state.name) ? 0 : 8_000_000
        return said(
          `Filesystem 1024-blocks Used Available Capacity Mounted on\ntmpfs ${8_000_000} ${8_000_000 - free} ${free} 0% ${args.at(-1)}\n`,
        )
      }
      case 'curl':
        return args.includes('--max-time') && !args.includes('-fsSI')
          ? { ...said(''), fetches: args[args.indexOf('--max-time') + 2] ?? '' }
          : failed(127, 'sh: curl: the lab does not know how')
      case 'true':
        return said('')
      case 'id':
        return said('1000\n')
      case 'sleep':
        return { ...said(''), takesMs: Number(args[0]) * 1_000 || 0 }
      case 'uname':
        return said(args[0] === '-m' ? 'x86_64\n' : 'Linux\n')
      case 'hostname':
        return said(`${this.hostname()}\n`)
      case 'test':
        return files[args[1] ?? ''] ? said('') : failed(1, '')
      case '/opt/bin/k0s':
        return k0s(this.k0sSurroundings(), args, stdin)
      case 'cat': {
        const path = args.at(-1) ?? ''
        const file = path === '/proc/cmdline' ? { text: `${this.state.commandLine ?? ''}\n` } : files[path]
        return file ? said(file.text) : failed(1, `cat: ${path}: No such file or directory`)
      }
      case 'tail': {
        const path = args.at(-1) ?? ''
        const file = files[path]
        return file
          ? said(file.text.slice(-Number(args[1])))
          : failed(1, `tail: cannot open '${path}' for reading: No such file or directory`)
      }
      case 'rm': {
        const paths = args.filter(a => !a.startsWith('-'))
        const below = args.some(a => /^-\w*r/.test(a))
        const meant = (path: string) =>
          paths.some(p =>
            p.endsWith('*')
              ? path.startsWith(p.slice(0, -1))
              : path === p || (below && path.startsWith(`${p}/`)),
          )
        const found = Object.keys(files).filter(meant)
        if (found.length > 0 || !paths.every(p => p.endsWith('*'))) this.changed(`rm ${paths.join(' ')}`)
        for (const path of found) delete files[path]
        return said('')
      }
      case 'rmdir':
        return said('')
      case 'install': {
        // Folders are there where they are wanted.
        if (args.includes('-d')) return said('')
        const path = args.at(-1) ?? ''
        const mode = args[args.indexOf('-m') + 1] ?? '0755'
        this.changed(`write ${path}`)
        files[path] = { mode, ...input, ...(root ? {} : { owner: 'core' }) }
        return said('')
      }
      case 'mktemp': {
        const path = (args.at(-1) ?? '').replace(/X+$/, this.world.newUuid().replaceAll('-', '').slice(0, 6))
        this.changed(`write ${path}`)
        // Folders are there where something lies in them.
        if (!args.includes('-d')) files[path] = { text: '', mode: '0600' }
        return said(`${path}\n`)
      }
      case 'dd': {
        const path = /^of=(.*)$/.exec(args.find(a => a.startsWith('of=')) ?? '')?.[1] ?? ''
        this.changed(`write ${path}`)
        files[path] = { mode: files[path]?.mode ?? '0644', ...input }
        if (/\.upload-/.test(path) && this.world.strikes('k0sctl-killed', this.state.name))
          return failed(137, killsItsCaller)
        return said('')
      }
      case 'mv': {
        const [from = '', to = ''] = args.slice(-2)
        const file = files[from]
        if (!file) return failed(1, `mv: cannot stat '${from}': No such file or directory`)
        this.changed(`write ${to}`)
        files[to] = file
        delete files[from]
        return said('')
      }
      case 'stat': {
        const path = args.at(-1) ?? ''
        const file = files[path]
        if (!file) return failed(1, `stat: cannot statx '${path}': No such file or directory`)
        return args[0] === '-c' && args[1] === '%a'
          ? said(`${file.mode.replace(/^0+(?=.)/, '')}\n`)
          : failed(1, 'stat: the lab knows -c %a alone')
      }
      case 'chmod': {
        const [mode = '', path = ''] = args.slice(-2)
        const file = files[path]
        if (!file) return failed(1, `chmod: cannot access '${path}': No such file or directory`)
        this.changed(`write ${path}`)
        file.mode = mode
        return said('')
      }
      case 'systemctl':
        return this.systemctl(args)
      case 'systemd-run': {
        const name = args.find(a => a.startsWith('--unit='))?.slice('--unit='.length) ?? ''
        if (this.state.units[name])
          return failed(1, `Failed to start transient service unit: Unit ${name}.service already exists.`)
        // As systemd: $$ is one $, and a variable that it does not know is nothing.
        const script = (args[args.indexOf('-c') + 1] ?? '').replace(/\$(?:\$|\{\w+\})/g, found =>
          found === '$$' ? '$' : '',
        )
        this.changed(`start unit ${name}`)
        this.state.units[name] = {
          active: 'activating',
          result: 'success',
          exitCode: 0,
          script,
          endsAt: Date.now() + this.world.blueprint.latency.install,
        }
        this.settle()
        return said('')
      }
      default:
        return failed(127, `sh: ${program}: command not found`)
    }
  }

  private systemctl(args: string[]): Output {
    const [verb, ...rest] = args
    const names = rest.filter(a => !a.startsWith('-')).map(n => n.replace(/\.service$/, ''))
    if (verb === 'reboot' || verb === 'kexec') {
      this.changed(verb)
      const { loaded } = this.state
      if (verb === 'kexec' && !loaded) return failed(1, 'No kexec kernel loaded and autodetection failed.')
      if (verb === 'reboot' || !loaded) this.boot()
      else if (this.world.strikes('kexec-hangs', this.state.name)) this.hang()
      else this.start('installer', loaded)
      return { code: 0, stdout: '', stderr: '', drops: true }
    }
    if (verb === 'show') {
      const unit = this.state.units[names.at(-1) ?? '']
      return said(
        unit
          ? `LoadState=loaded\nActiveState=${unit.active}\nResult=${unit.result}\nExecMainStatus=${unit.exitCode}\n`
          : 'LoadState=not-found\nActiveState=inactive\nResult=success\nExecMainStatus=0\n',
      )
    }
    if (verb === 'is-active')
      return said(`${names.map(n => this.state.units[n]?.active ?? 'inactive').join('\n')}\n`)
    if (verb === 'daemon-reload') return said('')
    if (verb === 'stop' || verb === 'start' || verb === 'restart' || verb === 'reset-failed') {
      this.changed(`${verb} ${names.join(' ')}`)
      for (const name of names) {
        const unit = this.state.units[name]
        if (/^k0s/.test(name)) {
          if (!unit) return failed(5, `Failed to ${verb} ${name}.service: Unit ${name}.service not found.`)
          const refused =
            verb === 'start' || verb === 'restart' ? startK0s(this.k0sSurroundings(), name) : undefined
          if (refused) return refused
        }
        // A transient unit is gone once it is stopped or its failure forgotten.
        if (unit?.script !== undefined) delete this.state.units[name]
        else
          this.state.units[name] = {
            active: verb === 'start' || verb === 'restart' ? 'active' : 'inactive',
            result: 'success',
            exitCode: 0,
          }
      }
      return said('')
    }
    return failed(1, `Unknown command verb ${verb}.`)
  }

  /** Lets everything happen that is due by now: units that end. */
  private settle(): void {
    for (const [name, unit] of Object.entries(this.state.units)) {
      if (unit.endsAt === undefined || Date.now() < unit.endsAt) continue
      const awaited = awaits.exec(unit.script ?? '')?.[1]
      if (awaited !== undefined && !this.state.files[awaited]) continue
      delete unit.endsAt
      const code = this.script(unit.script ?? '')
      if (!this.isUp() || this.state.units[name] !== unit) return
      this.state.units[name] = {
        ...unit,
        active: code === 0 ? 'active' : 'failed',
        result: code === 0 ? 'success' : 'exit-code',
        exitCode: code,
      }
    }
  }

  /** A unit's script, one simple command a line, ended by the first that fails. */
  private script(text: string): number {
    for (const line of text.split('\n')) {
      if (line === '' || line === 'set -eu' || awaits.test(line)) continue
      const same = /^\[ "\$\(lsblk -dno (SERIAL|WWN) \/dev\/(\S+)\)" = (.+) \] \|\| exit (\d+)$/.exec(line)
      const only = /^\[ "\$\(lsblk -dno (SERIAL|WWN) \| grep -cxF (.+)\)" = 1 \] \|\| exit (\d+)$/.exec(line)
      const sum = /^echo (.+) \| sha256sum -c -(?: \|\| exit (\d+))?$/.exec(line)
      const append = /^cat (\S+) >> (\S+)$/.exec(line)
      const write = /^echo (\S+) > (\S+)$/.exec(line)
      if (same) {
        const disk = this.state.disks.find(d => d.kernelName === same[2])
        if (!disk || nameOfDisk(disk, same[1]) !== words(same[3] ?? '')[0]) return Number(same[4])
      } else if (only) {
        const wanted = words(only[2] ?? '')[0]
        if (this.state.disks.filter(d => nameOfDisk(d, only[1]) === wanted).length !== 1)
          return Number(only[3])
      } else if (sum) {
        const [hash, path = ''] = (words(sum[1] ?? '')[0] ?? '').split('  ')
        if (this.state.files[path]?.sha256 !== hash) return Number(sum[2] ?? 1)
      } else if (write) {
        this.changed(`write ${write[2]}`)
        this.state.files[write[2] ?? ''] = { text: `${write[1]}\n`, mode: '0644' }
      } else if (append) {
        const from = this.state.files[append[1] ?? '']
        const to = this.state.files[append[2] ?? '']
        if (!from || !to) return 1
        this.state.files[append[2] ?? ''] = { ...from, mode: to.mode }
      } else {
        // Of two programs, the second is for systems on which the first does not work.
        const code = this.program(words(line.split(' || ')[0] ?? ''))
        if (code !== 0) return code
      }
      if (!this.isUp()) return 1
    }
    return 0
  }

  /** Programs that a unit may call. */
  private program([name, ...args]: string[]): number {
    switch (name) {
      case 'exit':
        return Number(args[0] ?? 0)
      // As a shell says whether there is a program.
      case 'command':
        return this.state.system === 'installer' ? 0 : 1
      case 'exec': {
        const script = this.state.files[args[1] ?? '']?.text ?? ''
        const nas = this.nas()
        const { address } = this.world
        const copied = nas && runHostCopy(script, nas, this.initiator(), address, this.state.files)
        if (copied === undefined) return 127
        this.changed('copy a disk')
        return copied
      }
      case 'flatcar-install':
        return this.flatcarInstall(args)
      case 'flatcar-reset':
        return this.flatcarReset(args)
      case 'kexec': {
        const option = (start: string) => args.find(a => a.startsWith(start))?.slice(start.length) ?? ''
        const initrd = this.state.files[option('--initrd=')]
        const ignition = initrd?.tail === undefined ? undefined : configInInitrd(initrd.tail)
        if (ignition === undefined) return 1
        this.state.loaded = { ignition, commandLine: option('--command-line=') }
        return 0
      }
      case 'systemctl':
        return this.systemctl(args).code
      default:
        return 127
    }
  }

  /** As {@link putShell}: bytes, path, mode, and whether what is there goes first. */
  private put([bytes, path = '', mode = '', anew]: string[], input: Input): Output {
    const { files } = this.state
    if (anew === 'anew') delete files[path]
    if (input.bytes !== Number(bytes)) return failed(1, 'only a part of it arrived')
    this.changed(`write ${path}`)
    files[path] = { mode, ...input }
    return said('')
  }

  private flatcarReset(args: string[]): number {
    const ignition = this.state.files[args[args.indexOf('--ignition-file') + 1] ?? '']
    const disk = this.state.disks.find(d => d.system === this.state.system)
    if (!ignition || !disk || this.blueprint.oldSystem !== 'flatcar' || this.state.system !== 'old-os')
      return 1
    disk.resetTo = ignition.text
    return 0
  }

  private flatcarInstall(args: string[]): number {
    const option = (name: string) => args[args.indexOf(name) + 1] ?? ''
    const disk = this.state.disks.find(d => `/dev/${d.kernelName}` === option('-d'))
    const ignition = this.state.files[option('-i')]
    const image = this.state.files[option('-f')]
    // It cannot write over the disk that it runs from, nor a partition, nor without a config or an image.
    if (!disk || !ignition || !image || this.state.system !== 'installer') return 1
    if (this.world.strikes('install-lies', this.state.name)) return 0
    disk.writes += 1
    if (this.world.strikes('host-dies-during-install', this.state.name)) {
      disk.system = 'half-written'
      disk.content = []
      delete disk.ignition
      delete disk.kept
      this.powerOff()
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

  private start(system: System, given: Partial<Given> = {}): void {
    const { state } = this
    const { ignition } = given
    const known = state.bootId === ''
    this.leave()
    if (state.system === 'old-os') this.nas()?.dropSessions(this.blueprint.oldInitiator)
    state.system = system
    state.commandLine = given.commandLine ?? ''
    if (system === 'installer' && ignition !== undefined) state.given = ignition
    state.bootId = this.world.newUuid()
    state.upAt = known ? 0 : Date.now() + this.world.blueprint.latency.boot
    state.units = {
      'update-engine': { active: 'active', result: 'success', exitCode: 0 },
      locksmithd: { active: 'active', result: 'success', exitCode: 0 },
    }
    const kept = keptOnDisk(state.disks, system)
    state.files = {
      '/etc/iscsi/initiatorname.iscsi': { text: `InitiatorName=${this.initiator()}\n`, mode: '0644' },
      ...structuredClone(kept?.files ?? {}),
    }
    for (const name of kept?.starts ?? [])
      state.units[name] = { active: 'active', result: 'success', exitCode: 0 }
    if (system === 'old-os' && !kept)
      for (const [path, text] of Object.entries(this.blueprint.oldFiles ?? {}))
        state.files[path] = { text, mode: '0600' }
    const own = mintHostKey(
      Buffer.from(this.world.uuidFor('host keys')),
      `${state.name} ${system}`,
    ).privateKey
    state.hostKey = own
    if (system === 'old-os' || ignition === undefined) return
    // Ignition runs at the first boot alone.
    if (!kept) Object.assign(state.files, filesOf(ignition))
    const key = state.files['/etc/ssh/ssh_host_ed25519_key']?.text
    const differs = system === 'flatcar' && this.world.strikes('host-key-differs', state.name)
    state.hostKey = key !== undefined && !differs ? key : own
  }

  private k0sSurroundings(): K0sSurroundings {
    return { world: this.world, state: this.state, api: this.api, changed: what => this.changed(what) }
  }

  private hostname(): string {
    const own = this.state.files['/etc/hostname']?.text.trim()
    return own ?? (this.state.system === 'installer' ? 'localhost' : this.state.name)
  }

  private changed(what: string): void {
    this.world.countMutation('hosts', `${this.state.name}: ${what}`)
  }
}

function nameOfDisk(disk: DiskModel, column: string | undefined): string {
  return column === 'WWN' ? disk.wwn : disk.serial
}

function said(stdout: string): Output {
  return { code: 0, stdout, stderr: '' }
}

function failed(code: number, stderr: string): Output {
  return { code, stdout: '', stderr: `${stderr}\n` }
}
