/** What one step asks of the API server at one time: a request waits far longer for the store than it works. */
const atOnce = 8

/**
 * Does something with each of many things, a few at a time, begun in their order, and gives the results in it. After the
 * first error nothing more is begun; it is thrown when nothing runs any more.
 */
export async function inParallel<T, R>(things: readonly T[], work: (thing: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const errors: unknown[] = []
  let next = 0
  const line = async () => {
    while (next < things.length && errors.length === 0) {
      const place = next++
      try {
        results[place] = await work(things[place]!)
      } catch (thrown) {
        errors.push(thrown)
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, line))
  if (errors.length > 0) throw errors[0]
  return results
}
