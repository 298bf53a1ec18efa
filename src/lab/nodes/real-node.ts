import { execFile } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { copyProgram, measureProgram } from '../../volumes/programs.ts'
import { restoreProgram } from '../../volumes/restore-program.ts'
import type { NasSeam } from '../seams.ts'
import { copyUnitFiles, copyUnitSettings } from './copy-unit.ts'
import { runProgram } from './job-programs.ts'
import {
  copyScript,
  endScript,
  freshScript,
  mountPoint,
  mountScript,
  podScript,
  unmountScript,
} from './node-scripts.ts'
import type {
  CopyUnitEnd,
  DiskUser,
  MountedDisk,
  Nodes,
  PodProgram,
  PodProgramEnd,
  ProgramEnd,
} from './nodes.ts'

/** A disk on its way to a machine, there, or on its way back. */
interface Mount {
  state: 'coming' | 'there' | 'going' | 'refused'
  handle: string
  iqn: string
  machine: DiskUser
  /** What the machine said. */
  words?: string
}

/** A program that runs, or has ended. */
interface Running<T> {
  /** Handles of the disks that it uses. */
  disks: string[]
  name: string
  /** It was told to end. */
  ending?: boolean
  end?: T
}

/** What a machine can be asked at once, but for what ends programs; sshd takes ten sessions of one line. */
const atOnce = 6
/** A mount that was refused is tried again, as kubelet does, though it waits longer. */
const again = 1000

/**
 * A real Linux machine does what the world's nodes would do with the NAS's real disks: it logs in with their initiators'
 * names, makes file systems, mounts, and runs the programs of Jobs and the unit that copies on a host. What is no business
 * of disks (names of Services) it leaves to the lab.
 */
export class RealNode implements Nodes {
  private readonly command: readonly string[]
  private readonly portal: string
  private readonly nas: NasSeam
  private readonly log: string
  private readonly mounts = new Map<string, Mount>()
  private readonly pods = new Map<string, Running<ProgramEnd>>()
  private readonly begun = new Map<string, boolean>()
  private readonly copies = new Map<string, Running<CopyUnitEnd>>()
  private readonly waiting: (() => void)[] = []
  private busy = 0
  private closed = false
  private changed: () => void = () => {}

  /**
   * @param command a program that takes a shell's script and has the machine run it as root
   * @param log a file for what went wrong there
   */
  constructor(command: readonly string[], portal: string, nas: NasSeam, log: string) {
    this.command = command
    this.portal = portal
    this.nas = nas
    this.log = log
  }

  /** Gets the machine ready: what an earlier process of this lab left mounted or running there goes. */
  async open(): Promise<this> {
    const { code, stdout, stderr } = await this.ask(freshScript(this.portal))
    if (code !== 0) throw new Error(`the lab’s real node is not ready (${code}): ${stdout}${stderr}`)
    return this
  }

  onChange(changed: () => void): void {
    this.changed = changed
  }

  mount({ handle, fsType, readOnly }: MountedDisk, machine: DiskUser): boolean {
    const key = `${handle} ${machine.name}`
    const mount = this.mounts.get(key)
    if (mount?.state === 'refused') throw new Error(mount.words)
    if (mount || this.closed) return mount?.state === 'there'
    // What tgt does not keep apart, DSM does: one machine at a time.
    this.nas.mayLogin(handle, machine.initiator)
    if ([...this.mounts.values()].some(other => other.handle === handle)) return false
    const iqn = this.nas.lun(handle)?.iqn ?? ''
    const coming: Mount = { state: 'coming', handle, iqn, machine }
    this.mounts.set(key, coming)
    const { portal } = this
    const script = mountScript({ portal, iqn, handle, fsType, readOnly, initiator: machine.initiator })
    void this.ask(script).then(({ code, stdout, stderr }) => {
      coming.state = code === 0 ? 'there' : 'refused'
      coming.words = (stdout || stderr).trim()
      if (code !== 0) setTimeout(() => this.forget(key), again).unref()
      this.changed()
    })
    return false
  }

  letGo(used: ReadonlySet<string>, pods: ReadonlySet<string>): void {
    for (const [uid, pod] of this.pods)
      if (!pods.has(uid)) {
        if (pod.end) this.pods.delete(uid)
        else if (!pod.ending) void this.ask(endScript(pod.name), 'at once')
        pod.ending = true
      }
    for (const key of this.begun.keys()) if (!pods.has(key.split(' ')[0] ?? '')) this.begun.delete(key)
    for (const [key, mount] of this.mounts) {
      const runs = [...this.pods.values()].some(pod => !pod.end && pod.disks.includes(mount.handle))
      if (mount.state === 'there' && !used.has(key) && !runs) void this.unmount(key, mount)
    }
  }

