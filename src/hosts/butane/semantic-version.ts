/**
 * A version with three numbers in its plain form; `1.05.0` is taken for `1.5.0`.
 * @returns undefined for what is no such version.
 */
export function semanticVersion(text: string): string | undefined {
  const [rest, metadata] = cut(text, '+')
  const [plain, preRelease] = cut(rest, '-')
  const parts = plain.split('.')
  if (parts.length !== 3) return undefined
  const identifier = /^(?:|[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)$/
  if (!identifier.test(preRelease) || !identifier.test(metadata)) return undefined
  const numbers: bigint[] = []
  for (const part of parts) {
    if (!/^[-+]?[0-9]+$/.test(part)) return undefined
    const number = BigInt(part.replace('+', ''))
    if (BigInt.asIntN(64, number) !== number) return undefined
    numbers.push(number)
  }
  const ending = (mark: string, word: string) => (word === '' ? '' : `${mark}${word}`)
  return `${numbers.join('.')}${ending('-', preRelease)}${ending('+', metadata)}`
}

function cut(text: string, mark: string): [before: string, behind: string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
