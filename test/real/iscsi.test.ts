import { createHash, randomUUID } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  copyProgram,
  measureProgram,
  parseCopyVerdict,
  parseMeasurement,
} from '../../src/volumes/programs.ts'
import { run, runWith } from './harness/commands.ts'
import { type IscsiTarget, startIscsiTarget } from './harness/iscsi-target.ts'
import { bootLiveMachine, type LiveMachine } from './harness/live-machine.ts'
import { describeReal, place } from './harness/place.ts'

const chap = { user: 'recover', password: 'only-in-this-test' }
const iqn = (name: string) => `iqn.2000-01.com.synology:nas.${name}`

/** A LUN: the file behind it, and the serial that a machine sees. */
interface Volume {
  file: string
  uuid: string
}

describeReal('volumes over iSCSI, with the kernel’s own initiator', () => {
  let live: LiveMachine
  let target: IscsiTarget
  let folder: string
  let original: Volume
  let clone: Volume
  let fresh: Volume

  beforeAll(async () => {
    folder = mkdtempSync(join(place().folder, 'luns-'))
    const lun = (name: string): Volume => ({ file: join(folder, name), uuid: randomUUID() })
    original = lun('original')
    clone = lun('clone')
    fresh = lun('fresh')
    pullThePlug(original.file)
    copyFileSync(original.file, clone.file)
    writeFileSync(fresh.file, '')
    truncateSync(fresh.file, 256 * 2 ** 20)
    live = await bootLiveMachine('helium', 13)
    target = await startIscsiTarget(live.network.own, chap)
    for (const [name, { file, uuid }] of Object.entries({ original, clone, fresh }))
      target.share({ iqn: iqn(name), file, serial: uuid })
  }, 300_000)
  afterAll(async () => {
    await live?.close()
    await target?.close()
  })

  test('the journal of the old disk holds what its file system does not have yet', () => {
    expect(run('dumpe2fs', '-h', original.file)).toContain('needs_recovery')
    // Without the journal the last file is missing: copying from a disk that is mounted like that loses data.
    expect(mounted(original.file, 'ro,noload', at => run('ls', at)).split('\n')).not.toContain('written last')
  })

  test('a wrong CHAP password lets nobody in, and iscsiadm says so', () => {
    live.ssh(`modprobe -a iscsi_tcp sd_mod; systemctl start iscsid
iscsiadm -m discovery -t sendtargets -p ${target.portal} >/dev/null`)
    const said = live.ssh(`${withChap('clone', 'not-the-password')}
iscsiadm -m node -T ${iqn('clone')} -p ${target.portal} --login 2>&1 || echo "exit $?"`)
    expect(said).toMatch(/exit 24$/m)
    expect(target.sessions(iqn('clone'))).toEqual([])
  })

  test('every file comes from the clone of a dirty ext4 to a new btrfs, and the original keeps every byte', () => {
    const before = sha256(original.file)
    const serials = live.ssh(`
for name in clone fresh; do
  ${withChap('$name', chap.password)}
  iscsiadm -m node -T ${iqn('$name')} -p ${target.portal} --login >/dev/null
done
udevadm settle
lsblk -dno NAME,SERIAL,TRAN`)
    const device = (volume: Volume) => {
      const name = new RegExp(`^(\\S+)\\s+${volume.uuid}\\s+iscsi`, 'm').exec(serials)?.[1]
      if (name === undefined) throw new Error(`no disk has the serial ${volume.uuid}: ${serials}`)
      return `/dev/${name}`
    }
    expect(target.sessions(iqn('clone'))).toHaveLength(1)
    const old = live.ssh(
      `modprobe btrfs; mkdir /src /dst; mkfs.btrfs -q ${device(fresh)}
mount -o ro ${device(clone)} /src; mount ${device(fresh)} /dst
ls /src`,
      120_000,
    )
    expect(old.split('\n')).toContain('written last')

    const job = (program: string, run: string) =>
      live.ssh(
        `rm -f /dev/termination-log; export RUN=${run}
cat >/tmp/program <<'PROGRAM'
${program}
PROGRAM
sh /tmp/program </dev/null >/tmp/said 2>&1 || echo "exit $?: $(tail -3 /tmp/said)"
cat /dev/termination-log`,
        300_000,
      )
    const measure = (of: string) => {
      live.ssh(`rm -rf /data; ln -s ${of} /data`)
      const found = parseMeasurement(job(measureProgram, 'run-1'))
      if (found === undefined) throw new Error(`${of} was not measured`)
      return found
    }
    const held = measure('/src')
    expect(held.files).toBeGreaterThan(50)
    expect(parseCopyVerdict(job(copyProgram, 'run-1'))).toMatchObject({ files: held.files })
    expect(measure('/dst')).toEqual(held)

    // What another run finds there is not its own: it is left as it is.
    live.ssh('echo changed >"/dst/written last"')
    expect(job(copyProgram, 'run-2')).toContain('the destination holds data that this run did not write')
    live.ssh('cp -a "/src/written last" "/dst/written last"')

    live.ssh(`sync; umount /src /dst; iscsiadm -m node --logoutall=all >/dev/null`)
    expect(target.sessions(iqn('clone'))).toEqual([])
    expect(target.sessions(iqn('original'))).toEqual([])
    expect(sha256(original.file)).toBe(before)
    expect(sha256(clone.file)).not.toBe(before)
    // What the new disk holds is also read by another kernel, with what a hash of contents does not see.
    const meta = (at: string) => runWith({ cwd: at }, 'sh', '-c', describeTree).split('\n').sort()
    const kept = mounted(fresh.file, 'ro', meta)
    expect(kept).toEqual(mounted(clone.file, 'ro', meta))
    expect(kept.some(line => line.includes('user.origin'))).toBe(true)
  }, 600_000)

  const withChap = (name: string, password: string) =>
    Object.entries({ authmethod: 'CHAP', username: chap.user, password })
      .map(
        ([key, value]) =>
          `iscsiadm -m node -T ${iqn(name)} -p ${target.portal} -o update -n node.session.auth.${key} -v ${value}`,
      )
      .join('\n  ')
})

