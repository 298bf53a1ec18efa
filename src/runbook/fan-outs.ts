import type { RunEventBody } from './events.ts'
import { Fault } from './fault.ts'
import type { Journal } from './journal.ts'
import type { Claims } from './replay.ts'
import type { AnyFanOut } from './step.ts'

/** One thing that steps are done for, by its key. */
interface Subject {
  key: string
  subject: unknown
}

/** What the steps of each fan-out are done for: found once, journalled, and kept for the whole run. */
export class FanOuts {
  readonly #journalled: Claims['fanOuts']
  readonly #journal: Journal
  readonly #emit: (event: RunEventBody) => void
  readonly #unwritable: (thrown: unknown) => void
  readonly #found = new Map<string, Subject[]>()

  constructor(of: {
    journalled: Claims['fanOuts']
    journal: Journal
    emit: (event: RunEventBody) => void
    /** Told when the journal does not take the list. */
    unwritable: (thrown: unknown) => void
  }) {
    this.#journalled = of.journalled
    this.#journal = of.journal
    this.#emit = of.emit
    this.#unwritable = of.unwritable
  }

  /**
   * The subjects of a fan-out: those that the journal names where it does, with a notice where the world has others by
   * now. Throws Fault `fan-out-ambiguous`.
   */
  subjects(fan: AnyFanOut, source: unknown): Subject[] {
    const known = this.#found.get(fan.name)
    if (known) return known
    const found = fan.subjects(source).map(s => ({ key: fan.key(s), subject: fan.schema.parse(s) }))
    const journalled = this.#journalled.get(fan.name)
    if (journalled) {
      const then = journalled.map(s => s.key).join(', ')
      const today = found.map(s => s.key).join(', ')
      if (then !== today)
        this.#emit({
          code: 'notice',
          about: 'fan-out-moved',
          text: `This run works on ${fan.name}s ${then}; looking now gives ${today || 'none'}. It goes on with its own list`,
        })
      const kept = journalled.map(s => ({ key: s.key, subject: fan.schema.parse(s.subject) }))
      this.#found.set(fan.name, kept)
      return kept
    }
    const keys = new Set<string>()
    const twice = found.find(({ key }) => keys.size === keys.add(key).size)
    if (twice)
      throw new Fault({
        code: 'fan-out-ambiguous',
        blame: 'bug',
        message: `two ${fan.name}s are called ${twice.key}`,
        remedy: 'Report it with the run folder’s journal',
      })
    this.#found.set(fan.name, found)
    // Durable before any of its steps can be: the journal keeps the order of its records.
    this.#journal.append({ kind: 'fan-out', name: fan.name, subjects: found }).catch(this.#unwritable)
    return found
  }
}
