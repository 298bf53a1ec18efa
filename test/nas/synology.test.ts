import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDisks } from '../../src/lab/nas/disks.ts'
import { NasEmulator } from '../../src/lab/nas/emulator.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import { openPki } from '../../src/lab/pki.ts'
import { World } from '../../src/lab/world.ts'
import { cloneName } from '../../src/nas/nas.ts'
import { connectSynology } from '../../src/nas/synology/synology.ts'
import { get, login, quoted } from '../lab/csi-requests.ts'
import { connectedNas } from './connected-nas.ts'

test('a stop does not wait for a NAS that takes the connection and says nothing', async () => {
  const silent = createServer(() => {})
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  const stop = new AbortController()
  const { port } = silent.address() as AddressInfo
  silent.once('connection', () => stop.abort(new Error('enough')))
  const client = connectSynology({
    fingerprint: `sha256:${'0'.repeat(64)}`,
    account: async () => 'recover',
    password: async () => 'unused',
    url: `https://127.0.0.1:${port}`,
    signal: stop.signal,
  })
  const began = performance.now()
  await expect(client.reader.describe()).rejects.toThrow('enough')
  await client.close()
  // A connection that is being made is otherwise given up after ten seconds.
  expect(performance.now() - began).toBeLessThan(5_000)
  await new Promise(resolve => silent.close(resolve))
})

describe('reading', () => {
  test('says what the NAS is and what is on it, and changes nothing', async () => {
    const { reader, world, lun } = await connectedNas()
    expect(await reader.describe()).toEqual({
      model: 'DS923+',
      hostname: 'beryllium',
      volumes: [
        {
          path: '/volume1',
          fileSystem: 'btrfs',
          status: 'normal',
          sizeBytes: 4_000_000_000_000,
          freeBytes: 4_000_000_000_000 - lun.sizeBytes,
        },
      ],
      limits: { luns: 256, targets: 128, snapshotsPerLun: 256 },
      can: { snapshots: true, clones: true, driver: 'csi.san.synology.com', lacks: [] },
    })
    expect(await reader.luns()).toEqual([
      {
        uuid: lun.uuid,
        name: `k8s-csi-${lun.pv}`,
        sizeBytes: lun.sizeBytes,
        usedBytes: lun.sizeBytes,
        description: 'photos/library',
        location: '/volume1',
        status: 'normal',
        locked: false,
      },
    ])
    expect(await reader.targets()).toMatchObject([
      {
        name: `k8s-csi-${lun.pv}`,
        enabled: true,
        mappings: [{ lun: lun.uuid, index: 1 }],
        sessions: [],
        maxSessions: 1,
      },
    ])
    expect(await reader.snapshots(lun.uuid)).toEqual([])
    expect(world.mutations.nas).toBe(0)
    expect(Object.keys(reader).sort()).toEqual([
      'describe',
      'luns',
      'shareSnapshots',
      'shares',
      'snapshots',
      'targets',
    ])
  })

  test('logs in once for many calls at once, and once more when the session was lost', async () => {
    const { reader, world, logins } = await connectedNas()
    await Promise.all([reader.luns(), reader.targets(), reader.describe()])
    expect(logins()).toBe(1)
    world.arm('nas-session-expires', undefined)
    expect(await reader.luns()).toHaveLength(1)
    expect(logins()).toBe(2)
  })

  test('a refused login is told and not repeated', async () => {
    let asked = 0
    const { reader } = await connectedNas(() => {}, {
      password: async () => {
        asked += 1
        return 'wrong'
      },
    })
    await expect(reader.luns()).rejects.toMatchObject({ code: 'nas-login-refused', blame: 'operator' })
    expect(asked).toBe(1)
  })

  test.each([
    [401, 'nas-account-disabled'],
    [402, 'nas-account-not-administrator'],
    [403, 'nas-wants-one-time-password'],
    [404, 'nas-wants-one-time-password'],
    [406, 'nas-wants-one-time-password'],
    [407, 'nas-blocks-address'],
    [408, 'nas-password-expired'],
    [409, 'nas-password-expired'],
    [410, 'nas-password-expired'],
  ])('a login refused with DSM code %s is told as %s and not repeated', async (dsm, code) => {
    const { reader, world, logins } = await connectedNas()
    world.arm('nas-login-refused', String(dsm), 99)
    await expect(reader.luns()).rejects.toMatchObject({
      code,
      blame: 'operator',
      transient: false,
      message: expect.stringContaining(`DSM code ${dsm}`),
    })
    expect(logins()).toBe(1)
  })

  test('without TLS it is spoken to only at an address that says so', async () => {
    const { emulator, lun } = await connectedNas()
    const port = await emulator.listenPlain()
    const client = connectSynology({
      url: `http://127.0.0.1:${port}`,
      fingerprint: undefined,
      account: async () => 'recover',
      password: async () => 'correct horse battery',
    })
    expect(await client.reader.luns()).toMatchObject([{ uuid: lun.uuid }])
    await client.close()
  })

  test('an https address without a fingerprint gets nothing', async () => {
    const { reader } = await connectedNas(() => {}, { fingerprint: undefined })
    await expect(reader.luns()).rejects.toMatchObject({ code: 'nas-certificate-changed' })
  })

  test('another certificate than the pinned one gets no password', async () => {
    const { reader, emulator } = await connectedNas(() => {}, {
      fingerprint: `sha256:${'0'.repeat(64)}`,
      password: async () => 'must not be sent',
    })
    await expect(reader.luns()).rejects.toMatchObject({
      code: 'nas-certificate-changed',
      message: expect.stringMatching(
        new RegExp(`${emulator.fingerprint}, not sha256:0{64}; nothing was sent`),
      ),
    })
  })

  test('a NAS that does not answer is a fault that may pass', async () => {
    const { reader, emulator } = await connectedNas()
    await emulator.close()
    await expect(reader.luns()).rejects.toMatchObject({ code: 'nas-unreachable', transient: true })
  })
})

