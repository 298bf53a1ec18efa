import { appendFileSync } from 'node:fs'
import type { ObjectStore } from '../store.ts'
import { argocd } from './argocd.ts'
import { ciliumOperator, loadBalancers } from './cilium.ts'
import { definitions, namespaces, nodes } from './cluster.ts'
import type { Controlled, Controller } from './context.ts'
import { fluxKustomizations, fluxSources } from './flux.ts'
import { garbage } from './garbage.ts'
import { onePasswordOperator } from './onepassword.ts'
import { pods } from './pods.ts'
import { beginnersAnew, binder, protection } from './storage.ts'
import { workloads } from './workloads.ts'

const controllers: Controller[] = [
  namespaces,
  definitions,
  nodes,
  workloads,
  binder,
  protection,
  beginnersAnew,
  onePasswordOperator,
  pods,
  workloads,
  ciliumOperator,
  loadBalancers,
  argocd,
  fluxSources,
  fluxKustomizations,
  garbage,
]

// Enough for the longest chain of cause and effect; a loop that never rests is a bug of the lab's.
const rounds = 60

/** Runs the controllers whenever something changed, until nothing changes any more. */
export class Reconciler {
  private readonly controlled: Omit<Controlled, 'store'>
  private readonly store: () => ObjectStore
  private timer: NodeJS.Timeout | undefined
  private readonly tick: NodeJS.Timeout
  private seen = ''

  /** @param onDown called when the control plane has gone away */
  constructor(controlled: Omit<Controlled, 'store'>, store: () => ObjectStore, onDown: () => void) {
    this.controlled = controlled
    this.store = store
    // Machines, faults and the NAS change without telling the API server, as in a real home.
    this.tick = setInterval(() => {
      // Said at every look: a control plane may have come and gone between two.
      if (!this.controlled.machines.controlPlaneUp()) onDown()
      if (this.surroundings() !== this.seen) this.poke()
    }, 50)
  }

  /** Something changed. */
  poke(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      this.run()
    }, this.controlled.world.blueprint.latency.controllers)
  }

  close(): void {
    clearInterval(this.tick)
    clearTimeout(this.timer)
  }

  private surroundings(): string {
    const { machines, world } = this.controlled
    return JSON.stringify([
      machines.controlPlaneUp(),
      machines.controlPlaneEpoch(),
      machines.nodes(),
      world.faults(),
    ])
  }

  private run(): void {
    this.seen = this.surroundings()
    if (!this.controlled.machines.controlPlaneUp()) return
    const store = this.store()
    for (let round = 0; round < rounds; round += 1) {
      const before = store.resourceVersion
      for (const controller of controllers)
        try {
          controller({ ...this.controlled, store })
        } catch (error) {
          // One object that a controller cannot cope with must not take the whole lab down.
          appendFileSync(
            this.controlled.world.path('kubernetes', 'controllers.log'),
            `${controller.name}: ${(error as Error).stack}\n`,
          )
        }
      if (store.resourceVersion === before) return
    }
  }
}
