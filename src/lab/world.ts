import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Blueprint } from './blueprint.ts'

/** Who counts: each emulator adds to its own line. */
export type Emulator = 'hosts' | 'nas' | 'kubernetes'

/**
 * One lab world: a folder that holds the blueprint and every emulator's state, so that killing the lab process loses
 * nothing that a client was told. Files are renamed into place; they are not flushed, since a lab need not survive the
 * machine's own crash.
 */
export class World {
  readonly dir: string
  readonly blueprint: Blueprint
  private constructor(dir: string, blueprint: Blueprint) {
    this.dir = dir
    this.blueprint = blueprint
  }

  /** Makes a new world in an empty or absent folder. */
  static create(dir: string, blueprint: Blueprint): World {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const world = new World(dir, blueprint)
    world.write('blueprint', blueprint)
    return world
  }

  /** Opens a world that was made before; throws when the folder holds none. */
  static open(dir: string): World {
    const blueprint = JSON.parse(readFileSync(join(dir, 'blueprint.json'), 'utf8')) as Blueprint
    return new World(dir, blueprint)
  }

  /** Where all of it listens. */
  get address(): string {
    return this.blueprint.address ?? '127.0.0.1'
  }

  static exists(dir: string): boolean {
    return existsSync(join(dir, 'blueprint.json'))
  }

  /** A path inside the world's folder; the parent folders are made. */
  path(...parts: string[]): string {
    const path = join(this.dir, ...parts)
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 })
    return path
  }

  /** Reads one JSON document of the world's, or undefined when it was never written. */
  read<T>(name: string): T | undefined {
    const path = join(this.dir, `${name}.json`)
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T) : undefined
  }

  /** Writes one JSON document of the world's, whole or not at all. */
  write(name: string, value: unknown): void {
    const path = this.path(`${name}.json`)
    writeFileSync(`${path}.tmp`, JSON.stringify(value), { mode: 0o600 })
    renameSync(`${path}.tmp`, path)
  }

  /** Adds a request that changed something. `what` is kept for the message of a test that wanted none. */
  countMutation(emulator: Emulator, what: string): void {
    this.mutations[emulator] += 1
    this.lastMutations.push(`${emulator}: ${what}`)
    if (this.lastMutations.length > 50) this.lastMutations.shift()
  }

  /** When somebody last connected to any part of the lab; milliseconds of `performance.now()`. */
  spokenToAt = performance.now()

  /** Mutating requests since this process opened the world. */
  readonly mutations: Record<Emulator, number> = { hosts: 0, nas: 0, kubernetes: 0 }
  /** The latest mutating requests, oldest first. */
  readonly lastMutations: string[] = []

  /**
   * Asks whether an armed fault strikes here, and uses up one of its strikes if so.
   * `target` is a host, volume or application name; a fault armed without a target strikes the first that asks.
   */
  strikes(fault: string, target: string): boolean {
    const armed = this.faults()
    const hit = armed.find(
      f => f.name === fault && f.left > 0 && (f.target === undefined || f.target === target),
    )
    if (!hit) return false
    hit.target = target
    hit.left -= 1
    this.write('faults', armed)
    return true
  }

  /** Whether a lasting fault (one that stays until healed) holds here; uses nothing up. */
  suffers(fault: string, target: string): boolean {
    return this.faults().some(
      f => f.name === fault && f.left > 0 && (f.target === undefined || f.target === target),
    )
  }

  /** Arms a fault for `times` strikes (default 1), or disarms it with 0. */
  arm(name: string, target: string | undefined, times = 1): void {
    const others = this.faults().filter(f => f.name !== name || f.target !== target)
    const armed =
      times > 0 ? [...others, { name, left: times, ...(target === undefined ? {} : { target }) }] : others
    this.write('faults', armed)
  }

  /** Every fault goes away, as when a person has mended what was broken. */
  heal(): void {
    this.write('faults', [])
  }

  faults(): ArmedFault[] {
    // Another process may arm one. Each write makes a new file, so what was read holds as long as the file is the same.
    const file = statSync(join(this.dir, 'faults.json'), { throwIfNoEntry: false })
    const of = file && `${file.ino} ${file.mtimeMs}`
    if (of !== this.armed.of) this.armed = { of, faults: this.read<ArmedFault[]>('faults') ?? [] }
    return this.armed.faults
  }

  /** The faults that were read last, and of which file. */
  private armed: { of: string | undefined; faults: ArmedFault[] } = { of: undefined, faults: [] }

  /** A stable id for `name` in this world: the same world gives the same one. */
  uuidFor(name: string): string {
    const h = createHash('sha256').update(`${this.blueprint.cluster}/${name}`).digest('hex')
    return `${h.slice(0, 8)}-${h.slice(8, 12)}-4${h.slice(13, 16)}-8${h.slice(17, 20)}-${h.slice(20, 32)}`
  }

  newUuid(): string {
    return randomUUID()
  }
}

/**
 * An address that nobody else listens at: all of 127.0.0.0/8 is this machine, and a world that is down must find its
 * ports free when it comes up again, whoever is at work meanwhile. Elsewhere than on Linux only 127.0.0.1 leads anywhere.
 */
export function ownAddress(): string {
  if (process.platform !== 'linux') return '127.0.0.1'
  const [a = 0, b = 0, c = 0] = randomBytes(3)
  return `127.${[a, b, c].map(byte => 1 + (byte % 254)).join('.')}`
}

export interface ArmedFault {
  name: string
  target?: string
  left: number
}