/** Type, mode, owner, links, size and time of everything, and its extended attributes. */
const describeTree = `find . -mindepth 1 ! -path './lost+found*' ! -name .recover-copy \\( -type d -printf '%p %y %m %U:%G\\n' -o -printf '%p %y %m %U:%G %n %s %T@ %l\\n' \\)
getfattr -R -h -d -m - . 2>/dev/null | tr '\\n' ' ' | sed 's/# file: /\\n/g'`

/** Fills a new ext4, and takes its blocks away while the last writes are in its journal alone. */
function pullThePlug(file: string): void {
  writeFileSync(file, '')
  truncateSync(file, 64 * 2 ** 20)
  run('mkfs.ext4', '-q', '-F', file)
  mounted(file, 'commit=600', at => {
    mkdirSync(join(at, 'photos'))
    for (let i = 0; i < 50; i += 1)
      writeFileSync(join(at, 'photos', `${i}.jpg`), `picture ${i}\n`.repeat(i * 40))
    writeFileSync(join(at, 'a name with\na new line, “quotes” and \\ in it'), 'odd\n')
    run('ln', join(at, 'photos/1.jpg'), join(at, 'the same picture'))
    run('ln', '-s', 'photos/2.jpg', join(at, 'a link'))
    run('mkfifo', join(at, 'a pipe'))
    run('truncate', '-s', '20M', join(at, 'sparse'))
    run('setfattr', '-n', 'user.origin', '-v', 'camera', join(at, 'photos/3.jpg'))
    run('setfacl', '-m', 'u:1234:r', join(at, 'photos/4.jpg'))
    copyFileSync('/bin/true', join(at, 'capable'))
    run('setcap', 'cap_net_raw+ep', join(at, 'capable'))
    run('chown', '1000:2000', join(at, 'photos/5.jpg'))
    run('sync', '-f', at)
    runWith(
      { input: 'the last entry of a database\n' },
      'dd',
      `of=${at}/written last`,
      'conv=fsync',
      'status=none',
    )
    copyFileSync(file, `${file}.pulled`)
  })
  run('mv', `${file}.pulled`, file)
}

/** Mounts a file system that lies in a file, for as long as something is done with it. */
function mounted<T>(file: string, options: string, action: (at: string) => T): T {
  const at = mkdtempSync(join(place().folder, 'mounted-'))
  run('mount', '-o', `loop,${options}`, file, at)
  try {
    return action(at)
  } finally {
    run('umount', at)
  }
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}
