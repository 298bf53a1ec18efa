import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { prepare } from './harness/prepare.ts'

/**
 * Starts the tests of test/real. As root they run in namespaces of their own: a network without any way out, in which
 * the test process itself stands beside its machines; mounts that nobody else sees; and a tree of processes of which
 * nothing is left when the tests are over, whatever ended them. Not as root, every test says why it is skipped.
 *
 * `node dist/test/real/start.js [--prepare] [arguments of vitest]`; with --prepare only the caches are filled.
 */
// Compiled, it lies in dist/test/real.
const root = join(import.meta.dirname, '../../..')
const args = process.argv.slice(2)
const onlyPrepare = args.includes('--prepare')
const prepared = prepare(text => process.stderr.write(`test/real: ${text}\n`))
if (onlyPrepare) {
  if ('folder' in prepared) rmSync(prepared.folder, { recursive: true, force: true })
  process.exit('missing' in prepared ? 1 : 0)
}

const vitest = [
  process.execPath,
  join(root, 'node_modules/vitest/vitest.mjs'),
  'run',
  '--config',
  'vitest.real.config.ts',
  ...args,
]
const env = { ...process.env, RECOVER_REAL: JSON.stringify(prepared) }
const within = join(root, 'test/real/harness/within.sh')
const command =
  'missing' in prepared
    ? vitest
    : // The shell in front is process 1 of the tree: it collects what the tests leave behind.
      [
        'unshare',
        '--net',
        '--mount',
        '--pid',
        '--fork',
        '--kill-child',
        '--mount-proc',
        within,
        prepared.folder,
        ...vitest,
      ]
const [program, ...rest] = command
const { status, error } = spawnSync(program!, rest, { cwd: root, env, stdio: 'inherit' })
if ('folder' in prepared) rmSync(prepared.folder, { recursive: true, force: true })
if (error) throw error
process.exit(status ?? 1)
