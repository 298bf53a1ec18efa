/** What an answer must be. Each that is given must hold. */
export interface Expectation {
  /** Exactly this, blanks at both ends not counted. */
  equals?: string | undefined
  /** Somewhere in it. */
  contains?: string | undefined
  /** A regular expression that fits somewhere in it. */
  matches?: string | undefined
}

/** What is wrong with a text; undefined when it is as expected. */
export function unlike(text: string, { equals, contains, matches }: Expectation): string | undefined {
  const shown = JSON.stringify(text.trim().slice(0, 120))
  if (equals !== undefined && text.trim() !== equals.trim())
    return `${JSON.stringify(equals)} was expected, and it is ${shown}`
  if (contains !== undefined && !text.includes(contains))
    return `the text ${JSON.stringify(contains)} is not in it: ${shown}`
  if (matches !== undefined && !new RegExp(matches, 'm').test(text))
    return `the pattern ${JSON.stringify(matches)} does not fit it: ${shown}`
  return undefined
}
