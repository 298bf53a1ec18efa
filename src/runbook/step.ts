import type { z } from 'zod'
import type { Duration } from './duration.ts'
import type { Fault, FaultText } from './fault.ts'

/** What a step may do to the world. Only `destroys` needs victims and consent. */
export type Danger = 'reads' | 'changes' | 'destroys'

/** What looking at the world said of one step. `unknown` arises by itself when a needed output is not there yet. */
export type Observation<Output> =
  | ({ state: 'done'; output: Output; evidence: string } & Beside)
  | { state: 'due'; changes: string[] }
  | { state: 'blocked'; code: string; reason: string; remedy: string }
  | { state: 'unknown'; until: string }

/** What a person should see whole, in a plan and in a run: every row has a cell for each column, of plain text. */
export interface Table {
  columns: string[]
  rows: string[][]
}

/** What does not keep a step from being done, and may be in the way another day. */
export type Warning = Pick<FaultText, 'code' | 'blame' | 'message' | 'remedy'>

/** What is told beside the evidence. */
export interface Beside {
  table?: Table
  /** Never empty. */
  warnings?: Warning[]
}

/** The step's result is already there. `evidence` is one sentence that a person could check. */
export function done<Output>(
  output: Output,
  evidence: string,
  { table, warnings = [] }: Beside = {},
): Observation<Output> {
  return {
    state: 'done',
    output,
    evidence,
    ...(table ? { table } : {}),
    // Whatever else the finding holds (causes, places) is not journalled.
    ...(warnings.length > 0
      ? { warnings: warnings.map(({ code, blame, message, remedy }) => ({ code, blame, message, remedy })) }
      : {}),
  }
}

/** The step's result is not there; `changes` are what apply would do, one imperative sentence each. */
export function due(...changes: string[]): Observation<never> {
  return { state: 'due', changes }
}

/** The step can't be done until somebody acts. `code` is a stable kebab-case name as in a Fault. */
export function blocked(code: string, reason: string, remedy: string): Observation<never> {
  return { state: 'blocked', code, reason, remedy }
}

/** One thing that a step would destroy. */
export interface Victim {
  /** `disk`, `lun`, … */
  kind: string
  /** How a person calls it: `lithium /dev/nvme0n1`. With `kind` it names the victim within a run. */
  name: string
  /** What makes it this one and no other (serial, WWN, uuid, size, model). Any difference is refused, always. */
  identity: Record<string, string | number>
  /** What is on it now, for the person and to notice that it changed since they agreed. */
  content: string[]
  /** What else a person should know before they agree; shown, and not compared: sizes move, and not every system sees it. */
  remarks?: string[]
}

/** A set of subjects over which steps repeat: hosts, volumes, applications. Journalled, so that a resume sees the same. */
export interface FanOut<Name extends string, Subject> {
  readonly name: Name
  readonly schema: z.ZodType<Subject>
  /** The step whose output lists the subjects; absent when the readers know them from the start. */
  readonly from?: AnyStep
  key(subject: Subject): string
}

// biome-ignore lint/suspicious/noExplicitAny: existential type; the builder keeps every concrete step typed
export type AnyFanOut = FanOut<string, any> & { subjects: (source: any) => unknown[] }

/** What every look at the world may use, besides the readers. */
export interface Looking {
  /** Aborts when the step's limit is over or the person wants to stop now. */
  signal: AbortSignal
  /** Output of a needed step: of the same subject when both fan out over the same set, else the only one. */
  output<O>(step: StepOf<O>): O
  /** Outputs of a needed step that fans out, by subject key. */
  outputs<O>(step: StepOf<O>): Map<string, O>
  /** Output of a needed step for one subject; undefined where it is not done for that one, or not at all. */
  outputOf<O>(step: StepOf<O>, key: string): O | undefined
}

