import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { lunDisk } from '../../runbooks/volumes/disk.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { measureFolder } from '../../src/lab/nodes/job-programs.ts'
import { cloneName, type Lun } from '../../src/nas/nas.ts'
import type { MappedVolume } from '../../src/volumes/map.ts'
import { persistentVolume } from '../../src/volumes/objects.ts'
import {
  copyProgram,
  measureProgram,
  parseCopyVerdict,
  parseMeasurement,
} from '../../src/volumes/programs.ts'
import { root } from '../cli/program.ts'
import { openNas } from '../nas/connected-nas.ts'
import { running, until } from './harness/commands.ts'
import { mapAt, textAt } from './harness/csi-client.ts'
import { type CsiNode, makeCsiNode } from './harness/csi-node.ts'
import { iscsiLogin } from './harness/iscsi-login.ts'
import { pullThePlug } from './harness/left-disk.ts'
import { bootLiveMachine, type LiveMachine } from './harness/live-machine.ts'
import { mounted } from './harness/mounted.ts'
import { describeReal, place } from './harness/place.ts'

const program = (() => {
  try {
    return execFileSync('sh', ['-c', 'command -v synology-csi-driver']).toString().trim()
  } catch {
    return undefined
  }
})()

const runId = '20261129-1'
const gibibyte = 2 ** 30
const disks = {
  ext4: {
    ...{ uuid: '0f5a7c64-1111-4222-8333-444455556666', claim: 'photos/library', mebibytes: 64 },
    ...{ make: ['-F'], options: 'commit=600' },
  },
  btrfs: {
    ...{ uuid: '0f5a7c64-2222-4222-8333-444455556666', claim: 'miniflux/postgres', mebibytes: 128 },
    ...{ make: [], options: 'commit=300' },
  },
  xfs: {
    ...{ uuid: '0f5a7c64-3333-4222-8333-444455556666', claim: 'grafana/data', mebibytes: 320 },
    ...{ make: [], options: 'rw' },
  },
}
type FileSystem = keyof typeof disks

