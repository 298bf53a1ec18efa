import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { blueprintOf } from '../../../runbooks/rehearsal/blueprint.ts'
import { loadCluster } from '../../../src/cluster/load.ts'
import { type Lab, startLab } from '../../../src/lab/lab.ts'
import { World } from '../../../src/lab/world.ts'
import type { RunEvent } from '../../../src/runbook/events.ts'
import type { FaultJson } from '../../../src/runbook/fault.ts'
import type { Plan } from '../../../src/runbook/plan.ts'
import { type Connected, connectBy } from '../../lab/kubernetes/cluster.ts'
import { type ControlPlane, startControlPlane } from './control-plane.ts'
import { type KubeHome, makeHome } from './home.ts'
import { RealKubernetes } from './lab-cluster.ts'
import { Operators } from './operators.ts'

/** A home that is to be recovered, in which the Kubernetes is real; machines and NAS are the lab's. */
export interface RealHome extends KubeHome {
  /** The lab's folder, by which another process finds it. */
  lab: string
  /** For XDG_STATE_HOME: runs go there. */
  state: string
  controlPlane: ControlPlane
  cluster: Connected
  operators: Operators
  close(): Promise<void>
}

/**
 * Starts a lab whose machines are blank, with an empty real control plane behind it.
 * @param options.before something in front of the API server: gets its address, gives the port at which clients go
 */
export async function startHome(
  options: {
    volumes?: 'new' | 'adopt'
    /** Another home than the example's. */
    home?: KubeHome
    /** More flags of the API server's, which then begins with an empty store. */
    apiServer?: string[]
    before?: (controlPlane: ControlPlane) => Promise<number>
    populate?: (home: KubeHome) => void
  } = {},
): Promise<RealHome> {
  const home = options.home ?? makeHome(options.volumes)
  options.populate?.(home)
  const { apiServer } = options
  const flags = apiServer === undefined ? {} : { apiServer, empty: true }
  const controlPlane = await startControlPlane({ scheduler: true, kwok: true, ...flags })
  const at = await options.before?.(controlPlane)
  const lab = mkdtempSync(join(tmpdir(), 'lab-'))
  // k0sctl gives the API's address as the controller's own, and the real server's certificate is for this one.
  const world = World.create(lab, { ...blueprintOf(loadCluster(home.file)), address: '127.0.0.1' })
  const running: Lab = await startLab(world, machines => new RealKubernetes(controlPlane, machines, at))
  const operators = new Operators(controlPlane)
  const cluster = connectBy(controlPlane.kubeconfig)
  return {
    ...home,
    lab,
    state: mkdtempSync(join(tmpdir(), 'state-')),
    controlPlane,
    cluster,
    operators,
    async close() {
      await operators.close()
      await cluster.close()
      await running.close()
      await controlPlane.close()
    },
  }
}

/** The phases that the tests are about, with the machines that they stand on. */
export const phases = 'hosts,kubernetes,bootstrap,applications'

/** How one process of a recovery ended, and what it told. */
export interface Lived {
  end: number | NodeJS.Signals
  faults: (FaultJson & { step?: string })[]
  events: RunEvent[]
  /** Where it was killed. */
  death: Death | undefined
  /** What was planned. */
  plan: Plan | undefined
}

/** Where a process ended itself. */
export interface Death {
  /** `after record 12`, `after-effect bootstrap/apply[cilium]` */
  point: string
  /** The records that were the last ones of the journal then, written at once. */
  records: string[]
}

/** How one process of a recovery lives. */
interface Living {
  /** It is killed as soon as it has come a step further, or at that point. */
  death?: 'first' | `after-effect ${string}`
  /** Phases, all when empty. */
  only?: string
  /** What no step may take longer than; 10 minutes by default, which only what hangs takes. */
  limitMs?: number
  /** What the times between two looks are multiplied with: 1 in earnest. */
  pace?: number
  onEvent?: (event: RunEvent) => void
}

/** One process of a home's recovery, to its end. */
export async function live(
  home: RealHome,
  part: 'plan' | 'begin' | 'resume',
  options: Living = {},
): Promise<Lived> {
  const folder = mkdtempSync(join(tmpdir(), 'lived-'))
  const args = [part, home.file, home.lab, folder, options.only ?? phases, options.death ?? '']
  // Slower than a rehearsal looks: the server is real, and shares its cores with its controllers.
  args.push(String(options.limitMs ?? 600_000), String(options.pace ?? 0.1))
  const child = spawn(process.execPath, [join('dist', 'bundle', 'kube-child.js'), ...args], {
    env: { ...process.env, XDG_STATE_HOME: home.state },
    stdio: 'inherit',
  })
  const lines = <T>(name: string): T[] => {
    const path = join(folder, name)
    if (!existsSync(path)) return []
    // The last line may be half written when it is looked at.
    const whole = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    return whole.map(line => JSON.parse(line) as T)
  }
  let seen = 0
  const told = () => {
    const events = lines<RunEvent>('events.ndjson')
    for (const event of events.slice(seen)) options.onEvent?.(event)
    seen = events.length
  }
  const watching = options.onEvent && setInterval(told, 50)
  const end = await new Promise<Lived['end']>(resolve =>
    child.once('exit', (code, signal) => resolve(signal ?? code ?? 1)),
  )
  clearInterval(watching)
  return {
    end,
    faults: lines('faults.ndjson'),
    events: lines('events.ndjson'),
    death: lines<Death>('deaths.ndjson')[0],
    plan: lines<Plan>('plan.ndjson')[0],
  }
}