/** What waiting and acting may use, besides the handles. */
export interface Acting extends Looking {
  /** Tells the person something worth knowing now. */
  note(text: string): void
  /** Tells how far a long action is: bytes, files, objects. */
  progress(done: number, total: number, unit: string): void
  /** Asks a person to do something with their hands; returns at once. Waiting for the result is {@link wait}'s. */
  askHand(text: string): void
  /**
   * Looks again and again until `probe` gives a value other than undefined. Ends with Fault `wait-timed-out` after
   * `limit` (default: what is left of the step), and at once when the person stops the run.
   */
  wait<T>(what: string, probe: () => Promise<T | undefined>, options?: WaitOptions): Promise<T>
}

export interface WaitOptions {
  /** Time between two looks; default 1s. Scaled by the run's pace. */
  every?: Duration
  limit?: Duration
  /** Faults that pass by themselves end the wait: for looking over a line that does not come back. */
  impatient?: boolean
}

/** How often an attempt is repeated, and only for faults that are known to pass (`transient`). */
export interface Retry {
  times: number
  /** Wait before the second attempt; doubles for each further one. */
  delay: Duration
}

type SubjectOf<F> = F extends FanOut<infer Name, infer Subject> ? { readonly [K in Name]: Subject } : object
type TitleOf<F> = F extends FanOut<string, infer Subject> ? string | ((subject: Subject) => string) : string

interface StepCommon<Readers extends object, F, Output> {
  /** `phase/intent`, unique in the runbook: `hosts/install-flatcar`. */
  id: string
  title: TitleOf<F>
  /** What a person would do instead, with their hands and ordinary programs: for the wall, if this tool were gone too. */
  byHand?: string
  each?: F
  /** Only for these subjects of the fan-out. */
  only?: F extends FanOut<string, infer Subject> ? (subject: Subject) => boolean : never
  needs?: readonly AnyStep[]
  /**
   * Of needed steps over another fan-out: the keys of the subjects that it needs; all of them where this is not given. The
   * others may go wrong without holding it up.
   */
  needsOf?: F extends FanOut<string, infer Subject> ? (subject: Subject) => readonly string[] : never
  /** Within the fan-out: keys of subjects whose instance of this same step must be done before. */
  after?: F extends FanOut<string, infer Subject> ? (subject: Subject) => readonly string[] : never
  /**
   * Id of a later step that ends this one's claim on purpose (what was held is released, what was evidence is wiped).
   * Once that step has begun, this one is taken from the journal and not observed again.
   */
  holdsUntil?: string
  /**
   * Phases for whose sake it is done, when it stands in another one: a run of only those phases does it, a run of others
   * leaves it out. A change that says nothing here must have been made before a run that leaves out its phase.
   */
  serves?: readonly string[]
  bounds: { expected: Duration; limit: Duration }
  /** Names of bounded resources: `nas`, `host:lithium`. */
  uses?: F extends FanOut<string, infer Subject>
    ? (subject: Subject) => readonly string[]
    : () => readonly string[]
  retry?: Retry
  /** Shape of what later steps may read. Checked before it is journalled; never holds a secret. */
  output: z.ZodType<Output>
  observe(look: Readers & SubjectOf<F> & Looking): Promise<Observation<Output>>
}

/** A step that only looks; `settle` may wait for the world to get there by itself. */
export interface ReadingStep<R extends object, F, O> extends StepCommon<R, F, O> {
  danger: 'reads'
  settle?(look: R & SubjectOf<F> & Acting): Promise<void>
  apply?: never
  victims?: never
}

export interface ChangingStep<R extends object, W extends R, F, O> extends StepCommon<R, F, O> {
  danger: 'changes'
  apply(act: W & SubjectOf<F> & Acting): Promise<void>
  victims?: never
  settle?: never
}

export interface DestroyingStep<R extends object, W extends R, F, O> extends StepCommon<R, F, O> {
  danger: 'destroys'
  /**
   * What apply would destroy, looked up now. Never empty while the step is due.
   * @param begun an earlier attempt of this run may have written to it: what is inside is not told from what we left there
   */
  victims(look: R & SubjectOf<F> & Looking, begun?: boolean): Promise<Victim[]>
  apply(act: W & SubjectOf<F> & Acting): Promise<void>
  settle?: never
}

