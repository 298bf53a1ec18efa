/**
 * Counts who holds which bounded resource. Names may carry a subject (`host:lithium`); the bound is looked up by the
 * whole name first, then by the part before the colon, and is 1 when nothing is said.
 */
export class Limits {
  private readonly bounds: Record<string, number>
  private readonly held = new Map<string, number>()

  constructor(bounds: Record<string, number>) {
    this.bounds = bounds
  }

  /** Takes all of them or none. */
  take(names: readonly string[]): boolean {
    if (!names.every(name => (this.held.get(name) ?? 0) < this.bound(name))) return false
    for (const name of names) this.held.set(name, (this.held.get(name) ?? 0) + 1)
    return true
  }

  give(names: readonly string[]): void {
    for (const name of names) this.held.set(name, (this.held.get(name) ?? 1) - 1)
  }

  private bound(name: string): number {
    return this.bounds[name] ?? this.bounds[name.split(':')[0] ?? name] ?? 1
  }
}
