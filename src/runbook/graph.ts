import type { Runbook } from './runbook.ts'
import { sources } from './runbook.ts'
import { type AnyFanOut, type AnyStep, instanceId, NotYet } from './step.ts'

/** One step for one subject. */
export interface Instance {
  id: string
  step: AnyStep
  phase: string
  title: string
  key: string | undefined
  subject: unknown
  /** Needs that are not settled yet. */
  waits: number
  dependents: Instance[]
  settled: boolean
  /** Set once the step is done; what later steps read. */
  result?: { output: unknown }
}

interface Group {
  step: AnyStep
  phase: string
  instances: Instance[]
  byKey: Map<string | undefined, Instance>
  /** Not yet settled; meaningful once expanded. */
  left: number
  expanded: boolean
  waiters: Instance[]
  /** Wait for some of its instances, once those are known. */
  expecting: Instance[]
}

/** Who is told when an instance can start, and when a fan-out became known. */
export interface GraphListener {
  ready(instance: Instance): void
  known(instances: Instance[]): void
  /** The subjects of a fan-out, looked up when its source is done. */
  subjects(fan: AnyFanOut, source: unknown): { key: string; subject: unknown }[]
}

/** The steps of a runbook as instances, released the moment their needs are settled. */
export class StepGraph {
  private readonly groups = new Map<string, Group>()
  /** Groups by the step that their fan-out comes from. */
  private readonly fannedOutFrom = new Map<string, Group[]>()
  private readonly listener: GraphListener

  constructor(runbook: Runbook, listener: GraphListener) {
    this.listener = listener
    for (const phase of runbook.phases)
      for (const step of phase.steps) {
        const group: Group = {
          step,
          phase: phase.id,
          instances: [],
          byKey: new Map(),
          left: 0,
          expanded: false,
          waiters: [],
          expecting: [],
        }
        this.groups.set(step.id, group)
        const from = step.each?.from
        if (from) this.fannedOutFrom.set(from.id, [...(this.fannedOutFrom.get(from.id) ?? []), group])
      }
  }

  /** Expands everything that is known without running anything, and releases what needs nothing. */
  begin(readers: object): void {
    const fresh: Instance[] = []
    for (const group of this.groups.values()) {
      const fan = group.step.each
      if (fan === undefined) fresh.push(...this.expand(group, [{ key: undefined, subject: undefined }]))
      else if (fan.from === undefined) fresh.push(...this.expand(group, this.listener.subjects(fan, readers)))
    }
    this.release(fresh)
  }

  /** All instances known so far, in runbook order. */
  *instances(): Generator<Instance> {
    for (const group of this.groups.values()) yield* group.instances
  }

  /** Steps whose fan-out is not known, in runbook order. */
  *unexpanded(): Generator<{ step: AnyStep; phase: string }> {
    for (const group of this.groups.values()) if (!group.expanded) yield group
  }

  /** Whether a step is in this runbook: one of some phases alone leaves steps out that others need. */
  has(step: string): boolean {
    return this.groups.has(step)
  }

  instance(step: string, key: string | undefined): Instance | undefined {
    return this.groups.get(step)?.byKey.get(key)
  }

  instancesOf(step: string): Instance[] {
    return this.groups.get(step)?.instances ?? []
  }

  /**
   * An instance has ended; with a result, or (when planning) without one. Releases what waited for it and expands the
   * fan-outs that it is the source of.
   */
  settle(instance: Instance, result: { output: unknown } | undefined): void {
    instance.settled = true
    if (result) instance.result = result
    const fresh: Instance[] = []
    const group = this.groups.get(instance.step.id)!
    group.left -= 1
    for (const dependent of instance.dependents) this.countDown(dependent, fresh)
    if (result)
      for (const other of this.fannedOutFrom.get(instance.step.id) ?? []) {
        if (other.expanded) continue
        const subjects = this.listener.subjects(other.step.each!, result.output)
        fresh.push(...this.expand(other, subjects))
      }
    this.complete(group, fresh)
    this.release(fresh)
  }

  /** What was not begun because it comes after a failed instance of the same step, each with that one. */
  leftAfter(failed: ReadonlySet<string>): Map<Instance, Instance> {
    const left = new Map<Instance, Instance>()
    const follow = (cause: Instance, from: Instance) => {
      for (const dependent of from.dependents)
        if (dependent.step === cause.step && !left.has(dependent)) {
          left.set(dependent, cause)
          follow(cause, dependent)
        }
    }
    for (const instance of this.instances()) if (failed.has(instance.id)) follow(instance, instance)
    return left
  }

