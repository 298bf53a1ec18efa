import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import type { World } from '../world.ts'
import { type DiskName, type Disks, writeFiles } from './disks.ts'
import type { TargetState } from './state.ts'

/** Why there can be no such disks on this machine; empty where there can. */
export function lackedByTgtDisks(): string[] {
  const programs = ['tgtd', 'tgtadm', 'setpriv', 'mkfs.ext4', 'mkfs.btrfs']
  const missing = programs.filter(
    program => spawnSync('sh', ['-c', 'command -v "$1"', '-', program]).status !== 0,
  )
  return [
    ...(process.getuid?.() === 0 ? [] : ['it needs root']),
    ...(missing.length > 0 ? [`not installed: ${missing.join(', ')}`] : []),
  ]
}

/** How often it is looked who has logged in since; tgtd itself counts nobody. */
const lookEveryMs = 300

/**
 * Every disk is a sparse file, shown by a `tgtd` of the lab's own: real initiators log in to the NAS's targets, and what
 * they find, may do and leave behind is what its Web API says. Wants root and Debian's `tgt`. A target with as many
 * initiators as `max_sessions` lets in is open to those alone from the next look on; one that came before that look is put
 * out again. To whom it is closed tgtd does not even tell of it, where DSM does, and refuses the login.
 * @param portal where it listens: `192.0.2.17:3260`
 */
