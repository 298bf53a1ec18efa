import type { KnownApplication } from '../../src/gitops/application.ts'
import type { ApplicationState, Push } from '../../src/gitops/argocd.ts'
import { deliveryBy } from '../../src/gitops/delivery.ts'
import type { Ailment } from '../../src/gitops/diagnosis.ts'
import { unwellObjects } from '../../src/gitops/unwell.ts'
import type { KubernetesReader, KubernetesWriter } from '../../src/kubernetes/kubernetes.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { Acting } from '../../src/runbook/step.ts'

type Named = Pick<KnownApplication, 'name' | 'namespace' | 'by'>

/** What Argo CD makes of an application: not let at it yet, not well for a reason, or well. */
export async function lookAt(
  { name, namespace, by }: Named,
  kubernetes: KubernetesReader,
): Promise<{ state: 'held' } | { state: 'unwell'; why: string } | { state: 'well'; evidence: string }> {
  const delivery = deliveryBy(by)
  const live = await kubernetes.get({ ...delivery.kind, namespace, name })
  if (!live || delivery.isHeld(live)) return { state: 'held' }
  const state = delivery.state(live)
  const ailment = delivery.diagnose(name, live)
  if (ailment) return { state: 'unwell', why: ailment.message }
  return { state: 'well', evidence: `${name} is ${state.sync} and ${state.health}` }
}

/** What Argo CD does not do by itself is asked of it so many times. */
const pushesAtMost = 3

/** Two seconds lie between two looks. */
const looksPerAlarm = 5

/** How each push is told. */
function told(who: string, push: Push): string {
  if (push === 'terminate') return 'its sync is of an older commit than Git has now: ended'
  return `${who} does not ${push === 'sync' ? 'sync it' : 'look at it'} again by itself: told to`
}

/**
 * Waits until an application is Synced and Healthy. Asks Argo CD for what it does not do by itself: to sync again what
 * failed or what does not sync on its own, to render again what could not be rendered, to end a sync of an older commit. When
 * that does not help, or time is over, the Fault names what is wrong with which object, in its own words.
 *
 * @param alarm asked every ten seconds meanwhile; what it throws ends the wait at once
 */
export async function untilWell(
  application: Named,
  kubernetes: KubernetesWriter,
  { wait, note }: Pick<Acting, 'wait' | 'note'>,
  alarm: () => Promise<void> = async () => {},
): Promise<void> {
  const { name, namespace, by } = application
  const delivery = deliveryBy(by)
  const ref = { ...delivery.kind, namespace, name }
  const pushes = new Pushes()
  let looks = 0
  let last: { ailment: Ailment; state: ApplicationState } | undefined
  try {
    await wait(
      `${name} to be Synced and Healthy`,
      async () => {
        looks += 1
        if (looks % looksPerAlarm === 0) await alarm()
        const live = await kubernetes.get(ref)
        if (!live) return undefined
        const state = delivery.state(live)
        const ailment = delivery.diagnose(name, live)
        if (!ailment) return true
        last = { ailment, state }
        const { push } = ailment
        const turn = push === undefined ? 'wait' : pushes.turn(push)
        if (ailment.lasting || turn === 'over') throw new Given()
        if (push !== undefined && turn === 'now') {
          note(`${told(delivery.name, push)} (${pushes.given(push)} of ${pushesAtMost}): ${ailment.message}`)
          await kubernetes.patch(ref, delivery.push(live, push))
        }
        return undefined
      },
      { every: '2s' },
    )
  } catch (thrown) {
    const over = thrown instanceof Given || (thrown instanceof Fault && thrown.code === 'wait-timed-out')
    if (!over || !last) throw thrown
    throw await faultOf(last.ailment, last.state, kubernetes, thrown)
  }
}

/** Nothing more can be done from here. */
class Given extends Error {}

/** What was asked of Argo CD so far, and whether it is time to ask again. */
class Pushes {
  private readonly done = new Map<Push, { times: number; patience: number }>()

  given(push: Push): number {
    return this.done.get(push)?.times ?? 0
  }

  /**
   * Counts a look at an application that a push may mend. `now`: give it; counted as given. `wait`: what is missing may
   * come by itself meanwhile, for 10, 30 and 90 seconds of looks. `over`: enough of it.
   */
  turn(push: Push): 'now' | 'wait' | 'over' {
    const last = this.done.get(push)
    if (last) {
      last.patience -= 1
      if (last.patience > 0) return 'wait'
      if (last.times === pushesAtMost) return 'over'
    }
    const times = (last?.times ?? 0) + 1
    this.done.set(push, { times, patience: 5 * 3 ** (times - 1) })
    return 'now'
  }
}

async function faultOf(
  { objects, push: _, lasting: __, message, ...rest }: Ailment,
  state: ApplicationState,
  kubernetes: KubernetesReader,
  cause: unknown,
): Promise<Fault> {
  const managed = state.resources.filter(r => !r.hook).map(r => r.ref)
  const found = await unwellObjects(kubernetes, objects ?? managed).catch(() => [])
  const details = found.map(({ object, why }) => `${object}: ${why}`).join('; ')
  return new Fault({
    ...rest,
    message: details === '' ? message : `${message.replace(/\.$/, '')}. ${details}`,
    cause,
  })
}
