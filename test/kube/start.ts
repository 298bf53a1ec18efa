import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Starts the tests of test/kube in namespaces of their own: a network of which only loopback leads anywhere, so that no
 * port is anybody else's and nothing reaches a real cluster, and a tree of processes of which nothing is left when the
 * tests are over, whatever ended them. Where no namespaces can be made, every test says why it is skipped.
 *
 * `node dist/test/kube/start.js [bench] [arguments of vitest]`
 */
// Compiled, it lies in dist/test/kube.
const root = join(import.meta.dirname, '../../..')
const [first, ...rest] = process.argv.slice(2)
const bench = first === 'bench'
const command = bench
  ? [process.execPath, join(root, 'dist/test/bench/kube.js'), ...rest]
  : [
      process.execPath,
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--config',
      'vitest.kube.config.ts',
      ...process.argv.slice(2),
    ]
// The shell in front is process 1 of the tree: it collects what the tests leave behind. Without root, the namespaces are those of a user namespace of our own.
const unshare = [
  ...['unshare', ...(process.getuid?.() === 0 ? [] : ['--map-root-user']), '--net', '--mount', '--pid'],
  ...['--fork', '--kill-child', '--mount-proc', 'sh', '-c'],
  // Argo CD's controller leaves manifests and a kubeconfig there when it is killed.
  'mount -t tmpfs tmpfs /dev/shm && ip link set lo up && "$@"; exit $?',
  'sh',
]
const possible = spawnSync(unshare[0]!, [...unshare.slice(1), 'true']).status === 0
const folder = mkdtempSync(join(tmpdir(), 'recover-kube-'))
const [program, ...args] = possible ? [...unshare, ...command] : command
const { status, error } = spawnSync(program!, args, {
  cwd: root,
  // Everything that the tests write lies below one folder.
  env: { ...process.env, ...(possible ? { RECOVER_KUBE: folder, TMPDIR: folder } : {}) },
  stdio: 'inherit',
})
rmSync(folder, { recursive: true, force: true })
if (error) throw error
process.exit(status ?? 1)
