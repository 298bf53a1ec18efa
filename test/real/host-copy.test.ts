import { randomUUID } from 'node:crypto'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { copyInUnit } from '../../runbooks/volumes/copy-on-host.ts'
import type { Acting } from '../../src/runbook/step.ts'
import { hostCopyFolder, hostCopyNeeds, parseHostCopyVerdict } from '../../src/volumes/host-copy.ts'
import { run, until } from './harness/commands.ts'
import { type IscsiTarget, startIscsiTarget } from './harness/iscsi-target.ts'
import { blankDisk, pullThePlug, wholeTree } from './harness/left-disk.ts'
import { bootLiveMachine, type LiveMachine } from './harness/live-machine.ts'
import { mounted, sha256 } from './harness/mounted.ts'
import { describeReal, place } from './harness/place.ts'

describeReal('a copy on a host over iSCSI, by a unit of systemd', () => {
  const own = { id: '0123abcd', unit: 'recover-copy-0123abcd', disk: 'fresh' }
  const snapshot = randomUUID()
  const folder = hostCopyFolder(own.id)
  let live: LiveMachine
  let target: IscsiTarget
  let luns: Record<
    'original' | 'clone' | 'fresh' | 'xfs' | 'grown',
    { iqn: string; file: string; uuid: string }
  >

  beforeAll(async () => {
    const at = mkdtempSync(join(place().folder, 'luns-'))
    const lun = (name: string) => ({
      iqn: `iqn.2000-01.com.synology:nas.${name}`,
      file: join(at, name),
      uuid: randomUUID(),
    })
    luns = {
      original: lun('original'),
      clone: lun('clone'),
      fresh: lun('fresh'),
      xfs: lun('xfs'),
      grown: lun('grown'),
    }
    pullThePlug(luns.original.file, { mebibytes: 64, make: ['mkfs.ext4', '-F'], options: 'commit=600' }, fill)
    copyFileSync(luns.original.file, luns.clone.file)
    blankDisk(luns.fresh.file, 256)
    pullThePlug(luns.xfs.file, { mebibytes: 300, make: ['mkfs.xfs'], options: 'rw' }, fill)
    // What an attempt of before had made, when the disk was smaller.
    blankDisk(luns.grown.file, 300)
    run('mkfs.xfs', '-q', luns.grown.file)
    mounted(luns.grown.file, 'rw', at => writeFileSync(join(at, '.recover-copy'), 'run-1'))
    truncateSync(luns.grown.file, 600 * 2 ** 20)
    live = await bootLiveMachine('neon', 14)
    target = await startIscsiTarget(live.network.own)
    for (const { iqn, file, uuid } of Object.values(luns)) target.shareOpenly({ iqn, file, serial: uuid })
    live.ssh('modprobe -a iscsi_tcp sd_mod btrfs xfs')
  }, 1_800_000)
  afterAll(async () => {
    await live?.close()
    await target?.close()
  })

  const heard: number[] = []
  const notes: string[] = []
  /** Of the clone to the new btrfs, or of the xfs to the one that grew. */
  const copyOf = (runId: string, wait: Acting['wait'], to: 'fresh' | 'grown') =>
    live.change(machine =>
      copyInUnit(
        machine,
        'photos/library',
        own,
        {
          run: runId,
          portal: target.portal,
          from: { ...luns[to === 'fresh' ? 'clone' : 'xfs'], snapshot },
          to: luns[to],
          fsType: to === 'fresh' ? 'btrfs' : 'xfs',
          formatOptions: to === 'fresh' ? '--nodiscard' : '',
        },
        {
          note: text => notes.push(text),
          progress: done => heard.push(done),
          signal: new AbortController().signal,
          wait,
        },
      ),
    )
  const patiently: Acting['wait'] = (what, probe) => until(what, 600_000, probe, { everyMs: 300 })
  const copy = (runId: string) => copyOf(runId, patiently, 'fresh')
  const verdictFor = (to: 'fresh' | 'grown') =>
    parseHostCopyVerdict(live.ssh(`cat ${folder}/verdict`), { disk: luns[to].uuid, snapshot })
  const loggedIn = () => Object.values(luns).flatMap(({ iqn }) => target.sessions(iqn))

  test('killed in the middle of a file and begun again, it brings everything from a dirty ext4 to a new btrfs', async () => {
    const before = sha256(luns.original.file)
    // No word reaches it: neither its own traps nor rsync's come to anything. All in one shell: rsync is quick.
    live.ssh(
      `systemd-run --quiet sh -c 'until [ -e ${folder}/dst/.recover-copy ]; do sleep 0.1; done; until [ -e ${folder}/dst/.large* ]; do :; done; echo 1 >/sys/fs/cgroup/system.slice/${own.unit}.service/cgroup.kill'`,
    )
    expect(await copy('run-1')).toMatchObject({ code: 'host-copy-failed', transient: true })
    expect(live.ssh(`ls -A ${folder}`)).not.toContain('verdict')
    // Whichever of rsync's processes dies last may still have put aside what had arrived.
    expect(live.ssh(`ls -A ${folder}/dst ${folder}/dst/.recover-partial 2>&1 || true`)).toMatch(/^\.?large/m)
    expect(loggedIn()).toHaveLength(2)

    expect(await copy('run-1')).toBeUndefined()
    expect(heard.length).toBeGreaterThan(0)
    const verdict = verdictFor('fresh')
    expect(loggedIn()).toEqual([])
    expect(live.ssh(`grep ${folder} /proc/mounts || true; iscsiadm -m node 2>&1 || true`)).toMatch(
      /^iscsiadm: No records found\s*$/,
    )

    expect(sha256(luns.original.file)).toBe(before)
    // What the new disk holds is read by another kernel, with what a hash of contents does not see.
    const kept = mounted(luns.fresh.file, 'ro', wholeTree)
    expect(kept).toEqual(mounted(luns.clone.file, 'ro', wholeTree))
    expect(kept.entries.some(line => line.includes('written last'))).toBe(true)
    expect(kept.content.files).toBe(verdict?.files)
  }, 1_800_000)

  test('what another run finds on the new disk is not its own, and is left as it is', async () => {
    mounted(luns.fresh.file, 'rw', at => writeFileSync(join(at, 'written last'), 'changed'))
    expect(await copy('run-2')).toMatchObject({ code: 'copy-destination-not-ours' })
    const left = (at: string) => readFileSync(join(at, 'written last'), 'utf8')
    expect(mounted(luns.fresh.file, 'ro', left)).toBe('changed')
    expect(loggedIn()).toEqual([])
  }, 1_800_000)

  test('from a dirty xfs to one whose disk has grown: nobody waits for it any more, and who comes next finds it at work', async () => {
    const leaving: Acting['wait'] = () => Promise.reject(new Error('gone'))
    const coming: Acting['wait'] = (what, probe) => {
      target.freeze('running')
      return patiently(what, probe)
    }
    // It cannot be over before somebody comes.
    target.freeze('frozen')
    onTestFinished(() => target.freeze('running'))
    await expect(copyOf('run-1', leaving, 'grown')).rejects.toThrow('gone')
    expect(await copyOf('run-1', coming, 'grown')).toBeUndefined()
    expect(notes).toEqual(['found the copying of photos/library on neon that was begun before'])
    expect(loggedIn()).toEqual([])
    const kept = mounted(luns.grown.file, 'ro', at => ({ ...wholeTree(at), disk: statfsSync(at) }))
    const old = mounted(luns.xfs.file, 'ro', wholeTree)
    expect({ entries: kept.entries, content: kept.content }).toEqual(old)
    expect(old.entries.some(line => line.includes('written last'))).toBe(true)
    expect(kept.content.files).toBe(verdictFor('grown')?.files)
    expect(kept.disk.blocks * kept.disk.bsize).toBeGreaterThan(500 * 2 ** 20)
  }, 1_800_000)

  test('what the machine lacks for it is seen before it is begun', async () => {
    const lacked = () =>
      live.change(async machine => {
        const { tools } = await machine.facts(new AbortController().signal)
        return ['ext4', 'xfs', 'btrfs'].flatMap(hostCopyNeeds).filter(program => !tools.includes(program))
      })
    expect(await lacked()).toEqual([])
    live.ssh('mount --bind /dev/null "$(command -v mkfs.xfs)"')
    expect(await lacked()).toEqual(['mkfs.xfs'])
  }, 1_800_000)

  test('a target that is away is told with what iscsiadm says, and nobody stays logged in', async () => {
    target.forget(2)
    const fault = await copy('run-1')
    expect(fault).toMatchObject({ code: 'iscsi-login-failed', transient: true })
    expect(fault?.message).toMatch(/could not log in to iqn\.2000-01\.com\.synology:nas\.clone .*exit \d+/)
    expect(live.ssh('iscsiadm -m session 2>&1 || true')).toContain('No active sessions')
  }, 1_800_000)
})

/** A family's pictures, and a file of a size that a machine can be found in the middle of. */
function fill(at: string): void {
  mkdirSync(join(at, 'photos'))
  for (let i = 0; i < 20; i += 1) writeFileSync(join(at, 'photos', `${i}.jpg`), `picture ${i}\n`.repeat(40))
  run('ln', join(at, 'photos/1.jpg'), join(at, 'the same picture'))
  run('dd', 'if=/dev/urandom', `of=${at}/large`, 'bs=1M', 'count=24', 'status=none')
}