  run(pod: string, program: PodProgram): ProgramEnd | undefined {
    const { script, environment, mounts } = program
    if (![copyProgram, measureProgram, restoreProgram].includes(script))
      return runProgram(script, environment, {}, program)
    const running = this.pods.get(pod)
    if (running || this.closed) return running?.end
    const begun: Running<ProgramEnd> = {
      name: `pod-${pod}`,
      disks: Object.values(mounts).map(({ handle }) => handle),
    }
    this.pods.set(pod, begun)
    void this.ask(podScript(begun.name, program)).then(({ code, stdout, stderr }) => {
      begun.end = { code, message: stdout || stderr.trim() }
      this.changed()
    })
    return undefined
  }

  begin(pod: string, handle: string, text: string): boolean {
    const key = `${pod} ${handle}`
    const done = this.begun.get(key)
    if (done === undefined) {
      this.begun.set(key, false)
      const at = mountPoint(handle)
      const anew = `[ -n "$(ls -A ${at} | grep -vx lost+found)" ] || printf '%s' '${text}' >${at}/initialised.txt`
      void this.ask(anew).then(() => {
        this.begun.set(key, true)
        this.changed()
      })
    }
    return done === true
  }

  async exec([program = '', ...args]: string[], mounts: Record<string, string>) {
    if (!['true', 'false', 'echo', 'cat', 'ls', 'test'].includes(program)) return undefined
    const place = (word: string) => {
      for (const [path, handle] of Object.entries(mounts))
        if (word === path || word.startsWith(`${path}/`)) return mountPoint(handle) + word.slice(path.length)
      return word.startsWith('/') ? '/nowhere' : word
    }
    const words = [program, ...args.map(place)].map(word => `'${word.replaceAll("'", `'\\''`)}'`)
    const { code, stdout, stderr } = await this.ask(words.join(' '))
    return { exit: code, stdout, stderr } satisfies PodProgramEnd
  }

  copy(id: string, script: string, machine: DiskUser): CopyUnitEnd | undefined {
    const running = this.copies.get(id)
    if (running || this.closed) return running?.end
    const name = `copy-${Buffer.from(id).toString('hex').slice(-40)}`
    const begun: Running<CopyUnitEnd> = { name, disks: [] }
    this.copies.set(id, begun)
    const { FOLDER = '' } = copyUnitSettings(script)
    void this.ask(copyScript(name, script, machine.initiator)).then(async ({ code }) => {
      const files: Record<string, string> = {}
      for (const file of copyUnitFiles) {
        const path = `${FOLDER}/${file}`
        const read = await this.ask(`cat '${path}'`)
        if (read.code === 0) files[path] = read.stdout
      }
      if (code !== 0) this.note({ code, ...files })
      begun.end = { code, files }
    })
    return undefined
  }

  endCopy(id: string): void {
    const copy = this.copies.get(id)
    if (copy && !copy.end) void this.ask(endScript(copy.name), 'at once')
  }

  async close(): Promise<void> {
    this.closed = true
    const programs = [...this.pods.values(), ...this.copies.values()].filter(({ end }) => !end)
    for (const { name } of programs) await this.ask(endScript(name), 'at once')
    const atWork = () =>
      programs.some(({ end }) => !end) ||
      [...this.mounts.values()].some(({ state }) => state === 'coming' || state === 'going')
    while (atWork()) await new Promise(resolve => setTimeout(resolve, 50))
    for (const [key, mount] of this.mounts) if (mount.state === 'there') await this.unmount(key, mount)
  }

  private async unmount(key: string, mount: Mount): Promise<void> {
    mount.state = 'going'
    const { handle, iqn, machine } = mount
    const script = unmountScript({ portal: this.portal, iqn, handle, initiator: machine.initiator })
    const { code } = await this.ask(script)
    if (code === 0) return this.forget(key)
    // Whoever uses it yet will be through in a moment.
    mount.state = 'there'
    setTimeout(() => this.changed(), again).unref()
  }

  private forget(key: string): void {
    this.mounts.delete(key)
    this.changed()
  }

  private note(what: object): void {
    appendFileSync(this.log, `${JSON.stringify(what)}\n`)
  }

  /** Has the machine run a script, when it is its turn. */
  private async ask(
    script: string,
    when: 'in turn' | 'at once' = 'in turn',
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    if (when === 'in turn' && this.busy >= atOnce)
      await new Promise<void>(resolve => this.waiting.push(resolve))
    else this.busy += 1
    const [program = '', ...args] = this.command
    const ended = await new Promise<{ code: number; stdout: string; stderr: string }>(resolve => {
      const { stdin } = execFile(
        program,
        args,
        { encoding: 'utf8', maxBuffer: 64 << 20, timeout: longestMs, killSignal: 'SIGKILL' },
        (error, stdout, stderr) =>
          resolve({ code: error ? Number(error.code ?? 255) || 255 : 0, stdout, stderr }),
      )
      // One that is gone before it has read all tells how it ended.
      stdin?.on('error', () => {})
      stdin?.end(script)
    })
    if (ended.code !== 0) this.note({ ...ended, script: script.slice(0, 300) })
    const next = this.waiting.shift()
    if (next) next()
    else this.busy -= 1
    return ended
  }
}

/** No copy of the little that a lab's disks hold takes as long; a machine that hangs must not hold up the lab's end. */
const longestMs = 15 * 60_000
