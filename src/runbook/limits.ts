/**
 * Counts who holds which bounded resource. Names may carry a subject (`host:lithium`); the bound is looked up by the
 * whole name first, then by the part before the colon, and is 1 when nothing is said.
 */
export class Limits {
  private readonly bounds: Record<string, number>
  private readonly places = new Map<string, number>()

  constructor(bounds: Record<string, number>) {
    this.bounds = bounds
  }

  /** Takes all of them, or none and says which one is in the way. */
  take(names: readonly string[]): string | undefined {
    const full = names.find(name => !this.free(name))
    if (full === undefined) for (const name of names) this.places.set(name, this.left(name) - 1)
    return full
  }

  give(names: readonly string[]): void {
    for (const name of names) this.places.set(name, this.left(name) + 1)
  }

  free(name: string): boolean {
    return this.left(name) > 0
  }

  private left(name: string): number {
    return this.places.get(name) ?? this.bounds[name] ?? this.bounds[name.split(':')[0] ?? name] ?? 1
  }
}