export async function startTgtDisks(world: World, portal: string): Promise<Disks> {
  const file = (disk: DiskName) => world.path('nas', `${disk}.img`)
  const tgt = await startTgtd(world, portal)
  // It forgets everything when it ends, so what this process has told it is all that it knows.
  let shown: Shown[] = []
  let accounts: Record<string, string> = {}

  const account = ({ user, password }: NonNullable<TargetState['chap']>) => {
    if (accounts[user] === password) return
    if (accounts[user] !== undefined) tgt.adm('--op', 'delete', '--mode', 'account', '--user', user)
    // tgtadm takes a password in no other way than this; it opens nothing but this lab.
    tgt.adm('--op', 'new', '--mode', 'account', '--user', user, '--password', password)
    accounts = { ...accounts, [user]: password }
  }
  const putOut = (inside: readonly Connection[], stays: (iqn: string) => boolean) => {
    for (const { tid, session, connection, iqn } of inside)
      if (!stays(iqn))
        try {
          tgt.target('delete', 'conn', tid, '--sid', session, '--cid', connection)
        } catch {
          // It has ended by itself; who is still there is told to whoever asks.
        }
  }
  /**
   * Opens targets to anybody, and those that are full to whoever is in; tgtd lets in whom an address or a name lets in.
   * Gives whoever is in then.
   */
  const limit = (): Connection[] => {
    const inside = connectionsOf(tgt.adm('--op', 'show', '--mode', 'target'))
    for (const target of shown) {
      const { tid, maxSessions, imitated } = target
      const real = inside.filter(c => c.tid === tid)
      const names = [...new Set([...imitated, ...real.map(c => c.iqn)])]
      const admitted =
        maxSessions > 0 && names.length >= maxSessions ? names.slice(0, maxSessions) : undefined
      if (String(admitted) !== String(target.admitted)) {
        open(tid, 'unbind', target.admitted)
        open(tid, 'bind', admitted)
        target.admitted = admitted
      }
      if (admitted) putOut(real, iqn => admitted.includes(iqn))
    }
    return inside.filter(c => shown.find(s => s.tid === c.tid)?.admitted?.includes(c.iqn) ?? true)
  }
  const open = (tid: number, op: 'bind' | 'unbind', to: readonly string[] | undefined) => {
    if (to === undefined) tgt.target(op, 'target', tid, '-I', 'ALL')
    for (const name of to ?? []) tgt.target(op, 'target', tid, '-Q', name)
  }
  const change = (before: Shown | undefined, after: Shown) => {
    const { tid, iqn, enabled, chap, units } = after
    if (!before) tgt.target('new', 'target', tid, '-T', iqn)
    if (before?.chap?.user !== chap?.user || before?.chap?.password !== chap?.password) {
      if (before?.chap) tgt.target('unbind', 'account', tid, '--user', before.chap.user)
      if (chap) {
        account(chap)
        tgt.target('bind', 'account', tid, '--user', chap.user)
      }
    }
    const same = (a: Unit) => (b: Unit) => a.index === b.index && a.uuid === b.uuid
    for (const unit of before?.units.filter(u => !units.some(same(u))) ?? [])
      tgt.target('delete', 'logicalunit', tid, '--lun', String(unit.index))
    for (const unit of units.filter(u => !before?.units.some(same(u)))) {
      const lun = String(unit.index)
      tgt.target('new', 'logicalunit', tid, '--lun', lun, '-b', file(`luns/${unit.uuid}`))
      // As a Synology shows itself; a disk's serial is its LUN's uuid.
      const identity = `vendor_id=SYNOLOGY,product_id=Storage,scsi_sn=${unit.uuid}`
      tgt.target('update', 'logicalunit', tid, '--lun', lun, '--params', identity)
    }
    for (const { uuid, index, sizeBytes } of units) {
      const was = before?.units.find(u => u.uuid === uuid && u.index === index)
      if (was === undefined || was.sizeBytes === sizeBytes) continue
      // It looks at a file's size when it opens it; all in one order, so that nobody who uses the disk finds it gone.
      const again = `online=0,path=${file(`luns/${uuid}`)},online=1`
      tgt.target('update', 'logicalunit', tid, '--lun', String(index), '--params', again)
    }
    if ((before?.enabled ?? true) !== enabled)
      tgt.target('update', 'target', tid, '--name', 'state', '--value', enabled ? 'ready' : 'offline')
    // Nobody gets in before all of it is so.
    if (!before) tgt.target('bind', 'target', tid, '-I', 'ALL')
  }

  const looking = setInterval(() => {
    try {
      limit()
    } catch {
      // That tgtd is gone is told to whoever asks next.
    }
  }, lookEveryMs).unref()

  return {
    port: Number(portal.split(':')[1]),
    make(disk, sizeBytes) {
      writeFileSync(file(disk), '')
      truncateSync(file(disk), sizeBytes)
    },
    copy(from, to) {
      // Where blocks cannot be shared it takes a while, in which nobody may write: a snapshot is of one moment.
      tgt.still(() => execFileSync('cp', ['--reflink=auto', '--sparse=always', file(from), file(to)]))
    },
    grow: (disk, sizeBytes) => truncateSync(file(disk), sizeBytes),
    remove: disk => rmSync(file(disk), { force: true }),
    fill(disk, fsType, files) {
      const folder = mkdtempSync(world.path('nas', 'files-'))
      try {
        writeFiles(folder, files)
        makeFileSystem(fsType, file(disk), folder)
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
    load: (disk, image) => void execFileSync('cp', ['--reflink=auto', '--sparse=always', image, file(disk)]),
    filesOf() {
      throw new Error('the lab’s own machines do not read disks that real initiators log in to')
    },
    show(targets, luns) {
      const wanted = targets.map(target => ({
        tid: target.id,
        iqn: target.iqn,
        enabled: target.enabled,
        maxSessions: target.maxSessions,
        imitated: target.sessions.map(session => session.iqn),
        chap: target.chap,
        units: target.mappings.flatMap(({ lun: uuid, index }) => {
          const lun = luns.find(l => l.uuid === uuid)
          return lun ? [{ uuid, index, sizeBytes: lun.size }] : []
        }),
      }))
      for (const { tid } of shown.filter(s => !wanted.some(w => w.tid === s.tid && w.iqn === s.iqn))) {
        tgt.target('delete', 'target', tid, '--force')
        shown = shown.filter(s => s.tid !== tid)
      }
      for (const target of wanted) {
        const before = shown.find(s => s.tid === target.tid)
        change(before, target)
        shown = [...shown.filter(s => s.tid !== target.tid), { ...target, admitted: before?.admitted }]
      }
      const inside = limit()
      for (const { tid, enabled } of wanted)
        if (!enabled)
          putOut(
            inside.filter(c => c.tid === tid),
            // The fault of a machine whose session outlives the order.
            iqn =>
              world.blueprint.hosts.some(h => h.oldInitiator === iqn && world.suffers('zombie-host', h.name)),
          )
    },
    // Whoever asks hears of nobody who has just been put out.
    sessions: ({ id }) =>
      limit()
        .filter(c => c.tid === id)
        .map(({ iqn, ip }) => ({ iqn, ip })),
    async close() {
      clearInterval(looking)
      await tgt.close()
    },
  }
}

/** A target as tgtd was told of it. */
interface Shown {
  tid: number
  iqn: string
  enabled: boolean
  maxSessions: number
  /** Initiators of the lab's own machines, which no connection shows. */
  imitated: string[]
  /** The only initiators that are let in; anybody where it is not full. */
  admitted?: string[] | undefined
  chap: TargetState['chap']
  units: Unit[]
}

interface Unit {
  uuid: string
  index: number
  sizeBytes: number
}

/** A `tgtd` that ends with this process, however that ends, and is spoken to by a socket in the world's folder. */
async function startTgtd(world: World, portal: string) {
  const env = { ...process.env, TGT_IPC_SOCKET: world.path('nas', 'tgtd') }
  // The kernel takes 107 bytes; tgtd cuts off what is longer, and says nothing.
  if (env.TGT_IPC_SOCKET.length > 100)
    throw new Error(`${world.dir} is too long a path for tgtd's socket; keep the lab elsewhere`)
  const daemon = spawn('setpriv', ['--pdeathsig', 'KILL', 'tgtd', '-f', '--iscsi', `portal=${portal}`], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  daemon.stderr.on('data', chunk => {
    said += chunk
  })
  let over: string | undefined
  daemon.once('error', error => {
    over = error.message
  })
  daemon.once('exit', (code, signal) => {
    over ??= `it ended (${signal ?? code}): ${said}`
  })
  const adm = (...args: string[]) =>
    execFileSync('tgtadm', ['--lld', 'iscsi', ...args], {
      env,
      encoding: 'utf8',
      stdio: 'pipe',
      timeout: 20_000,
    })
  for (const end = performance.now() + 20_000; ; ) {
    await new Promise(resolve => setTimeout(resolve, 20))
    if (over !== undefined || performance.now() > end)
      throw new Error(
        `tgtd does not show the lab’s disks at ${portal}: ${over ?? 'it does not answer for 20 s'}`,
      )
    if (!existsSync(`${env.TGT_IPC_SOCKET}.0`)) continue
    try {
      adm('--op', 'show', '--mode', 'sys')
      break
    } catch {
      // It answers when it listens.
    }
  }
  return {
    adm,
    target: (op: string, mode: string, tid: number, ...more: string[]) =>
      adm('--op', op, '--mode', mode, '--tid', String(tid), ...more),
    /** Does something while it neither reads nor writes. */
    still(action: () => unknown) {
      daemon.kill('SIGSTOP')
      try {
        action()
      } finally {
        daemon.kill('SIGCONT')
      }
    },
    close: () =>
      new Promise<void>(resolve => {
        if (over !== undefined) return resolve()
        daemon.once('exit', () => resolve())
        daemon.kill('SIGKILL')
      }),
  }
}

interface Connection {
  tid: number
  session: string
  connection: string
  iqn: string
  ip: string
}

/** What `tgtadm --op show --mode target` prints of who is logged in, in the order in which they came (tgt 1.0.85). */
function connectionsOf(text: string): Connection[] {
  return text
    .split(/^(?=Target \d+: )/m)
    .flatMap(target => {
      const tid = Number(/^Target (\d+)/.exec(target)?.[1])
      return target.split(/^(?= +I_T nexus: )/m).flatMap(nexus => {
        const session = /^ +I_T nexus: (\d+)/.exec(nexus)?.[1]
        const iqn = /Initiator: (\S+)/.exec(nexus)?.[1]
        if (session === undefined || iqn === undefined) return []
        return [...nexus.matchAll(/Connection: (\d+)\s+IP Address: (\S+)/g)].map(
          ([, connection = '', ip = '']) => ({ tid, session, connection, iqn, ip }),
        )
      })
    })
    .sort((a, b) => Number(a.session) - Number(b.session))
}

/** Of files in a folder, without mounting anything. xfs has no program for it: such a disk begins without files. */
function makeFileSystem(fsType: string, image: string, folder: string): void {
  switch (fsType) {
    case 'ext4':
      return void execFileSync('mkfs.ext4', ['-q', '-F', '-d', folder, image], { stdio: 'pipe' })
    case 'btrfs':
      return void execFileSync('mkfs.btrfs', ['-q', '--rootdir', folder, image], { stdio: 'pipe' })
    default:
      return void execFileSync(`mkfs.${fsType}`, [image], { stdio: 'pipe' })
  }
}
