/**
 * Lets so many through at a time; the others wait in order. An sshd refuses sessions on one connection from 10 on, and
 * closing ones still count.
 */
export function turnstile(atOnce: number): <T>(pass: () => Promise<T>) => Promise<T> {
  let inside = 0
  const waiting: (() => void)[] = []
  return async pass => {
    if (inside >= atOnce) await new Promise<void>(resolve => waiting.push(resolve))
    else inside += 1
    try {
      return await pass()
    } finally {
      // Whoever waits takes the place over, so that nobody slips in between.
      const next = waiting.shift()
      if (next) next()
      else inside -= 1
    }
  }
}

/** Sessions at once on one connection to an sshd. */
export const sessionsAtOnce = 4
