/**
 * Text made fit for one row of a screen: what a remote machine answered may hold newlines, tabs or escape sequences,
 * and any of them would break a frame that is drawn over itself.
 */
export function oneLine(text: string): string {
  return text
    .replaceAll(/\u001b\[[0-?]*[ -/]*[@-~]/g, '')
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .trim()
}

/** Columns that a text takes on a screen: wide characters count twice (Unicode TR 11), combining marks not at all. */
export function widthOf(text: string): number {
  let width = 0
  for (const char of text) width += columnsOf(char)
  return width
}

/** The text in at most `columns` columns, with `…` where something was cut. */
export function clip(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  return columns < 1 ? '' : `${head(text, columns - 1)}…`
}

/** The text in at most `most` lines of at most `columns` columns, broken at blanks; `…` where something was cut. */
export function fold(text: string, columns: number, most: number): string[] {
  const lines: string[] = []
  let rest = text.trim()
  while (rest !== '') {
    if (lines.length === most - 1 || widthOf(rest) <= columns) return [...lines, clip(rest, columns)]
    const cut = head(rest, columns)
    // A blank right after the cut is as good a place as one within it.
    const blank = rest[cut.length] === ' ' ? cut.length : cut.lastIndexOf(' ')
    const line = blank > 0 ? rest.slice(0, blank) : cut || [...rest][0]!
    lines.push(line)
    rest = rest.slice(line.length).trimStart()
  }
  return lines
}

/** The longest beginning that takes no more than `columns`. */
function head(text: string, columns: number): string {
  let width = 0
  let end = 0
  for (const char of text) {
    width += columnsOf(char)
    if (width > columns) break
    end += char.length
  }
  return text.slice(0, end)
}

function columnsOf(char: string): number {
  const code = char.codePointAt(0)!
  // Nearly everything; the look-up below would make a frame ten times as dear.
  if (code < 0x300 && code !== 0xad) return 1
  if (/^[\p{Mn}\p{Me}\p{Cf}]$/u.test(char)) return 0
  const wide =
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1f9ff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  return wide ? 2 : 1
}
