/** One sign for each state, in every view and in the plan. */
export const marks = {
  done: '✔',
  works: '▸',
  waits: '…',
  note: '·',
  warning: '⚠',
  failed: '✖',
  hand: '☞',
  due: '+',
  destroys: '!',
  blocked: '✖',
  unknown: '?',
} as const

/** Colours for a terminal; the text alone where there are none. */
export function paint(colour: boolean) {
  const with_ = (on: number, off: number) => (text: string) =>
    colour ? `\u001b[${on}m${text}\u001b[${off}m` : text
  return {
    bold: with_(1, 22),
    red: with_(31, 39),
    green: with_(32, 39),
    yellow: with_(33, 39),
    dim: with_(2, 22),
  }
}

/** Breaks a line at blanks so that none is wider than `columns`; later lines begin with `indent` blanks. */
export function wrap(text: string, columns: number, indent: number): string {
  const lines: string[] = []
  let line = ''
  let width = 0
  const lead = /^ */.exec(text)?.[0] ?? ''
  for (const word of text.trim().split(' ')) {
    const length = visible(word)
    if (width > 0 && width + 1 + length > columns) {
      lines.push(line)
      line = ' '.repeat(indent) + word
      width = indent + length
    } else {
      line = width === 0 ? lead + word : `${line} ${word}`
      width = width === 0 ? lead.length + length : width + 1 + length
    }
  }
  return [...lines, line].join('\n')
}

/** Columns that a text takes, colours not counted. */
export function visible(text: string): number {
  return [...text.replaceAll(/\u001b\[\d+m/g, '')].length
}