describe('changing', () => {
  test('a new LUN takes discards if the one that it replaces did', async () => {
    const { writer, port, world, lun } = await connectedNas(b => {
      b.nas.csrf = false
    })
    const made = (name: string) =>
      writer.createLun({ name, description: name, sizeBytes: 2 ** 30, beside: lun.uuid })
    const attributes = () => world.read<NasState>('nas')?.luns.map(l => l.attributes)
    await made('k8s-csi-without')
    expect(attributes()).toEqual([undefined, {}])
    const base = `https://127.0.0.1:${port}`
    const { sid } = (await login(base)).data
    const wanted = encodeURIComponent(
      JSON.stringify([
        { dev_attrib: 'emulate_tpu', enable: 1 },
        { dev_attrib: 'emulate_3pc', enable: 0 },
      ]),
    )
    await get(
      base,
      'entry.cgi',
      `api=SYNO.Core.ISCSI.LUN&dev_attribs=${wanted}&method=set&uuid=${quoted(lun.uuid)}&version=1`,
      sid,
    )
    await made('k8s-csi-with')
    // What no StorageClass can choose is left to the NAS.
    expect(attributes()?.at(-1)).toEqual({ emulate_tpu: true })
  })

  test('a clone of a snapshot has the files of then, its own target, and is made once', async () => {
    const { writer, emulator, lun } = await connectedNas(b => {
      b.latency.clone = 2
    })
    const snapshot = await writer.takeSnapshot(lun.uuid, 'recover-r1', '')
    const { writeFileSync } = await import('node:fs')
    writeFileSync(join(emulator.seam.filesOf(lun.uuid), '2019/wedding.jpg'), 'overwritten')
    const name = cloneName('r1', 'photos-library')
    const clone = await writer.clone(
      { lun: lun.uuid, snapshot: snapshot.uuid },
      { name, description: 'recover run r1' },
    )
    expect(clone).toMatchObject({
      name,
      parent: lun.uuid,
      sizeBytes: lun.sizeBytes,
      locked: false,
      description: 'recover run r1',
    })
    expect(readFileSync(join(emulator.seam.filesOf(clone.uuid), '2019/wedding.jpg'), 'utf8')).toBe(
      'two people',
    )
    expect((await writer.targets()).find(t => t.name === name)?.mappings).toEqual([
      { lun: clone.uuid, index: 1 },
    ])
    const again = await writer.clone(
      { lun: lun.uuid, snapshot: snapshot.uuid },
      { name, description: 'recover run r1' },
    )
    expect(again.uuid).toBe(clone.uuid)
    expect(await writer.luns()).toHaveLength(2)
  })

  test('a disabled target ends sessions and lets nobody in; a zombie stays and is seen', async () => {
    const { writer, emulator, world, lun } = await connectedNas()
    const old = 'iqn.2016-04.com.open-iscsi:lithium-old'
    emulator.seam.login(lun.uuid, old, '127.0.0.1')
    const [target] = await writer.targets()
    expect(target?.sessions).toEqual([{ initiator: old, ip: '127.0.0.1' }])
    expect(() => emulator.seam.login(lun.uuid, 'iqn.new', '127.0.0.1')).toThrow('19 -')
    world.arm('zombie-host', 'lithium', 99)
    expect((await writer.setTargetEnabled(target!.id, false)).sessions).toHaveLength(1)
    world.heal()
    await writer.setTargetEnabled(target!.id, true)
    expect((await writer.setTargetEnabled(target!.id, false)).sessions).toEqual([])
    expect(() => emulator.seam.login(lun.uuid, old, '127.0.0.1')).toThrow('19 -')
    await writer.setTargetEnabled(target!.id, true)
    emulator.seam.login(lun.uuid, 'iqn.new', '127.0.0.1')
  })

  test('a full NAS and a reached limit say so', async () => {
    const full = await connectedNas()
    full.world.arm('nas-full', undefined, 99)
    await expect(
      full.writer.clone({ lun: full.lun.uuid }, { name: 'k8s-csi-a', description: '' }),
    ).rejects.toMatchObject({
      code: 'nas-full',
      blame: 'operator',
      message: expect.stringContaining('18990002'),
    })
    const small = await connectedNas(b => {
      b.nas.limits.targets = 1
    })
    const clone = () => small.writer.clone({ lun: small.lun.uuid }, { name: 'k8s-csi-a', description: '' })
    // Nothing ails the NAS: a person has to choose what goes.
    const reached = { code: 'nas-limit-reached', blame: 'operator' }
    await expect(clone()).rejects.toMatchObject({ ...reached, dsm: 18990542 })
    // The LUN stays behind without a target, as on the real one; a later attempt finds it by its name.
    small.world.blueprint.nas.limits.targets = 2
    expect(await clone()).toMatchObject({ name: 'k8s-csi-a' })
    expect(await small.writer.luns()).toHaveLength(2)
    small.world.blueprint.nas.limits.luns = 2
    await expect(
      small.writer.clone({ lun: small.lun.uuid }, { name: 'k8s-csi-b', description: '' }),
    ).rejects.toMatchObject({ ...reached, dsm: 18990541 })
    small.world.blueprint.nas.limits.snapshotsPerLun = 0
    await expect(small.writer.takeSnapshot(small.lun.uuid, 'recover-r1', '')).rejects.toMatchObject({
      code: 'nas-snapshots-full',
      blame: 'operator',
    })
  })

  test('what was answered outlives the process of the NAS', async () => {
    const first = await connectedNas()
    await first.writer.takeSnapshot(first.lun.uuid, 'recover-r1', '')
    const { dir } = first.world
    const world = World.open(dir)
    const emulator = new NasEmulator(world, await openPki(world, ['nas'], []), await openDisks(world))
    const port = await emulator.listen()
    onTestFinished(() => emulator.close())
    expect(emulator.fingerprint).toBe(first.emulator.fingerprint)
    const client = connectSynology({
      url: `https://127.0.0.1:${port}`,
      fingerprint: emulator.fingerprint,
      account: async () => 'recover',
      password: async () => 'correct horse battery',
    })
    onTestFinished(() => client.close())
    expect(await client.reader.snapshots(first.lun.uuid)).toMatchObject([{ name: 'recover-r1' }])
  })
})

