import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, until } from './commands.ts'
import { place } from './place.ts'

/** Who may log in to a target. CHAP wants a secret of 12 characters at least. */
export interface Chap {
  user: string
  password: string
}

/** A real iSCSI target in user space: the block devices of a NAS. */
export interface IscsiTarget {
  /** `ADDRESS:3260`. */
  portal: string
  /** tgt's control number, by which another may speak to it. */
  control: number
  /** Shows a file as a disk behind an IQN of its own. */
  share(disk: { iqn: string; file: string; serial: string }): void
  /** Shows a file to everybody, without a password, and gives what takes it away again. */
  shareOpenly(disk: { iqn: string; file: string; serial?: string }): () => void
  /** Ends a target by its number, with whoever is logged in. */
  forget(target: number): void
  /** Initiators that are logged in to an IQN now. */
  sessions(iqn: string): string[]
  close(): Promise<void>
}

/** The control socket that the next one takes; several may run side by side. */
let next = 1

/** Starts Debian's `tgtd` at an address of the tests' own network. */
export async function startIscsiTarget(address: string, chap: Chap): Promise<IscsiTarget> {
  const control = String(next)
  next += 1
  mkdirSync('/var/run/tgtd', { recursive: true })
  const log = join(mkdtempSync(join(place().folder, 'tgtd-')), 'log')
  const out = openSync(log, 'a')
  const portal = `${address}:3260`
  const daemon = spawn('tgtd', ['-f', '-C', control, '--iscsi', `portal=${portal}`], {
    stdio: ['ignore', out, out],
  })
  let over = false
  const ended = new Promise<void>(resolve =>
    daemon.once('exit', () => {
      over = true
      resolve()
    }),
  )
  const tgtadm = (...args: string[]) => run('tgtadm', '-C', control, '--lld', 'iscsi', ...args)
  await until('tgtd', 20_000, () => tgtadm('--op', 'show', '--mode', 'target') && true, {
    dead: () => (over ? readFileSync(log, 'utf8') : undefined),
  }).catch(thrown => {
    // It says nothing while there is no target; that it answers is enough.
    if (over) throw thrown
  })
  tgtadm('--op', 'new', '--mode', 'account', '--user', chap.user, '--password', chap.password)
  const numbers = new Map<string, string>()
  /** A number that no target has. */
  const free = () => {
    const used = [...tgtadm('--op', 'show', '--mode', 'target').matchAll(/^Target (\d+):/gm)]
    return String(Math.max(0, ...used.map(([, id]) => Number(id))) + 1)
  }
  const forget = (tid: number) => {
    tgtadm('--op', 'delete', '--mode', 'target', '--tid', String(tid), '--force')
  }
  return {
    portal,
    control: Number(control),
    forget,
    shareOpenly({ iqn, file, serial }) {
      const tid = free()
      numbers.set(iqn, tid)
      tgtadm('--op', 'new', '--mode', 'target', '--tid', tid, '-T', iqn)
      const lun = ['--mode', 'logicalunit', '--tid', tid, '--lun', '1']
      tgtadm('--op', 'new', ...lun, '-b', file)
      if (serial !== undefined) tgtadm('--op', 'update', ...lun, '--params', `scsi_sn=${serial}`)
      tgtadm('--op', 'bind', '--mode', 'target', '--tid', tid, '-I', 'ALL')
      return () => {
        if (tgtadm('--op', 'show', '--mode', 'target').includes(`Target ${tid}: ${iqn}\n`))
          forget(Number(tid))
      }
    },
    share({ iqn, file, serial }) {
      const tid = free()
      numbers.set(iqn, tid)
      const lun = ['--mode', 'logicalunit', '--tid', tid, '--lun', '1']
      tgtadm('--op', 'new', '--mode', 'target', '--tid', tid, '-T', iqn)
      tgtadm('--op', 'new', ...lun, '-b', file)
      tgtadm('--op', 'update', ...lun, '--params', `scsi_sn=${serial}`)
      tgtadm('--op', 'bind', '--mode', 'account', '--tid', tid, '--user', chap.user)
      tgtadm('--op', 'bind', '--mode', 'target', '--tid', tid, '-I', 'ALL')
    },
    sessions(iqn) {
      const said = tgtadm('--op', 'show', '--mode', 'conn', '--tid', numbers.get(iqn)!)
      return [...said.matchAll(/Initiator: (\S+)/g)].map(found => found[1]!)
    },
    async close() {
      daemon.kill('SIGKILL')
      await ended
    },
  }
}
