import { closeSync, openSync, readSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'

/**
 * One line, edited as a terminal's own line discipline does: backspace, Ctrl-U, Enter. Undefined for Ctrl-C, Ctrl-D and
 * the end of the input.
 * @param next the next byte that was typed; undefined at the end
 */
export function lineOf(next: () => number | undefined, echo: (text: string) => void): string | undefined {
  let typed: number[] = []
  // What takes several bytes is shown when it is whole.
  const shown = new StringDecoder('utf8')
  for (;;) {
    const byte = next()
    switch (byte) {
      case undefined:
      case 0x03:
      case 0x04:
        echo('\r\n')
        return undefined
      case 0x0a:
      case 0x0d:
        echo('\r\n')
        return Buffer.from(typed).toString('utf8').trim()
      case 0x08:
      case 0x7f: {
        const before = [...Buffer.from(typed).toString('utf8')]
        if (before.length > 0) echo('\b \b')
        typed = [...Buffer.from(before.slice(0, -1).join(''))]
        break
      }
      case 0x15:
        echo('\b \b'.repeat([...Buffer.from(typed).toString('utf8')].length))
        typed = []
        break
      default:
        // Arrow keys and the like begin with a control character; the rest of them is harmless.
        if (byte >= 0x20) {
          typed.push(byte)
          echo(shown.write(Buffer.from([byte])))
        }
    }
  }
}

/**
 * A line from the terminal, read synchronously: nothing is drawn over the question while a person decides. The terminal
 * is raw meanwhile, since Node handles no signal while it reads: Ctrl-C is a byte like any other and means what it means
 * elsewhere, by `interrupted`. Undefined when nobody answered.
 */
export function askLine(echo: (text: string) => void, interrupted: () => void): string | undefined {
  const { stdin } = process
  const fd = openSync('/dev/tty', 'r')
  const raw = stdin.isRaw
  stdin.setRawMode(true)
  let last: number | undefined
  try {
    const byte = Buffer.alloc(1)
    return lineOf(() => {
      last = readSync(fd, byte, 0, 1, null) === 1 ? byte[0] : undefined
      return last
    }, echo)
  } finally {
    stdin.setRawMode(raw)
    closeSync(fd)
    if (last === 0x03) interrupted()
  }
}
