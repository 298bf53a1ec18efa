import { mintHostKey } from '../../hosts/keys.ts'
import type { HostBlueprint } from '../blueprint.ts'
import type { Nodes } from '../nodes/nodes.ts'
import type { ApiSeam, BootTarget, NasSeam } from '../seams.ts'
import type { World } from '../world.ts'
import { runCommand } from './commands.ts'
import { bootFromMedia, bootFromNetwork, type Given } from './firmware.ts'
import { filesOf } from './ignition-files.ts'
import { type Input, inputOf } from './input.ts'
import { keepOnDisk, keptOnDisk } from './kept.ts'
import { failed, type MachineState, type Output, type Surroundings, type System } from './machine-state.ts'
import { words } from './shell.ts'
import { settle } from './units.ts'

/** One emulated machine: its power, what it boots from, and who may enter. */
export class Machine implements Surroundings {
  readonly state: MachineState
  readonly world: World
  readonly blueprint: HostBlueprint
  readonly nas: () => NasSeam | undefined
  private readonly save: () => void
  readonly api: () => ApiSeam | undefined
  readonly nodes: () => Nodes | undefined
  /** Counts boots, so that a slow one is not taken for a later one. */
  private turn = 0

  constructor(
    world: World,
    blueprint: HostBlueprint,
    stored: MachineState | undefined,
    nas: () => NasSeam | undefined,
    save: () => void,
    api: () => ApiSeam | undefined = () => undefined,
    nodes: () => Nodes | undefined = () => undefined,
  ) {
    this.world = world
    this.blueprint = blueprint
    this.nas = nas
    this.save = save
    this.api = api
    this.nodes = nodes
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
    settle(this)
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

  isUp(): boolean {
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
    settle(this)
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
    const answer = runCommand(this, argv, input, root)
    this.save()
    return answer
  }

  /** Boots what `kexec -l` has loaded. */
  bootLoaded(loaded: Given): void {
    this.start('installer', loaded)
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

  hostname(): string {
    const own = this.state.files['/etc/hostname']?.text.trim()
    return own ?? (this.state.system === 'installer' ? 'localhost' : this.state.name)
  }

  changed(what: string): void {
    this.world.countMutation('hosts', `${this.state.name}: ${what}`)
  }
}