export type StepDefinition<R extends object, W extends R, F, O> =
  | ReadingStep<R, F, O>
  | ChangingStep<R, W, F, O>
  | DestroyingStep<R, W, F, O>

/** A step seen by another step: only its identity and the type of its output. */
export interface StepOf<Output> {
  readonly id: string
  readonly output: z.ZodType<Output>
}

/** A step as the engine sees it, its type parameters forgotten. */
export interface AnyStep {
  readonly id: string
  // biome-ignore lint/suspicious/noExplicitAny: existential types; `kit` has checked each definition
  readonly title: string | ((subject: any) => string)
  readonly danger: Danger
  readonly byHand?: string
  readonly each?: AnyFanOut
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly only?: (subject: any) => boolean
  readonly needs?: readonly AnyStep[]
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly needsOf?: (subject: any) => readonly string[]
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly after?: (subject: any) => readonly string[]
  readonly holdsUntil?: string
  readonly serves?: readonly string[]
  readonly bounds: { expected: Duration; limit: Duration }
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly uses?: (subject: any) => readonly string[]
  readonly retry?: Retry
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly output: z.ZodType<any>
  // biome-ignore lint/suspicious/noExplicitAny: as above
  observe(look: any): Promise<Observation<any>>
  // biome-ignore lint/suspicious/noExplicitAny: as above
  settle?(look: any): Promise<void>
  // biome-ignore lint/suspicious/noExplicitAny: as above
  victims?(look: any, begun?: boolean): Promise<Victim[]>
  // biome-ignore lint/suspicious/noExplicitAny: as above
  apply?(act: any): Promise<void>
}

/** A step whose output's type is known; usable wherever any step is. */
export type Step<Output> = Omit<AnyStep, 'output'> & StepOf<Output>

/** The builders for one runbook's steps, bound to the handles that its steps may reach. */
export interface Kit<R extends object, W extends R> {
  step<O, const Name extends string = never, S = never>(
    definition: StepDefinition<R, W, [Name] extends [never] ? undefined : FanOut<Name, S>, O>,
  ): Step<O>
  /** Subjects that the readers know from the start. */
  fanOut<const Name extends string, S>(fan: {
    name: Name
    schema: z.ZodType<S>
    key: (subject: S) => string
    subjects: (readers: R) => S[]
  }): FanOut<Name, S>
  /** Subjects that a step's output lists. */
  fanOutFrom<O, const Name extends string, S>(
    from: Step<O>,
    fan: { name: Name; schema: z.ZodType<S>; key: (subject: S) => string; subjects: (output: O) => S[] },
  ): FanOut<Name, S>
}

/** Makes the builders. `Readers` are what observe gets, `Writers` what apply gets; every writer extends its reader. */
export function kit<R extends object, W extends R>(): Kit<R, W> {
  return {
    step: definition => definition as unknown as Step<never>,
    fanOut: fan => fan as never,
    fanOutFrom: (from, fan) => ({ ...fan, from }) as never,
  }
}

/** The journalled name of one step for one subject: `hosts/install-flatcar[lithium]`. */
export function instanceId(step: { id: string }, key: string | undefined): string {
  return key === undefined ? step.id : `${step.id}[${key}]`
}

/**
 * Raised by `output()` for a step that is not done; the engine turns it into `unknown until STEP`. It is no Error: a plan of
 * thousands of volumes raises as many, and the stack of each would be taken down for nobody.
 */
export class NotYet {
  readonly until: string
  constructor(until: string) {
    this.until = until
  }

  toString(): string {
    return `not known until ${this.until}`
  }
}

/** What the engine hands on when a step ends badly. */
export interface StepFailure {
  step: string
  title: string
  fault: Fault
}
