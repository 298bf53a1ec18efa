/**
 * Who has to act when something fails.
 * `operator`: the person at the keyboard; `host`: one machine; `network`: something between machines; `bug`: us.
 */
export type Blame = 'operator' | 'host' | 'network' | 'bug'

/** What a {@link Fault} says: every one tells what, where, why and what to do next. */
export interface FaultText {
  /** Stable kebab-case name, unique in the program; listed in docs/errors.md. */
  code: string
  blame: Blame
  /** What failed and where, one sentence without a full stop. */
  message: string
  /** What to do next, in the imperative. */
  remedy: string
  /** The error underneath, kept for the log. */
  cause?: unknown
  /** The failure is known to pass by itself (throttling, a lost connection): a step with retries may try again. */
  transient?: boolean
  /** Places in the user's files: `recover.yaml:14:5`. */
  at?: string
}

/** The only error that domains throw on purpose: coded, blamed, with a remedy. Anything else is a bug. */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: string
  readonly blame: Blame
  readonly remedy: string
  readonly transient: boolean
  readonly at: string | undefined

  constructor(text: FaultText) {
    super(text.message, text.cause === undefined ? undefined : { cause: text.cause })
    this.code = text.code
    this.blame = text.blame
    this.remedy = text.remedy
    this.transient = text.transient ?? false
    this.at = text.at
  }

  /** The same for whoever has waited until it should have passed: it is not transient any more. */
  waitedOut(): Fault {
    return new Fault({
      code: this.code,
      blame: this.blame,
      message: this.message,
      remedy: this.remedy,
      ...(this.at === undefined ? {} : { at: this.at }),
      cause: this.cause,
    })
  }

  /** The form in journals, events and `--json`. Causes are reduced to their message. */
  toJSON(): FaultJson {
    return {
      code: this.code,
      blame: this.blame,
      message: this.message,
      remedy: this.remedy,
      ...(this.at === undefined ? {} : { at: this.at }),
      ...(this.cause === undefined ? {} : { cause: describeCause(this.cause) }),
    }
  }
}

/** A {@link Fault} as data. */
export interface FaultJson {
  code: string
  blame: Blame
  message: string
  remedy: string
  at?: string
  cause?: string
}

/** Wraps whatever was thrown: a Fault passes, anything else becomes code `bug` with its message kept. */
export function toFault(thrown: unknown, doing: string): Fault {
  if (thrown instanceof Fault) return thrown
  return new Fault({
    code: 'bug',
    blame: 'bug',
    message: `${doing}: ${describeCause(thrown)}`,
    remedy: 'Run `recover resume`; if it fails again, report it with the run folder’s log',
    cause: thrown,
  })
}

function describeCause(cause: unknown): string {
  if (cause instanceof Error) {
    const inner = cause.cause === undefined ? '' : `: ${describeCause(cause.cause)}`
    return `${cause.message}${inner}`
  }
  return String(cause)
}
