import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { run, until } from './commands.ts'
import { place } from './place.ts'

/** A real iSCSI target in user space: the block devices of a NAS. */
export interface IscsiTarget {
  /** `ADDRESS:3260`. */
  portal: string
  /** tgt's control number, by which another may speak to it. */
  control: number
  /** Shows a file to everybody, without a password, and gives what takes it away again. */
  shareOpenly(disk: { iqn: string; file: string; serial?: string }): () => void
  /** Ends a target by its number, with whoever is logged in. */
  forget(target: number): void
  /** Initiators that are logged in to an IQN now. */
  sessions(iqn: string): string[]
  /** Stops it in its tracks: it answers nobody until it goes on. */
  freeze(state: 'frozen' | 'running'): void
  /** Ends it, and starts it again with what its configuration's folder says, as a distribution's service does. */
  restart(config: string): Promise<void>
  close(): Promise<void>
}

/** The control socket that the next one takes; several may run side by side, in other threads of the tests, too. */
let next = threadId * 100

/** Starts Debian's `tgtd` at an address of the tests' own network. */
export async function startIscsiTarget(address: string): Promise<IscsiTarget> {
  const control = String(next)
  next += 1
  mkdirSync('/var/run/tgtd', { recursive: true })
  const portal = `${address}:3260`
  const tgtadm = (...args: string[]) => run('tgtadm', '-C', control, '--lld', 'iscsi', ...args)
  const start = () => startTgtd(control, portal, () => tgtadm('--op', 'show', '--mode', 'sys'))
  let daemon = await start()
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
    sessions(iqn) {
      const said = tgtadm('--op', 'show', '--mode', 'conn', '--tid', numbers.get(iqn)!)
      return [...said.matchAll(/Initiator: (\S+)/g)].map(found => found[1]!)
    },
    async restart(config) {
      await daemon.stop()
      daemon = await start()
      const conf = join(config, 'targets.conf')
      writeFileSync(conf, `include ${config}/recover-*.conf\n`)
      run('tgt-admin', '--execute', '--control-port', control, '--conf', conf)
    },
    freeze: state => daemon.signal(state === 'frozen' ? 'SIGSTOP' : 'SIGCONT'),
    close: () => daemon.stop(),
  }
}

async function startTgtd(control: string, portal: string, probe: () => string) {
  const log = join(mkdtempSync(join(place().folder, 'tgtd-')), 'log')
  const out = openSync(log, 'a')
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
  await until('tgtd', 180_000, probe, { dead: () => (over ? readFileSync(log, 'utf8') : undefined) })
  return {
    signal: (name: NodeJS.Signals) => void daemon.kill(name),
    async stop() {
      daemon.kill('SIGKILL')
      await ended
    },
  }
}
