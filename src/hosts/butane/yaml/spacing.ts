import { type Characters, isBlank, isBreak, isBreakOrEnd } from './characters.ts'

/** How far the library looks for a comment. */
const sight = 512

/**
 * Goes past white space and comments between two tokens.
 * @param tabs whether tabs are white space here: in flow collections, and where no key can begin.
 * @param lineBegan is called for every line break.
 */
export function skipToToken(chars: Characters, tabs: () => boolean, lineBegan: () => void): void {
  for (;;) {
    if (chars.mark.index === 0 && chars.peek() === '\ufeff') chars.skip()
    while (chars.peek() === ' ' || (chars.peek() === '\t' && tabs())) chars.skip()
    if (chars.peek() === '#') skipComments(chars)
    if (!isBreak(chars.peek())) return
    chars.readBreak()
    lineBegan()
  }
}

// Comment lines that follow one another go together, tabs before the later ones included.
function skipComments(chars: Characters): void {
  for (;;) {
    skipComment(chars)
    let ahead = 0
    while (ahead < sight && (isBlank(chars.peek(ahead)) || isBreak(chars.peek(ahead)))) ahead++
    if (ahead >= sight || chars.peek(ahead) !== '#') return
    while (chars.peek() !== '#')
      if (isBreak(chars.peek())) chars.readBreak()
      else chars.skip()
  }
}

/** Goes to the end of the line. */
export function skipComment(chars: Characters): void {
  while (!isBreakOrEnd(chars.peek())) chars.skip()
}

/** Goes past a comment that follows a token on its line. */
export function skipLineComment(chars: Characters): void {
  if (chars.newlines > 0) return
  let ahead = 0
  while (ahead < sight && isBlank(chars.peek(ahead))) ahead++
  if (ahead < sight && chars.peek(ahead) === '#') skipComment(chars)
}