test('the requests of the real CSI driver are answered as it needs them', async () => {
  const { port, lun } = await connectedNas(b => {
    b.nas.csrf = false
  })
  const { request, Agent } = await import('undici')
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })
  const get = async (path: string, cookie?: string) => {
    const { body } = await request(`https://127.0.0.1:${port}/webapi/${path}`, {
      dispatcher,
      headers: cookie ? { cookie } : {},
    })
    return (await body.json()) as { success: boolean; data: Record<string, never>; error?: { code: number } }
  }
  const login = await get(
    'auth.cgi?account=recover&api=SYNO.API.Auth&format=sid&method=login&passwd=correct+horse+battery&version=3',
  )
  const cookie = `id=${login.data.sid}`
  expect((await get('entry.cgi?api=SYNO.Core.System&method=info&version=1')).error?.code).toBe(119)
  const q = (api: string, method: string, rest: Record<string, string>) =>
    get(`entry.cgi?${new URLSearchParams({ api, method, version: '1', ...rest })}`, cookie)
  const created = await q('SYNO.Core.ISCSI.LUN', 'create', {
    name: '"k8s-csi-pvc-u"',
    size: '1073741824',
    type: 'BLUN',
    location: '/volume1',
    description: 'ns/pvc',
    dev_attribs: '[]',
  })
  expect(created).toMatchObject({
    success: true,
    data: { uuid: expect.any(String), lun_id: expect.any(Number) },
  })
  const target = await q('SYNO.Core.ISCSI.Target', 'create', {
    name: 'k8s-csi-pvc-u',
    iqn: 'iqn.x:y',
    auth_type: '0',
  })
  const id = String(target.data.target_id)
  expect((await q('SYNO.Core.ISCSI.Target', 'get', { target_id: id })).error?.code).toBe(18990710)
  expect((await q('SYNO.Core.ISCSI.Target', 'get', { target_id: `"${id}"` })).success).toBe(true)
  await q('SYNO.Core.ISCSI.LUN', 'map_target', { uuid: `"${created.data.uuid}"`, target_ids: `[${id}]` })
  const listed = await q('SYNO.Core.ISCSI.Target', 'list', {
    additional: '["mapped_lun", "connected_sessions"]',
  })
  expect(listed.data.targets).toContainEqual(
    expect.objectContaining({
      mapped_luns: [{ lun_uuid: created.data.uuid, mapping_index: 1 }],
      connected_sessions: [],
    }),
  )
  expect((await q('SYNO.Core.ISCSI.LUN', 'get', { uuid: `"${lun.uuid}"` })).data.lun).not.toHaveProperty(
    'status',
  )
  expect((await q('SYNO.Core.Storage.Volume', 'get', { volume_path: '"/volume9"' })).error?.code).toBe(117)
  await dispatcher.close()
})

describe('deleting what a person has agreed to', () => {
  test('leaves a target that leads elsewhere, too', async () => {
    const { writer, world, lun } = await connectedNas(({ nas }) =>
      nas.luns.push({ ...nas.luns[0]!, uuid: 'b'.repeat(36), pv: 'pvc-second', claim: 'a/b' }),
    )
    const [target] = await writer.targets()
    expect(target?.mappings).toHaveLength(1)
    const state = world.read<{ targets: { id: number; mappings: object[] }[] }>('nas')
    expect(state?.targets).toHaveLength(2)
    await writer.deleteLun({ uuid: lun.uuid, name: `k8s-csi-${lun.pv}`, sizeBytes: lun.sizeBytes })
    expect((await writer.targets()).map(t => t.name)).toEqual(['k8s-csi-pvc-second'])
  })
})
