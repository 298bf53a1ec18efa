import { agreedTo, type ConsentDesk, compareVictim } from './consent.ts'
import type { RunEventBody } from './events.ts'
import { Fault } from './fault.ts'
import type { Instance } from './graph.ts'
import type { Journal } from './journal.ts'
import type { Victim } from './step.ts'
import { Stopped } from './time.ts'

/** What a person agreed to in this run, and the asking for what is not agreed to yet. */
export class Agreements {
  readonly #given: Victim[]
  readonly #desk: ConsentDesk
  readonly #journal: Journal
  readonly #emit: (event: RunEventBody) => void
  readonly #stop: AbortSignal
  #asking: Promise<unknown> = Promise.resolve()

  constructor(of: {
    given: readonly Victim[]
    desk: ConsentDesk
    journal: Journal
    emit: (event: RunEventBody) => void
    stop: AbortSignal
  }) {
    this.#given = [...of.given]
    this.#desk = of.desk
    this.#journal = of.journal
    this.#emit = of.emit
    this.#stop = of.stop
  }

  /**
   * Makes sure that a person agreed to exactly the victims that are there; asks where nobody was asked. They are looked
   * up again after an answer, for which a person may have taken hours. With `ours` an earlier attempt of this run may
   * have changed them; with `again` an answer that was given counts no more. Throws Fault `consent-missing`, those of
   * {@link compareVictim}, and `Stopped` when the question was left.
   */
  async reach(
    instance: Instance,
    lookUp: () => Promise<Victim[]>,
    { ours, again }: { ours: boolean; again: boolean },
  ): Promise<Victim[]> {
    let victims = await namedVictims(instance, lookUp)
    let missing = victims.filter(v => again || !agreedTo(this.#given, v))
    while (missing.length > 0) {
      await this.#ask(instance, missing)
      victims = await namedVictims(instance, lookUp)
      missing = victims.filter(v => !agreedTo(this.#given, v))
    }
    for (const victim of victims) {
      const agreed = agreedTo(this.#given, victim)!
      if (compareVictim(agreed, victim, ours) === 'ours')
        this.#emit({
          code: 'step-repeating',
          step: instance.id,
          because: `${victim.kind} ${victim.name} holds what our own earlier attempt left; it is written again`,
        })
    }
    return victims
  }

  async #ask(instance: Instance, victims: Victim[]): Promise<void> {
    this.#emit({ code: 'consent-needed', step: instance.id, victims })
    // One question at a time: two prompts at once cannot be answered.
    const asked = this.#asking.then(() => (this.#stop.aborted ? undefined : this.#desk({ victims })))
    this.#asking = asked.catch(() => {})
    const answer = await asked
    // Ctrl-C at the question is no answer to it.
    if (!answer && this.#stop.aborted) throw new Stopped()
    if (!answer)
      throw new Fault({
        code: 'consent-missing',
        blame: 'operator',
        message: `nobody agreed to destroying ${victims.map(v => `${v.kind} ${v.name}`).join(', ')}; nothing was written`,
        remedy:
          'Run `recover resume` at a terminal and answer, or approve a saved plan that names these victims with --approve',
      })
    await this.#journal.append({ kind: 'consent', victims, ...answer })
    for (const victim of victims) {
      const old = agreedTo(this.#given, victim)
      if (old) this.#given.splice(this.#given.indexOf(old), 1)
      this.#given.push(victim)
    }
    this.#emit({ code: 'consent-given', by: answer.by, how: answer.how, victims })
  }
}

async function namedVictims(instance: Instance, lookUp: () => Promise<Victim[]>): Promise<Victim[]> {
  const victims = await lookUp()
  if (victims.length > 0) return victims
  throw new Fault({
    code: 'victims-missing',
    blame: 'bug',
    message: `${instance.title} would destroy something and cannot name it; nothing was done`,
    remedy: 'Report it with the run folder’s journal',
  })
}
