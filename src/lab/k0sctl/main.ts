import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onlyLoopback } from '../isolation.ts'

/**
 * A stand-in for the program k0sctl: the same flags, output, phases and exit codes, and the same commands on the
 * machines as the real one was seen to send, as far as machines of a lab can tell the difference.
 */

onlyLoopback()
const cache = join(process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? '/tmp', '.cache'), 'k0sctl')
const log = join(cache, 'k0sctl.log')
mkdirSync(cache, { recursive: true })
writeFileSync(log, 'level=info msg="###### New session ######"\n', { flag: 'a', mode: 0o600 })
const args = process.argv.slice(2)
if (args[0] === 'version') process.stdout.write('version: v0.32.2\ncommit: lab\n')
else {
  // Asked for its version before everything else, and far more often than for anything else.
  const { command } = await import('./command.ts')
  process.exitCode = await command(args, log)
}
