import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { connectNas } from '../../runbooks/connect-nas.ts'
import { connectLinux } from '../../src/nas/linux/linux.ts'
import type { NasWriter } from '../../src/nas/nas.ts'
import { type ContractNas, nasContract } from '../nas/contract.ts'
import { run, runWith } from './harness/commands.ts'
import { initiatorsOf } from './harness/iscsi-login.ts'
import { type IscsiTarget, startIscsiTarget } from './harness/iscsi-target.ts'
import { type Login, makeLogin } from './harness/login.ts'
import { describeReal, place } from './harness/place.ts'
import { type Sshd, startSshd } from './harness/sshd.ts'

const size = 16 * 2 ** 20

describeReal('a plain Linux box with tgt, over SSH', () => {
  let target: IscsiTarget
  let server: Sshd
  let key: Login
  let btrfs: string
  const mounted: string[] = []

  beforeAll(async () => {
    target = await startIscsiTarget('127.0.63.1')
    key = makeLogin()
    server = await startSshd([key.public])
    btrfs = folderOn('btrfs')
  })
  afterAll(async () => {
    await server?.stop()
    await target?.close()
    for (const at of mounted) run('umount', at)
  })

  /** A folder on a file system of its own. */
  const folderOn = (fileSystem: string, megabytes = 256): string => {
    const base = mkdtempSync(join(place().folder, `${fileSystem}-`))
    const at = join(base, 'luns')
    mkdirSync(at)
    writeFileSync(join(base, 'image'), '')
    truncateSync(join(base, 'image'), megabytes * 2 ** 20)
    run(`mkfs.${fileSystem}`, '-q', join(base, 'image'))
    run('mount', '-o', 'loop', join(base, 'image'), at)
    mounted.push(at)
    return at
  }
  const connectTo = (folder: string) => {
    const config = mkdtempSync(join(place().folder, 'tgt-conf-'))
    const nas = connectNas(
      {
        ssh: {
          name: 'the NAS',
          address: '127.0.0.1',
          port: server.port,
          user: server.user,
          pins: [server.hostKey()],
          privateKey: key.private,
        },
        folder,
        control: target.control,
        config,
      },
      new AbortController().signal,
      1,
    )
    onTestFinished(() => nas.close())
    return { ...nas, config }
  }
  /** Shows a file as an administrator would who knows nothing of recover. */
  const shareByHand = (folder: string, name: string): string => {
    const file = join(folder, `${name}.img`)
    writeFileSync(file, '')
    truncateSync(file, size)
    const iqn = `iqn.2001-04.net.example:${name}`
    const forget = target.shareOpenly({ iqn, file })
    onTestFinished(forget)
    return iqn
  }

  const open = async (): Promise<ContractNas & { config: string; folder: string }> => {
    const folder = mkdtempSync(join(btrfs, 'luns-'))
    shareByHand(folder, 'k8s-csi-pvc-photos')
    const nas = connectTo(folder)
    const initiators = initiatorsOf(nas.reader, target.portal)
    onTestFinished(async () => {
      initiators.end()
      for (const { id } of await nas.reader.targets()) target.forget(id)
    })
    const [lun] = await nas.reader.luns()
    const fileOf = async (uuid: string) => (await nas.reader.luns()).find(l => l.uuid === uuid)!
    const files = new Map<string, string>()
    const path = (uuid: string) => files.get(uuid) ?? join(folder, 'k8s-csi-pvc-photos.img')
    return {
      ...nas,
      folder,
      writer: {
        ...nas.writer,
        async clone(source, as) {
          const clone = await nas.writer.clone(source, as)
          files.set(clone.uuid, join(folder, `${(await fileOf(clone.uuid)).name}.img`))
          return clone
        },
      },
      lun: { uuid: lun!.uuid, name: lun!.name, sizeBytes: lun!.sizeBytes },
      login: initiators.login,
      logout: initiators.logout,
      write(uuid, text) {
        const fd = openSync(path(uuid), 'r+')
        writeSync(fd, text.padEnd(64, '\0'), 0)
        closeSync(fd)
      },
      read(uuid) {
        const fd = openSync(path(uuid), 'r')
        const bytes = Buffer.alloc(64)
        readSync(fd, bytes, 0, 64, 0)
        closeSync(fd)
        return bytes.toString('utf8').replace(/\0+$/, '')
      },
    }
  }

  nasContract('a Linux box with tgt', open)

  test('a clone shares its blocks, and tgt is told of it for the time after it was started again', async () => {
    const nas = await open()
    run(
      'dd',
      'if=/dev/urandom',
      `of=${nas.folder}/k8s-csi-pvc-photos.img`,
      'bs=1M',
      'count=16',
      'conv=notrunc',
      'status=none',
    )
    run('sync', '-f', nas.folder)
    const before = (await nas.reader.describe()).volumes[0]!.freeBytes
    const clone = await nas.writer.clone(
      { lun: nas.lun.uuid },
      { name: 'k8s-csi-recover-1-x', description: 'recover run 1' },
    )
    expect(before - (await nas.reader.describe()).volumes[0]!.freeBytes).toBeLessThan(4 * 2 ** 20)
    run('cmp', join(nas.folder, 'k8s-csi-pvc-photos.img'), join(nas.folder, `${clone.name}.img`))
    const config = readFileSync(join(nas.config, `recover-${clone.name}.conf`), 'utf8')
    expect(config).toContain(`scsi_sn ${clone.uuid}`)
  })

  test('tgt was started again: a clone is shown as before, and a target that was off is on, as was said beforehand', async () => {
    const nas = await open()
    const clone = await nas.writer.clone(
      { lun: nas.lun.uuid },
      { name: 'k8s-csi-recover-1-x', description: 'recover run 1' },
    )
    const leading = async () => (await nas.reader.targets()).find(t => t.mappings[0]?.lun === clone.uuid)!
    expect(await nas.writer.setTargetEnabled((await leading()).id, false)).toMatchObject({ enabled: false })
    await target.restart(nas.config)
    expect((await nas.reader.describe()).can.lacks.join()).toContain('forgets that a target was switched off')
    expect(await leading()).toMatchObject({
      name: clone.name,
      enabled: true,
      mappings: [{ lun: clone.uuid, index: 1 }],
    })
    // What an administrator showed by hand and never wrote down leads nowhere any more; its file is there.
    expect(await nas.reader.targets()).toHaveLength(1)
    expect((await nas.reader.luns()).map(l => l.name).sort()).toEqual([nas.lun.name, clone.name].sort())
    expect(await nas.login(clone.uuid, 'iqn.2026-01.test:new')).toBe(true)
    expect((await nas.writer.setTargetEnabled((await leading()).id, false)).sessions).toEqual([])
  })

  test('xfs shares blocks, too; where it is full, it says so and leaves nothing half made', async () => {
    const folder = folderOn('xfs', 320)
    shareByHand(folder, 'k8s-csi-pvc-xfs')
    const { reader, writer } = connectTo(folder)
    expect((await reader.describe()).can).toMatchObject({ snapshots: true, clones: true })
    const [lun] = await reader.luns()
    const source = { lun: lun!.uuid, snapshot: (await writer.takeSnapshot(lun!.uuid, 'recover-1', '')).uuid }
    const as = { name: 'k8s-csi-recover-1-x', description: 'recover run 1' }
    expect(() => run('dd', 'if=/dev/zero', `of=${folder}/filler`, 'bs=64k')).toThrow()
    await expect(writer.clone(source, as)).rejects.toMatchObject({ code: 'nas-full', blame: 'operator' })
    expect(await reader.luns()).toHaveLength(1)
    rmSync(join(folder, 'filler'))
    expect(await writer.clone(source, as)).toMatchObject({ name: as.name, parent: lun!.uuid })
    run('cmp', join(folder, 'k8s-csi-pvc-xfs.img'), join(folder, `${as.name}.img`))
    onTestFinished(async () => {
      for (const { id } of await reader.targets()) target.forget(id)
    })
  })

  test('on ext4 it has neither snapshots nor clones, and says so before anything is asked of it', async () => {
    const folder = folderOn('ext4')
    shareByHand(folder, 'k8s-csi-pvc-plain')
    const { reader, writer } = connectTo(folder)
    const { can } = await reader.describe()
    expect(can).toMatchObject({ snapshots: false, clones: false })
    expect(can.lacks[0]).toMatch(/^files on ext4 cannot share blocks/)
    const [lun] = await reader.luns()
    await expect(writer.takeSnapshot(lun!.uuid, 'recover-1', '')).rejects.toMatchObject({
      code: 'nas-cannot',
    })
  })

  test('a LUN that lies elsewhere is listed and left alone', async () => {
    const folder = mkdtempSync(join(btrfs, 'luns-'))
    shareByHand(mkdtempSync(join(place().folder, 'elsewhere-')), 'k8s-csi-pvc-far')
    const { reader, writer } = connectTo(folder)
    const [lun] = await reader.luns()
    expect(lun).toMatchObject({ name: 'k8s-csi-pvc-far.img', status: 'outside', sizeBytes: size })
    await expect(writer.takeSnapshot(lun!.uuid, 'recover-1', '')).rejects.toMatchObject({
      code: 'nas-cannot',
    })
    await expect(writer.deleteLun(lun!)).rejects.toMatchObject({ code: 'nas-cannot' })
  })

  test('what a torn line left half made is made anew', async () => {
    const nas = await open()
    nas.write(nas.lun.uuid, 'two people')
    const at = join(nas.folder, '.snapshots', nas.lun.uuid)
    mkdirSync(at, { recursive: true })
    writeFileSync(join(at, 'recover-1.img.part'), 'half of it', { mode: 0o400 })
    writeFileSync(join(at, 'recover-1.img.recover'), 'uuid=of-an-earlier-attempt\n')
    expect(await nas.reader.snapshots(nas.lun.uuid)).toEqual([])
    const snapshot = await nas.writer.takeSnapshot(nas.lun.uuid, 'recover-1', '')
    expect(snapshot).toMatchObject({ sizeBytes: size, lun: nas.lun.uuid })
    run('cmp', join(at, 'recover-1.img'), join(nas.folder, 'k8s-csi-pvc-photos.img'))
  })

  test('a script that changes something may be cut off before any of its commands', async () => {
    const folder = mkdtempSync(join(btrfs, 'luns-'))
    const config = mkdtempSync(join(place().folder, 'tgt-conf-'))
    const met = join(config, 'met')
    writeFileSync(met, '')
    // As when the line to the box breaks; before each command that no attempt came to yet, but for the giving of values.
    const dying = `set -T
met=$(cat ${met}; echo .)
meet() {
  case "$1" in *"='"*) return 0 ;; esac
  if [ "$BASHPID" != $$ ] || [[ $'\\n'$met == *$'\\n'"$1"$'\\n'* ]]; then return 0; fi
  printf '%s\\n' "$1" >> ${met}
  kill -9 $$
}
trap 'meet "$BASH_COMMAND"' DEBUG
`
    const { reader, writer } = connectLinux({
      box: 'the NAS',
      folder,
      control: target.control,
      config,
      async run(script, looks) {
        try {
          return { code: 0, stdout: runWith({ input: looks ? script : dying + script }, 'bash'), stderr: '' }
        } catch (thrown) {
          if ((thrown as { signal?: string }).signal !== 'SIGKILL') throw thrown
          return { code: 137, stdout: '', stderr: 'cut off' }
        }
      },
    })
    onTestFinished(async () => {
      for (const { id } of await reader.targets()) target.forget(id)
    })
    const shown = () => run('tgtadm', '-C', String(target.control), '--op', 'show', '--mode', 'target')
    /** What a cut leaves that a look takes for whole and is not. */
    const wrong = async () => {
      const luns = await reader.luns()
      return (await reader.targets()).flatMap(({ name, iqn, mappings }) => {
        const [, rest = ''] = shown().split(`: ${iqn}\n`)
        const [part = ''] = rest.split(/^Target /m)
        const uuid = luns.find(l => l.name === name)?.uuid
        const kept = existsSync(join(config, `recover-${name}.conf`))
        return [
          ...(mappings.length === 0 || kept ? [] : [`${name} is gone when tgt is started again`]),
          ...(mappings.length === 0 || !/^ {8}ALL$/m.test(part) || part.includes(`SCSI SN: ${uuid}\n`)
            ? []
            : [`${name} lets everybody in by another serial number than its own`]),
        ]
      })
    }
    let cuts = 0
    const stubborn = async <T>(action: () => Promise<T>): Promise<T> => {
      for (;;)
        try {
          return await action()
        } catch (thrown) {
          if (!String(thrown).includes('cut off')) throw thrown
          cuts += 1
          expect(cuts).toBeLessThan(200)
          expect(await wrong()).toEqual([])
        }
    }
    const made = (name: string, sizeBytes: number): Parameters<NasWriter['createLun']>[0] => ({
      name,
      description: 'photos',
      sizeBytes,
      beside: '',
    })
    const lun = await stubborn(() => writer.createLun(made('k8s-csi-new', size)))
    const snapshot = await stubborn(() => writer.takeSnapshot(lun.uuid, 'recover-1', ''))
    const clone = await stubborn(() =>
      writer.clone(
        { lun: lun.uuid, snapshot: snapshot.uuid },
        { name: 'k8s-csi-recover-1-x', description: 'recover run 1' },
      ),
    )
    await stubborn(() => writer.describeLun(lun.uuid, 'photos/library'))
    const byName = async (name: string) => (await reader.targets()).find(t => t.name === name)!
    const { id } = await byName(lun.name)
    await stubborn(() => writer.setTargetEnabled(id, false))
    expect(await byName(lun.name)).toMatchObject({ enabled: false, mappings: [{ lun: lun.uuid }] })
    expect(await byName(clone.name)).toMatchObject({ enabled: true, mappings: [{ lun: clone.uuid }] })
    expect(shown().match(/^ {8}ALL$/gm)).toHaveLength(2)
    expect(await reader.luns()).toMatchObject([{ description: 'photos/library' }, { parent: lun.uuid }])
    await target.restart(config)
    expect(await byName(lun.name)).toMatchObject({ mappings: [{ lun: lun.uuid }] })
    expect(await byName(clone.name)).toMatchObject({ mappings: [{ lun: clone.uuid }] })
    expect(await wrong()).toEqual([])
    await stubborn(() => writer.dropOwnClone({ ...clone, parent: lun.uuid, run: '1' }))
    await stubborn(() => writer.deleteSnapshot({ ...snapshot, lun: lun.uuid }))
    await stubborn(() => writer.deleteLun(lun))
    expect(await reader.luns()).toEqual([])
    expect(await reader.targets()).toEqual([])
    expect(readdirSync(folder, { recursive: true })).toEqual(['.snapshots'])
    expect(readdirSync(config).sort()).toEqual(['met', 'targets.conf'])
    process.stdout.write(`a Linux NAS: its scripts were cut off at ${cuts} commands\n`)
    expect(cuts).toBeGreaterThan(30)
  })

  test('a folder that is not there is told', async () => {
    await expect(connectTo('/nowhere').reader.luns()).rejects.toMatchObject({
      code: 'nas-refused',
      message: expect.stringContaining('there is no folder /nowhere'),
    })
  })
})
