import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../../../runbooks/connect.ts'
import { bringUpInstaller } from '../../../runbooks/hosts/bring-up-installer.ts'
import { installFlatcar } from '../../../runbooks/hosts/install-flatcar.ts'
import { blueprintOf } from '../../../runbooks/rehearsal/blueprint.ts'
import { whereaboutsOf } from '../../../runbooks/rehearse.ts'
import type { Whereabouts } from '../../../runbooks/whereabouts.ts'
import { loadCluster } from '../../../src/cluster/load.ts'
import type { Blueprint } from '../../../src/lab/blueprint.ts'
import { type Lab, startLab } from '../../../src/lab/lab.ts'
import { World } from '../../../src/lab/world.ts'
import { milliseconds } from '../../../src/runbook/duration.ts'
import { Fault, toFault } from '../../../src/runbook/fault.ts'
import type { Observation, WaitOptions } from '../../../src/runbook/step.ts'
import { root } from '../../cli/program.ts'
import { scratch } from '../../runbook/harness.ts'
import { ladderAt } from './ladder-at.ts'

/** Lines of recover.yaml for the host hydrogen, which starts as each test wants it. */
export interface Wanted {
  install: string[]
  /** More fields of the host. */
  host?: Record<string, unknown>
  /** Changes the world before it begins. */
  blueprint?: (host: Blueprint['hosts'][number], blueprint: Blueprint) => void
  /** Changes where things are. */
  where?: (where: Whereabouts) => Whereabouts
  run?: string
}

/** A machine of the lab, and the handles of a run on it, in this process. */
export type Ground = Awaited<ReturnType<typeof groundFor>>

const host = 'hydrogen'

/** Makes a home whose host hydrogen is installed by these rungs, and its lab; all is gone after the test. */
export async function groundFor(test: { onTestFinished(end: () => unknown): void }, wanted: Wanted) {
  const folder = scratch('ladder')
  const home = join(folder, 'home')
  cpSync(join(root, 'examples/home'), home, { recursive: true })
  ladderAt(join(home, 'recover.yaml'), wanted.install.join(', '), wanted.host)
  const cluster = loadCluster(join(home, 'recover.yaml'))
  const blueprint = blueprintOf(cluster)
  wanted.blueprint?.(blueprint.hosts.find(h => h.name === host)!, blueprint)
  const world = World.create(join(folder, 'lab'), blueprint)
  const lab: Lab = await startLab(world)
  const order = async (name: string, parameters: Record<string, string> = {}) => {
    const { url, token } = lab.endpoints.control
    const reply = await fetch(`${url}/${name}?${new URLSearchParams(parameters)}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, connection: 'close' },
    })
    if (reply.status !== 200) throw new Error(await reply.text())
  }
  const kept = { endpoints: lab.endpoints, order, mutations: async () => ({ ...world.mutations, last: [] }) }
  const signal = new AbortController().signal
  const runFolder = join(folder, 'run')
  mkdirSync(runFolder, { recursive: true, mode: 0o700 })
  const begin = () => {
    const where = whereaboutsOf(kept as Parameters<typeof whereaboutsOf>[0], cluster)
    return connect(
      cluster,
      { id: wanted.run ?? '20261123-020000-ab12', secret: Buffer.alloc(32, 9), folder: runFolder },
      wanted.where ? wanted.where(where) : where,
      signal,
    )
  }
  let connections = begin()
  test.onTestFinished(async () => {
    await connections.close()
    await lab.close()
  })
  const notes: string[] = []
  const asked: string[] = []
  /** Longest wait for a limit that a rung sets itself; tests of rungs that hang make it short, for the first one. */
  const patience = { ms: 10_000 }
  const wait = async <T>(
    what: string,
    probe: () => Promise<T | undefined>,
    options: WaitOptions = {},
  ): Promise<T> => {
    const end = performance.now() + Math.min(patience.ms, milliseconds(options.limit ?? '1h'))
    let last: unknown
    for (;;) {
      try {
        const found = await probe()
        if (found !== undefined) return found
      } catch (thrown) {
        if (!(thrown instanceof Fault) || !thrown.transient || options.impatient) throw thrown
        last = thrown
      }
      if (performance.now() > end)
        throw new Fault({
          code: 'wait-timed-out',
          blame: 'network',
          message: `waited for ${what}: ${String(last)}`,
          remedy: 'none',
        })
      await new Promise(resolve => setTimeout(resolve, 30))
    }
  }
  const outputs = new Map<string, unknown>()
  const acting = () => ({
    ...connections.writers,
    host: { name: host, role: 'worker' },
    signal,
    note: (t: string) => {
      notes.push(t)
      if (/ led nowhere on /.test(t)) patience.ms = 60_000
    },
    askHand: (t: string) => {
      asked.push(t)
      void order('stick', { name: host })
    },
    progress() {},
    wait,
    output: (step: { id: string }) => {
      if (!outputs.has(step.id)) {
        if (step.id.startsWith('evidence/')) return { saw: 'silent', data: [] }
        throw new Error(`no output of ${step.id}`)
      }
      return outputs.get(step.id)
    },
    outputs: () => new Map(),
  })
  type Doing = {
    id: string
    observe(look: unknown): Promise<Observation<unknown>>
    apply?(act: unknown): Promise<void>
  }
  /** Looks, does what is due, looks again; as often as a step with retries would for faults that pass. */
  const done = async (step: Doing, apply: () => Promise<void> = async () => step.apply!(acting())) => {
    let seen = await step.observe(acting())
    for (let attempt = 0; seen.state === 'due'; attempt += 1) {
      try {
        await apply()
      } catch (thrown) {
        if (!toFault(thrown, step.id).transient || attempt > 3) throw thrown
      }
      seen = await step.observe(acting())
    }
    if (seen.state === 'done') outputs.set(step.id, seen.output)
    return seen
  }
  const model = () => {
    const all =
      world.read<
        Record<
          string,
          {
            system: string
            disks: { writes: number; serial: string }[]
            media?: string
            bootOverride?: string
          }
        >
      >('hosts')
    return all![host]!
  }
  return {
    host,
    world,
    lab,
    runFolder,
    order,
    notes,
    asked,
    patience,
    signal,
    acting,
    outputs,
    cluster,
    get hosts() {
      return connections.writers.hosts
    },
    /** As when the process of the run ends and another goes on. */
    async again() {
      await connections.close()
      connections = begin()
    },
    guidance: () => acting(),
    emulator: (name: string) => lab.machines.machine(name),
    /** Done on the machine in the moment in which the unit that destroys is started. */
    atLastMoment(trick: () => void) {
      const machine = lab.machines.machine(host)
      const run = machine.run.bind(machine)
      let once = false
      machine.run = (line, stdin) => {
        if (!once && /systemd-run .*recover-(install|reset)-/.test(line)) {
          once = true
          trick()
        }
        return run(line, stdin)
      }
    },
    bringUp: () => done(bringUpInstaller as unknown as Doing),
    install: () => done(installFlatcar as unknown as Doing),
    model,
    writes: () => model().disks.map(d => d.writes),
  }
}
