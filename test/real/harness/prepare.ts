import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { debianRoot } from './debian-root.ts'
import { sushyTools } from './sushy-tools.ts'

/** What the tests find prepared, or why they cannot run here. */
export type Prepared = { missing: string } | Place

export interface Place {
  /** A memory file system that is gone with the tests. */
  folder: string
  /** A Debian system, to be laid under hosts and never written to. */
  debian: string
  /** A Python with sushy-tools and sushy, or why there is none. */
  sushy: { python: string } | { missing: string }
}

const programs = ['ip', 'nft', 'mmdebstrap', 'systemd-nspawn', 'ssh-keygen', 'unshare', 'nsenter']

/** Fills the caches, for which the network is needed: the tests themselves have none. */
export function prepare(tell: (text: string) => void): Prepared {
  if (process.platform !== 'linux') return { missing: 'it needs Linux' }
  if (process.getuid?.() !== 0) return { missing: 'it needs root' }
  const absent = programs.filter(name => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0)
  if (absent.length > 0)
    return { missing: `not installed: ${absent.join(', ')} (.ci/run names the Debian packages)` }
  if (spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'true']).status !== 0)
    return { missing: 'this machine lets nobody make namespaces' }
  return {
    folder: mkdtempSync(join(tmpdir(), 'recover-real-')),
    debian: join(debianRoot(tell), 'root'),
    sushy: sushyTools(tell),
  }
}