describeReal('the node of a real synology-csi', () => {
  if (program === undefined) {
    test.skip('mounts what recover brings to it (skipped: there is no synology-csi-driver on PATH)', () => {})
    return
  }
  let live: LiveMachine
  let nas: Awaited<ReturnType<typeof openNas>>
  let node: CsiNode
  let plain: number

  const image = (uuid: string) => nas.world.path('nas', `luns/${uuid}.img`)
  /** By another process: a NAS that stands still for seconds here lets go of whoever speaks to it. */
  const hashOf = (uuid: string) => running('sha256sum', ['--zero', image(uuid)], 120_000)
  const lunOf = async (uuid: string) => (await nas.reader.luns()).find(l => l.uuid === uuid)!
  const target = async (uuid: string) =>
    (await nas.reader.targets()).find(t => t.mappings.some(m => m.lun === uuid))!
  const start = (api: { https: boolean; password?: string }) =>
    node.start({
      host: live.network.own,
      port: api.https ? nas.port : plain,
      account: 'recover',
      password: 'correct horse battery',
      ...api,
    })
  /** The PersistentVolume that a run makes of a LUN, for a class with this file system. */
  const volumeOf = (lun: Lun, fsType: string, options: { readOnly?: boolean; named?: string } = {}) => {
    const { inventory, ...cluster } = loadCluster(join(root, 'examples/home/recover.yaml'))
    const storageClasses = inventory.storageClasses.map(c => ({
      ...c,
      parameters: { ...c.parameters, fsType },
    }))
    const mapped: MappedVolume = {
      claim: 'recover/test',
      strategy: 'adopt',
      sizeBytes: lun.sizeBytes,
      storageClass: storageClasses.find(c => c.provisioner === 'csi.san.synology.com')!.name,
      lun: { uuid: lun.uuid, name: lun.name, sizeBytes: lun.sizeBytes, target: 1 },
      sources: ['git', 'nas'],
    }
    const disk = lunDisk({ ...cluster, inventory: { ...inventory, storageClasses } }, mapped, lun)
    return persistentVolume(
      options.named ?? `recover-${lun.uuid.slice(9, 13)}`,
      { namespace: 'recover', name: 'test' },
      disk,
      { storageClass: '', accessModes: ['ReadWriteOnce'], readOnly: options.readOnly ?? false },
    )
  }
  /** Runs a Job's program on the node, with what it would have mounted. */
  const job = async (script: string, mounts: Record<string, string>, run = 'run-1') =>
    node.shell(
      `rm -f /dev/termination-log; export RUN=${run}
${Object.entries(mounts)
  .map(([at, from]) => `rm -rf ${at}; ln -s ${from} ${at}`)
  .join('\n')}
cat >/tmp/program <<'PROGRAM'
${script}
PROGRAM
sh /tmp/program </dev/null >/tmp/said 2>&1 || echo "exit $?: $(tail -3 /tmp/said)"
cat /dev/termination-log`,
      300_000,
    )
  const measure = async (at: string) => parseMeasurement(await job(measureProgram, { '/data': at }))
  const isFree = async (uuid: string) => expect((await target(uuid)).sessions).toEqual([])
  const release = async (volume: ReturnType<typeof volumeOf>) => {
    await node.unpublish(volume)
    await node.unstage(volume)
  }
  const refusal = (action: Promise<unknown>) =>
    action.then(
      () => 'nothing',
      (error: Error) => error.message,
    )

  beforeAll(async () => {
    live = await bootLiveMachine('argon', 15)
    const left = (fsType: FileSystem) => join(place().folder, `left-${fsType}`)
    for (const [fsType, { mebibytes, make, options }] of Object.entries(disks))
      pullThePlug(
        left(fsType as FileSystem),
        { mebibytes, make: [`mkfs.${fsType}`, ...make], options },
        at => {
          for (let i = 0; i < 20; i += 1) writeFileSync(join(at, `${i}.jpg`), `picture ${i}\n`.repeat(40 * i))
        },
      )
    nas = await openNas(blueprint => {
      blueprint.address = live.network.own
      Object.assign(blueprint.nas, { csrf: false, portal: `${live.network.own}:3260` })
      blueprint.nas.luns = Object.entries(disks).map(([fsType, { uuid, claim, mebibytes }]) => ({
        uuid,
        pv: `pvc-${uuid}`,
        claim,
        described: true,
        sizeBytes: mebibytes * 2 ** 20,
        fsType: fsType as FileSystem,
        files: {},
        image: left(fsType as FileSystem),
      }))
    })
    plain = await nas.emulator.listenPlain()
    await live.shell('modprobe -a iscsi_tcp sd_mod btrfs xfs; systemctl start iscsid')
    node = await makeCsiNode(live, program)
    await start({ https: false })
  }, 600_000)
  afterAll(async () => {
    node?.driver.close()
    await live?.close()
    await nas?.close()
  })

  test.each(['ext4', 'btrfs', 'xfs'] as const)(
    'a dirty %s: its clone is measured and the original keeps every byte; adopted, it has every file, and nothing is formatted',
    async fsType => {
      const { uuid } = disks[fsType]
      const original = await lunOf(uuid)
      const before = await hashOf(uuid)
      const copy = `${image(uuid)}.copy`
      await running('cp', ['--sparse=always', image(uuid), copy], 60_000)
      const held = mounted(copy, 'rw', measureFolder)
      await running('rm', [copy], 60_000)

      const snapshot = await nas.writer.takeSnapshot(uuid, `recover-${runId}`, '')
      const own = { name: cloneName(runId, fsType), description: `recover run ${runId}` }
      const clone = await nas.writer.clone({ lun: uuid, snapshot: snapshot.uuid }, own)
      const source = volumeOf(clone, fsType, { readOnly: true })
      await node.stage(source)
      const at = await node.publish(source)
      expect(await measure(at)).toEqual(held)
      expect(await node.shell(`touch ${at}/no 2>&1 || true`)).toContain('Read-only file system')

      // What runbooks/volumes/twins-apart.ts decides, on a kernel before 6.7.
      const adopted = volumeOf(original, fsType)
      if (fsType === 'ext4') await node.stage(adopted)
      else {
        expect(await refusal(node.stage(adopted))).toMatch(/mount failed|exit status 32/)
        expect(await hashOf(uuid)).toBe(before)
      }
      await release(source)
      await isFree(clone.uuid)
      await nas.writer.dropOwnClone({ uuid: clone.uuid, name: own.name, parent: uuid, run: runId })

      await node.stage(adopted)
      const back = await node.publish(adopted)
      expect(await measure(back)).toEqual(held)
      expect(
        await node.shell(
          `findmnt -nro FSTYPE ${back}; blkid -o value -s TYPE $(findmnt -nro SOURCE ${back})`,
        ),
      ).toBe(`${fsType}\n${fsType}\n`)
      expect((await target(uuid)).sessions).toHaveLength(1)
      await node.shell(`echo 'after the outage' >${back}/new`)
      await release(adopted)
      await isFree(uuid)
      expect(mounted(image(uuid), 'ro', root => readFileSync(join(root, 'new'), 'utf8'))).toBe(
        'after the outage\n',
      )
      expect(await node.log()).not.toMatch(/unformatted|mkfs/)
      await nas.writer.deleteSnapshot({ uuid: snapshot.uuid, lun: uuid, name: snapshot.name })
    },
    900_000,
  )

  test('a class with formatOptions makes a disk, a Job copies to it, and it grows while it is mounted', async () => {
    const from = await lunOf(disks.ext4.uuid)
    const source = volumeOf(from, 'ext4', { readOnly: true })
    const parameters = {
      ...{ dsm: live.network.own, location: '/volume1', fsType: 'btrfs', formatOptions: '--nodiscard' },
      ...{ 'csi.storage.k8s.io/pvc/name': 'data', 'csi.storage.k8s.io/pvc/namespace': 'grafana' },
    }
    const capability = { 2: { 1: 'btrfs' }, 3: { 1: 1 } }
    const made = await node.driver.call('Controller/CreateVolume', {
      ...{ 1: 'pvc-made', 2: { 1: gibibyte }, 3: [capability], 4: { map: parameters } },
    })
    const uuid = textAt(made, 1, 2)
    const lun = await lunOf(uuid)
    expect(lun).toMatchObject({ name: 'k8s-csi-pvc-made', description: 'grafana/data', sizeBytes: gibibyte })
    const fresh = volumeOf(lun, 'btrfs', { named: 'pvc-made' })
    const { csi } = fresh.spec as { csi: { volumeAttributes: Record<string, string> } }
    csi.volumeAttributes = mapAt(made, 1, 3)
    expect(csi.volumeAttributes).toMatchObject({
      protocol: 'iscsi',
      formatOptions: '--nodiscard',
      source: '',
    })

    await node.stage(source)
    await node.stage(fresh)
    expect(await node.log()).toMatch(/mkfs\.btrfs|as type: "btrfs" with options: \[--nodiscard/)
    const [src, dst] = [await node.publish(source), await node.publish(fresh)]
    const held = await measure(src)
    expect(parseCopyVerdict(await job(copyProgram, { '/src': src, '/dst': dst }))).toMatchObject({
      files: held?.files,
    })
    expect(await measure(dst)).toEqual(held)

    const larger = { 1: uuid, 2: { 1: 1.5 * gibibyte } }
    await node.driver.call('Controller/ControllerExpandVolume', larger)
    await node.grow(fresh, dst)
    expect(Number(await node.shell(`findmnt -nbro SIZE ${dst}`))).toBe(1.5 * gibibyte)
    expect(await measure(dst)).toEqual(held)
    for (const volume of [source, fresh]) await release(volume)
    for (const disk of [from.uuid, uuid]) await isFree(disk)
    expect(mounted(image(uuid), 'ro', measureFolder)).toEqual(held)
    await node.driver.call('Controller/DeleteVolume', { 1: uuid })
    expect(await lunOf(uuid)).toBeUndefined()
    expect(existsSync(image(uuid))).toBe(false)
    expect(await nas.reader.targets()).toHaveLength(3)
  }, 900_000)

  test('a class of another file system than the disk has mounts nothing and formats nothing', async () => {
    const { uuid } = disks.ext4
    const held = mounted(image(uuid), 'ro', measureFolder)
    const wrong = volumeOf(await lunOf(uuid), 'btrfs')
    expect(await refusal(node.stage(wrong))).toContain('wrong fs type')
    await node.unstage(wrong)
    await isFree(uuid)
    expect(mounted(image(uuid), 'ro', measureFolder)).toEqual(held)
  }, 300_000)

  test('one machine at a time: while another is logged in, the disk is not mounted', async () => {
    const { uuid } = disks.btrfs
    const volume = volumeOf(await lunOf(uuid), 'btrfs')
    const { iqn } = await target(uuid)
    const other = await iscsiLogin(`${live.network.own}:3260`, iqn, 'iqn.2016-04.com.open-iscsi:other')
    onTestFinished(() => void other?.destroy())
    expect((await target(uuid)).sessions).toHaveLength(1)
    // tgtd does not even tell of a target that is closed; DSM tells of it and refuses the login (19).
    expect(await refusal(node.stage(volume))).toMatch(/No records found|exit status 19/)
    other!.destroy()
    await until('the other machine to be gone', 180_000, async () =>
      (await target(uuid)).sessions.length === 0 ? true : undefined,
    )
    await node.stage(volume)
    await node.unstage(volume)
    await isFree(uuid)
  }, 300_000)

  test('over https as over http; a driver that could not log in at its start finds no volume until it is started again', async () => {
    const volume = volumeOf(await lunOf(disks.btrfs.uuid), 'btrfs')
    await node.stop()
    await start({ https: true, password: 'not-the-password' })
    expect(await refusal(node.stage(volume))).toMatch(/Volume\[\S+\] is not found/)
    await node.stop()
    await start({ https: true })
    await node.stage(volume)
    await node.unstage(volume)
    await isFree(disks.btrfs.uuid)
  }, 300_000)
})
