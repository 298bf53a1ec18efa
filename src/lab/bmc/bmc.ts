import type { BmcQuirk } from '../blueprint.ts'
import type { PowerSeam } from '../seams.ts'
import type { World } from '../world.ts'
import type { Resource } from './resources.ts'

/** What a BMC remembers besides what its machine does. */
export interface BmcState {
  /** Session id to its token. */
  sessions: Record<string, string>
  /** Task id to how many looks it still takes, or how it ended. */
  tasks: Record<string, { looks: number; failed?: true }>
  port?: number
}

/** One BMC, as those know it who answer for it. */
export interface Bmc {
  readonly world: World
  readonly name: string
  readonly account: { account: string; password: string }
  readonly quirks: ReadonlySet<BmcQuirk>
  readonly machine: PowerSeam
  readonly state: BmcState
  /** It shows what it was told for one look, and then what is. */
  trips: boolean
}

/** What a request is answered with. */
export interface Reply {
  status: number
  body?: Resource
  headers?: Record<string, string>
}

/** Keeps what a BMC remembers over the end of its process. */
export function save({ world, name, state }: Bmc): void {
  world.write(`bmc-${name}`, state)
}
