/** Splits a command as a POSIX shell would, for the quoting that clients use: blanks, '…', "…" and backslashes. */
export function words(command: string): string[] {
  const found: string[] = []
  let word: string | undefined
  for (let i = 0; i < command.length; i += 1) {
    const c = command[i]!
    if (c === "'") {
      const end = command.indexOf("'", i + 1)
      if (end === -1) throw new Error('unterminated quote')
      word = (word ?? '') + command.slice(i + 1, end)
      i = end
    } else if (c === '"') {
      word ??= ''
      for (i += 1; i < command.length && command[i] !== '"'; i += 1) {
        if (command[i] === '\\' && '"\\$`'.includes(command[i + 1] ?? '')) i += 1
        word += command[i]
      }
    } else if (c === '\\') {
      i += 1
      word = (word ?? '') + (command[i] ?? '')
    } else if (/\s/.test(c)) {
      if (word !== undefined) found.push(word)
      word = undefined
    } else word = (word ?? '') + c
  }
  if (word !== undefined) found.push(word)
  return found
}