  /** What a step may read of the others. */
  lookup(instance: Instance, step: { id: string }): unknown {
    const group = this.groups.get(step.id)
    if (!group) throw new Error(`${instance.id} reads ${step.id}, which is not in the runbook`)
    const same = group.step.each !== undefined && group.step.each === instance.step.each
    const source = group.byKey.get(same ? instance.key : undefined)
    if (!source?.result) throw new NotYet(source?.id ?? step.id)
    return source.result.output
  }

  lookupAll(step: { id: string }): Map<string, unknown> {
    const group = this.groups.get(step.id)
    if (!group?.expanded) throw new NotYet(step.id)
    const found = new Map<string, unknown>()
    for (const source of group.instances) {
      if (!source.result) throw new NotYet(source.id)
      found.set(source.key ?? '', source.result.output)
    }
    return found
  }

  private expand(group: Group, subjects: { key: string | undefined; subject: unknown }[]): Instance[] {
    group.expanded = true
    const { step } = group
    for (const { key, subject } of subjects) {
      if (key !== undefined && step.only && !step.only(subject)) continue
      const instance: Instance = {
        id: instanceId(step, key),
        step,
        phase: group.phase,
        title: typeof step.title === 'string' ? step.title : step.title(subject),
        key,
        subject,
        waits: 0,
        dependents: [],
        settled: false,
      }
      group.instances.push(instance)
      group.byKey.set(key, instance)
    }
    group.left = group.instances.length
    for (const instance of group.instances) this.connect(instance, group)
    this.listener.known(group.instances)
    // Nobody can wait yet for a group that has just been expanded, except those whose own group was expanded before.
    const fresh = group.instances.filter(i => i.waits === 0)
    for (const instance of group.expecting.splice(0)) {
      this.waitForSome(instance, group)
      this.countDown(instance, fresh)
    }
    if (group.left === 0) this.complete(group, fresh)
    return fresh
  }

  private connect(instance: Instance, group: Group): void {
    for (const need of sources(group.step)) this.waitFor(instance, need)
    const { after } = group.step
    if (after === undefined) return
    for (const key of after(instance.subject)) {
      const earlier = group.byKey.get(key)
      if (earlier && earlier !== instance && !earlier.settled) {
        earlier.dependents.push(instance)
        instance.waits += 1
      }
    }
  }

  /**
   * Makes an instance wait for a need. One that does not exist (left out by `only`, a fan-out over nothing, or a step of a
   * phase that this run leaves out) is passed
   * through: what it would have waited for still comes first.
   */
  private waitFor(instance: Instance, need: AnyStep, passed?: Set<AnyStep>): void {
    const other = this.groups.get(need.id)
    if (!other) {
      passed ??= new Set()
      if (passed.has(need)) return
      passed.add(need)
      for (const further of sources(need)) this.waitFor(instance, further, passed)
    } else if (other.step.each !== undefined && other.step.each === instance.step.each) {
      const same = other.byKey.get(instance.key)
      if (!same) for (const further of sources(need)) this.waitFor(instance, further)
      else if (!same.settled) {
        same.dependents.push(instance)
        instance.waits += 1
      }
    } else if (other.step.each !== undefined && instance.step.needsOf) {
      if (other.expanded) this.waitForSome(instance, other)
      else {
        other.expecting.push(instance)
        instance.waits += 1
      }
    } else if (other.expanded && other.instances.length === 0)
      for (const further of sources(need)) this.waitFor(instance, further)
    else if (!other.expanded || other.left > 0) {
      other.waiters.push(instance)
      instance.waits += 1
    }
  }

  /** Makes an instance wait for those of a group's that it named. */
  private waitForSome(instance: Instance, group: Group): void {
    for (const key of instance.step.needsOf?.(instance.subject) ?? []) this.waitForOne(instance, group, key)
  }

  /** What is left out for a subject is passed through, as above. */
  private waitForOne(instance: Instance, group: Group, key: string): void {
    const one = group.byKey.get(key)
    if (one && !one.settled) {
      one.dependents.push(instance)
      instance.waits += 1
    }
    if (one) return
    for (const further of sources(group.step)) {
      const above = this.groups.get(further.id)
      if (above && above.step.each === group.step.each) this.waitForOne(instance, above, key)
      else this.waitFor(instance, further)
    }
  }

  private complete(group: Group, fresh: Instance[]): void {
    if (!group.expanded || group.left > 0) return
    const { waiters } = group
    group.waiters = []
    for (const waiter of waiters) {
      if (group.instances.length === 0)
        for (const further of sources(group.step)) this.waitFor(waiter, further)
      this.countDown(waiter, fresh)
    }
  }

  private countDown(instance: Instance, fresh: Instance[]): void {
    instance.waits -= 1
    if (instance.waits === 0) fresh.push(instance)
  }

  private release(fresh: Instance[]): void {
    for (const instance of fresh) if (!instance.settled) this.listener.ready(instance)
  }
}
