import { closeSync, mkdtempSync, openSync, readdirSync, readSync, writeSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { labDown, labUp } from '../../runbooks/lab.ts'
import { cloneName, type Lun } from '../../src/nas/nas.ts'
import { openSession, type SynologySession } from '../../src/nas/synology/session.ts'
import { connectSynology } from '../../src/nas/synology/synology.ts'
import { proveFence } from '../../src/volumes/fence.ts'
import {
  copyProgram,
  measureProgram,
  parseCopyVerdict,
  parseMeasurement,
} from '../../src/volumes/programs.ts'
import { root } from '../cli/program.ts'
import { openNas } from '../nas/connected-nas.ts'
import { nasContract } from '../nas/contract.ts'
import { run, until } from './harness/commands.ts'
import { initiatorsOf, iscsiLogin } from './harness/iscsi-login.ts'
import { fillOddly, wholeTree } from './harness/left-disk.ts'
import { bootLiveMachine, type LiveMachine } from './harness/live-machine.ts'
import { mounted, sha256 } from './harness/mounted.ts'
import { describeReal, place } from './harness/place.ts'

const chap = { user: 'recover', password: 'only-in-a-test' }
const [old, installed] = ['iqn.2016-04.com.open-iscsi:old', 'iqn.2016-04.com.open-iscsi:installed']
const runId = '20261128-1'

describeReal('volumes over iSCSI, from a Synology’s Web API to the kernel’s own initiator', () => {
  let live: LiveMachine
  let nas: Awaited<ReturnType<typeof openNas>>
  /** What an administrator does on the NAS, and the CSI driver. */
  let dsm: SynologySession
  let portal: string
  let original: Lun
  let clone: Lun
  let fresh: Lun

  const image = (disk: string) => nas.world.path('nas', `${disk}.img`)
  const leading = async (lun: Lun) =>
    (await nas.reader.targets()).find(t => t.mappings.some(m => m.lun === lun.uuid))!
  const initiators = async (lun: Lun) => (await leading(lun)).sessions.map(s => s.initiator)
  const wantChap = async (lun: Lun) =>
    dsm.call('SYNO.Core.ISCSI.Target', 'set', 1, {
      target_id: String((await leading(lun)).id),
      auth_type: 1,
      ...chap,
    })
  /** Logs a machine in to a target, as the initiator of one of its interfaces. */
  const login = async (lun: Lun, face: 'old' | 'installed', password = chap.password) => {
    const node = `iscsiadm -m node -T ${(await leading(lun)).iqn} -p ${portal} -I ${face}`
    const settings = { authmethod: 'CHAP', username: chap.user, password }
    return `${node} -o new >/dev/null
${Object.entries(settings)
  .map(([key, value]) => `${node} -o update -n node.session.auth.${key} -v ${value}`)
  .join('\n')}
${node} -o update -n node.session.timeo.replacement_timeout -v 5
${node} --login`
  }
  const logout = async (lun: Lun) =>
    `iscsiadm -m node -T ${(await leading(lun)).iqn} -p ${portal} -I installed --logout >/dev/null`
  /** The disk of a machine that has a LUN's uuid as its serial, for its shell. */
  const disk = (lun: Lun) => `$(lsblk -dnpo NAME,SERIAL,TRAN | awk '/ ${lun.uuid} +iscsi$/ { print $1 }')`
  /** A disk is there some time after its session: the kernel asks the target much about it, beside everything else. */
  const there = (...luns: Lun[]) =>
    luns.map(lun => `until [ -n "${disk(lun)}" ]; do udevadm settle; done`).join('\n')

  beforeAll(async () => {
    live = await bootLiveMachine('helium', 13)
    portal = `${live.network.own}:3260`
    nas = await openNas(blueprint => {
      blueprint.nas.portal = portal
      Object.assign(blueprint.nas.luns[0]!, { fsType: 'ext4', sizeBytes: 64 * 2 ** 20, files: {} })
    })
    dsm = openSession(nas.access)
    original = (await nas.reader.luns())[0]!
    mounted(image(`luns/${original.uuid}`), 'rw', fillOddly)
    const faces = Object.entries({ old, installed }).map(
      ([face, name]) =>
        `iscsiadm -m iface -I ${face} -o new >/dev/null
iscsiadm -m iface -I ${face} -o update -n iface.transport_name -v tcp >/dev/null
iscsiadm -m iface -I ${face} -o update -n iface.initiatorname -v ${name} >/dev/null`,
    )
    await live.shell(`modprobe -a iscsi_tcp sd_mod btrfs; systemctl start iscsid
${faces.join('\n')}`)
  }, 1_800_000)
  afterAll(async () => {
    await live?.close()
    await dsm?.close()
    await nas?.close()
  })

  test('a wrong CHAP password lets nobody in, and iscsiadm says so', async () => {
    await wantChap(original)
    expect((await leading(original)).authenticated).toBe(true)
    const wrong = await login(original, 'old', 'not-the-password')
    expect(await live.shell(`(${wrong}) 2>&1 || echo "exit $?"`)).toMatch(/exit 24$/m)
    expect(await initiators(original)).toEqual([])
  })

  test('the fence cuts off the old machine while it writes; the last of it is in the journal alone', async () => {
    await live.shell(`${await login(original, 'old')} >/dev/null
${there(original)}
# Neither does the kernel write down by and by what it has in memory.
echo 0 >/proc/sys/vm/dirty_writeback_centisecs
mkdir /old; mount -o commit=600 ${disk(original)} /old
echo 'the last entry of a database' | dd of='/old/written last' conv=fsync status=none`)
    expect(await initiators(original)).toEqual([old])
    await nas.writer.takeSnapshot(original.uuid, `recover-${runId}`, 'before the run')
    const { id } = await leading(original)
    expect(await nas.writer.setTargetEnabled(id, false)).toMatchObject({ enabled: false, sessions: [] })

    const file = image(`luns/${original.uuid}`)
    expect(run('dumpe2fs', '-h', file)).toContain('needs_recovery')
    // Without the journal the last file is missing: copying from a disk that is mounted like that loses data.
    expect(mounted(file, 'ro,noload', at => readdirSync(at))).not.toContain('written last')
  })

  test('every file comes from a clone of it to a new btrfs, the original keeps every byte, and nothing is left behind', async () => {
    const before = sha256(image(`luns/${original.uuid}`))
    const [snapshot] = await nas.reader.snapshots(original.uuid)
    const name = cloneName(runId, 'photos-library')
    clone = await nas.writer.clone(
      { lun: original.uuid, snapshot: snapshot!.uuid },
      { name, description: `recover run ${runId}` },
    )
    const cloned = sha256(image(`luns/${clone.uuid}`))
    fresh = await makeAsDriver('k8s-csi-pvc-fresh', 256 * 2 ** 20)
    for (const lun of [clone, fresh]) await wantChap(lun)
    const entries = await live.shell(
      `${await login(clone, 'installed')} >/dev/null
${await login(fresh, 'installed')} >/dev/null
${there(clone, fresh)}
mkdir /src /dst; mkfs.btrfs -q ${disk(fresh)}
mount -o ro ${disk(clone)} /src; mount ${disk(fresh)} /dst
ls /src`,
      600_000,
    )
    expect(await initiators(clone)).toEqual([installed])
    expect(entries.split('\n')).toContain('written last')

    const job = (program: string, run: string) =>
      live.shell(
        `rm -f /dev/termination-log; export RUN=${run}
cat >/tmp/program <<'PROGRAM'
${program}
PROGRAM
sh /tmp/program </dev/null >/tmp/said 2>&1 || echo "exit $?: $(tail -3 /tmp/said)"
cat /dev/termination-log`,
        600_000,
      )
    const measure = async (of: string) => {
      await live.shell(`rm -rf /data; ln -s ${of} /data`)
      const found = parseMeasurement(await job(measureProgram, 'run-1'))
      if (found === undefined) throw new Error(`${of} was not measured`)
      return found
    }
    const held = await measure('/src')
    expect(held.files).toBeGreaterThan(50)
    expect(parseCopyVerdict(await job(copyProgram, 'run-1'))).toMatchObject({ files: held.files })
    expect(await measure('/dst')).toEqual(held)

    // What another run finds there is not its own: it is left as it is.
    await live.shell('echo changed >"/dst/written last"')
    expect(await job(copyProgram, 'run-2')).toContain(
      'the destination holds data that this run did not write',
    )
    await live.shell('cp -a "/src/written last" "/dst/written last"')

    await live.shell(`umount /src /dst
${await logout(clone)}
${await logout(fresh)}`)
    for (const lun of [original, clone, fresh]) expect(await initiators(lun)).toEqual([])
    expect(sha256(image(`luns/${original.uuid}`))).toBe(before)
    expect(sha256(image(`luns/${clone.uuid}`))).not.toBe(cloned)
    // What the new disk holds is also read by another kernel, with what a hash of contents does not see.
    const kept = mounted(image(`luns/${fresh.uuid}`), 'ro', wholeTree)
    expect(kept).toEqual(mounted(image(`luns/${clone.uuid}`), 'ro', wholeTree))
    expect(kept.entries.some(line => line.includes('user.origin'))).toBe(true)

    await nas.writer.dropOwnClone({ uuid: clone.uuid, name, parent: original.uuid, run: runId })
    await nas.writer.deleteLun(fresh)
    await nas.writer.deleteSnapshot({ uuid: snapshot!.uuid, lun: original.uuid, name: snapshot!.name })
    expect((await nas.reader.luns()).map(l => l.uuid)).toEqual([original.uuid])
    expect(await nas.reader.targets()).toHaveLength(1)
    for (const [folder, left] of Object.entries({ luns: [`${original.uuid}.img`], snapshots: [] }))
      expect(readdirSync(nas.world.path('nas', folder))).toEqual(left)
  }, 1_800_000)

  test('the old machine is back as soon as its target is on, and trips the fence', async () => {
    const { id } = await leading(original)
    await nas.writer.setTargetEnabled(id, true)
    await until('the old machine', 180_000, async () => (await initiators(original)).length > 0 || undefined)
    const targets = await nas.reader.targets()
    const hosts = [{ host: 'helium', is: 'reinstalled' as const, initiator: installed }]
    expect(() => proveFence({ claim: 'photos/library', lun: original, targets, hosts })).toThrow(
      expect.objectContaining({ code: 'old-writer-alive', message: expect.stringContaining(old) }),
    )
    expect((await nas.writer.setTargetEnabled(id, false)).sessions).toEqual([])
  })

  /** A LUN behind a target of its own. */
  const makeAsDriver = async (name: string, size: number): Promise<Lun> => {
    const { uuid } = await dsm.call<{ uuid: string }>('SYNO.Core.ISCSI.LUN', 'create', 1, {
      ...{ name, size, type: 'BLUN', location: '/volume1', description: 'photos/library', dev_attribs: [] },
    })
    const target = await dsm.call<{ target_id: number }>('SYNO.Core.ISCSI.Target', 'create', 1, {
      ...{ name, iqn: `iqn.2000-01.com.synology:beryllium.${name}`, auth_type: 0 },
    })
    const mapping = { uuid, target_ids: [target.target_id] }
    await dsm.call('SYNO.Core.ISCSI.LUN', 'map_target', 1, mapping)
    return (await nas.reader.luns()).find(l => l.uuid === uuid)!
  }
})

describeReal('the lab’s Synology with real disks', () => {
  nasContract('the lab’s Synology over iSCSI', async () => {
    const portal = '127.0.0.1:3261'
    const { reader, writer, lun, world, close } = await openNas(blueprint => {
      blueprint.nas.portal = portal
    })
    const initiators = initiatorsOf(reader, portal)
    onTestFinished(async () => {
      initiators.end()
      await close()
    })
    const open = (uuid: string, action: (fd: number) => void) => {
      const fd = openSync(world.path('nas', 'luns', `${uuid}.img`), 'r+')
      action(fd)
      closeSync(fd)
    }
    return {
      reader,
      writer,
      lun: { uuid: lun.uuid, name: `k8s-csi-${lun.pv}`, sizeBytes: lun.sizeBytes },
      login: initiators.login,
      logout: initiators.logout,
      // Where no file system keeps anything.
      write: (uuid, text) => open(uuid, fd => writeSync(fd, text.padEnd(64, '\0'), 0)),
      read(uuid) {
        const bytes = Buffer.alloc(64)
        open(uuid, fd => readSync(fd, bytes, 0, 64, 0))
        return bytes.toString('utf8').replace(/\0+$/, '')
      },
    }
  })
  test('`recover lab up --iscsi` lets real initiators in, the same after its process was killed, and nobody after `down`', async () => {
    const folder = join(mkdtempSync(join(place().folder, 'lab-')), 'lab')
    const up = () => labUp(join(root, 'examples/home'), folder, [], { iscsi: true })
    const { nas, pid } = await up()
    onTestFinished(() => labDown(folder, true).catch(() => undefined))
    const client = connectSynology({
      url: nas.url,
      fingerprint: nas.fingerprint,
      account: async () => nas.account,
      password: async () => nas.password,
    })
    onTestFinished(() => client.close())
    const target = async () => (await client.reader.targets()).find(t => t.name.startsWith('k8s-csi-'))!
    const portal = nas.portal!
    const { iqn, id } = await target()
    await client.writer.setTargetEnabled(id, false)
    expect(await iscsiLogin(portal, iqn, installed)).toBe(undefined)
    await client.writer.setTargetEnabled(id, true)
    expect(await iscsiLogin(portal, iqn, installed)).toBeDefined()
    expect((await target()).sessions.map(s => s.initiator)).toContain(installed)

    process.kill(pid, 'SIGKILL')
    await until('its tgtd to be gone', 180_000, async () => !(await listens(portal)) || undefined)
    expect((await up()).nas.portal).toBe(portal)
    expect(await iscsiLogin(portal, iqn, installed)).toBeDefined()
    await labDown(folder, true)
    await until('its tgtd to be gone', 180_000, async () => !(await listens(portal)) || undefined)
  })
})

/** Whether anybody answers at an address. */
function listens(portal: string): Promise<boolean> {
  const [host = '', port = ''] = portal.split(':')
  return new Promise(resolve => {
    const socket = connect({ host, port: Number(port) })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
