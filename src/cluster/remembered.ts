/**
 * What was made of texts, until others need the place: the oldest are forgotten first, and the newest never.
 * @param atMost characters of all texts together, which is what the memory that they take goes by
 */
export class Remembered<T> {
  readonly #atMost: number
  readonly #made = new Map<string, T>()
  #now = 0

  constructor(atMost: number) {
    this.#atMost = atMost
  }

  /** What was made of a text, or is made of it now. Nobody may change it: whoever asks for the same text has it, too. */
  of(text: string, make: () => T): T {
    const before = this.#made.get(text)
    if (before !== undefined) return before
    const made = make()
    this.#made.set(text, made)
    this.#now += text.length
    for (const oldest of this.#made.keys()) {
      if (this.#now <= this.#atMost || this.#made.size === 1) break
      this.#made.delete(oldest)
      this.#now -= oldest.length
    }
    return made
  }
}
