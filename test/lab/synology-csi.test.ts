import { request } from 'undici'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Lab, startLab } from '../../src/lab/lab.ts'
import { World } from '../../src/lab/world.ts'
import { scratch } from '../runbook/harness.ts'
import { agent, get, type Json, login, quoted } from './csi-requests.ts'
import { smallBlueprint } from './small-world.ts'

let lab: Lab
let world: World

beforeAll(async () => {
  const blueprint = smallBlueprint()
  blueprint.nas.csrf = false
  blueprint.nas.limits = { luns: 6, targets: 6, snapshotsPerLun: 2 }
  world = World.create(scratch('nas'), blueprint)
  lab = await startLab(world)
})
afterAll(async () => {
  await lab.close()
})

describe.each(['url', 'plain'] as const)('over its %s, the CSI driver', scheme => {
  let base: string
  let sid: string
  const ask = (query: string) => get(base, 'entry.cgi', query, sid)
  const san = (api: string, method: string, rest = '') =>
    ask(
      `${rest.replace(/^(?=.)/, '')}${rest ? '&' : ''}api=SYNO.Core.ISCSI.${api}&method=${method}&version=1`,
    )

  beforeEach(async () => {
    base = lab.endpoints.nas[scheme]
    sid = (await login(base)).data.sid
  })

  test('logs in and out', async () => {
    expect(await login(base)).toEqual({
      data: { sid: expect.any(String), is_portal_port: false },
      success: true,
    })
    expect(await login(base, 'wrong')).toEqual({ success: false, error: { code: 400 } })
    expect(await ask('api=SYNO.API.Auth&method=logout&version=1')).toEqual({ success: true })
    // What was logged out of is not known any more; nor is what never was.
    expect(await san('LUN', 'list')).toMatchObject({ error: { code: 119 } })
    expect(await get(base, 'entry.cgi', 'api=SYNO.Core.ISCSI.LUN&method=list&version=1')).toMatchObject({
      error: { code: 119 },
    })
  })

  test('makes a volume, finds it, grows it, snapshots it and deletes it', async () => {
    const name = `k8s-csi-pvc-${scheme}`
    const created = await san(
      'LUN',
      'create',
      `description=photos%2Flibrary&dev_attribs=%5B%5D&location=%2Fvolume1&name=${quoted(name)}&size=1073741824&type=BLUN`,
    )
    expect(created).toEqual({ success: true, data: { uuid: expect.any(String), lun_id: expect.any(Number) } })
    const { uuid } = created.data
    const again = await san('LUN', 'create', `location=%2Fvolume1&name=${quoted(name)}&size=1&type=BLUN`)
    expect(again.error.code).toBe(18990538)
    // By its name and by its uuid; with uneven blanks in what else is asked for.
    const more = encodeURIComponent('["allocated_size","status","flashcache_status", "is_action_locked"]')
    for (const which of [name, uuid])
      expect((await san('LUN', 'get', `additional=${more}&uuid=${quoted(which)}`)).data.lun).toMatchObject({
        uuid,
        name,
        size: 1_073_741_824,
        location: '/volume1',
        description: 'photos/library',
        type: 263,
        status: 'normal',
        is_action_locked: false,
        allocated_size: expect.any(Number),
      })
    expect((await ask('api=SYNO.Core.System&method=info&type=network&version=1')).data.hostname).toBe(
      'beryllium',
    )
    const target = await san(
      'Target',
      'create',
      `auth_type=0&iqn=iqn.2000-01.com.synology%3Aberyllium.${scheme}&name=${name}`,
    )
    expect(target.data).toEqual({ target_id: expect.any(Number) })
    const id: number = target.data.target_id
    expect((await san('LUN', 'map_target', `target_ids=%5B${id}%5D&uuid=${quoted(uuid)}`)).success).toBe(true)
    const listed = await san(
      'Target',
      'list',
      `additional=${encodeURIComponent('["mapped_lun", "connected_sessions"]')}`,
    )
    expect(listed.data.targets.find((t: Json) => t.target_id === id)).toMatchObject({
      name,
      iqn: `iqn.2000-01.com.synology:beryllium.${scheme}`,
      is_enabled: true,
      auth_type: 0,
      max_sessions: 1,
      mapped_luns: [{ lun_uuid: uuid, mapping_index: 1 }],
      connected_sessions: [],
    })
    expect((await san('LUN', 'set', `new_size=2147483648&uuid=${quoted(uuid)}`)).success).toBe(true)
    const taken = await san(
      'LUN',
      'take_snapshot',
      `description=&is_app_consistent=false&is_locked=false&snapshot_name=${quoted('snapshot-1')}&src_lun_uuid=${quoted(uuid)}&taken_by=${quoted('Kubernetes CSI')}`,
    )
    const snapshot = taken.data.snapshot_uuid
    expect((await san('LUN', 'list_snapshot', `src_lun_uuid=${quoted(uuid)}`)).data.snapshots).toEqual([
      expect.objectContaining({
        uuid: snapshot,
        name: 'snapshot-1',
        parent_uuid: uuid,
        total_size: 2_147_483_648,
        root_path: '/volume1',
        taken_by: 'Kubernetes CSI',
      }),
    ])
    const cloned = await san(
      'LUN',
      'clone_snapshot',
      `cloned_lun_name=${quoted(`${name}-c`)}&snapshot_uuid=${quoted(snapshot)}&src_lun_uuid=${quoted(uuid)}`,
    )
    expect(cloned.data.cloned_lun_uuid).not.toBe(uuid)
    expect((await san('LUN', 'delete', `uuid=${quoted(cloned.data.cloned_lun_uuid)}`)).success).toBe(true)
    expect((await san('LUN', 'delete_snapshot', `snapshot_uuid=${quoted(snapshot)}`)).success).toBe(true)
    expect((await san('LUN', 'delete_snapshot', `snapshot_uuid=${quoted(snapshot)}`)).error.code).toBe(
      18990532,
    )
    // A LUN that is mapped can be deleted: its mapping goes along, its target stays.
    expect((await san('LUN', 'delete', `uuid=${quoted(uuid)}`)).success).toBe(true)
    expect((await san('LUN', 'get', `uuid=${quoted(uuid)}`)).error.code).toBe(18990531)
    // An id is a text: bare, it is none.
    expect((await san('Target', 'delete', `target_id=${id}`)).error.code).toBe(18990710)
    expect((await san('Target', 'get', `target_id=${quoted(String(id))}`)).data.target.target_id).toBe(id)
    expect((await san('Target', 'delete', `target_id=${quoted(String(id))}`)).success).toBe(true)
  })

  test('asks for space reclamation and finds it again, on a copy, too', async () => {
    const name = `k8s-csi-pvc-reclaims-${scheme}`
    // As it makes it of a map: in any order.
    const wanted = [
      { dev_attrib: 'emulate_tpu', enable: 1 },
      { dev_attrib: 'emulate_sync_cache', enable: 1 },
      { dev_attrib: 'emulate_fua_write', enable: 1 },
    ]
    const attributes = (list: object) => `dev_attribs=${encodeURIComponent(JSON.stringify(list))}`
    const create = (with_: object, type = 'BLUN') =>
      san(
        'LUN',
        'create',
        `description=&${attributes(with_)}&location=%2Fvolume1&name=${quoted(name)}&size=1073741824&type=${type}`,
      )
    const { uuid } = (await create(wanted)).data
    const clone = `dst_location=${quoted('/volume1')}&dst_lun_name=${quoted(`${name}-c`)}&src_lun_uuid=${quoted(uuid)}`
    expect((await san('LUN', 'clone', clone)).data.dst_lun_uuid).not.toBe(uuid)
    for (const lun of [name, `${name}-c`]) {
      const { dev_attribs } = (await san('LUN', 'get', `uuid=${quoted(lun)}`)).data.lun
      // It decodes a text and a whole number.
      expect([lun, dev_attribs]).toEqual([lun, expect.arrayContaining(wanted)])
      expect(dev_attribs).toContainEqual({ dev_attrib: 'emulate_3pc', enable: 1 })
      await san('LUN', 'delete', `uuid=${quoted(lun)}`)
    }
    expect((await create([{ dev_attrib: 'emulate_everything', enable: 1 }])).error.code).toBe(18990622)
    expect((await create([], 'thin')).error.code).toBe(18990500)
  })

  test('sees a copy that the NAS still works on as locked, and then not', async () => {
    const name = `k8s-csi-pvc-slow-${scheme}`
    const { uuid } = (
      await san('LUN', 'create', `location=%2Fvolume1&name=${quoted(name)}&size=1073741824&type=BLUN`)
    ).data
    const asked = encodeURIComponent('["status", "is_action_locked"]')
    const locked = async () =>
      (await san('LUN', 'get', `additional=${asked}&uuid=${quoted(`${name}-c`)}`)).data.lun.is_action_locked
    const clone = (location: string) =>
      san(
        'LUN',
        'clone',
        `dst_location=${quoted(location)}&dst_lun_name=${quoted(`${name}-c`)}&src_lun_uuid=${quoted(uuid)}`,
      )
    expect((await clone('/volume9')).error.code).toBe(18990501)
    world.blueprint.latency.clone = 3_600_000
    await clone('/volume1')
    expect(await locked()).toBe(true)
    // Whoever gave it up finds it by its name.
    expect((await clone('/volume1')).error.code).toBe(18990538)
    await san('LUN', 'delete', `uuid=${quoted(`${name}-c`)}`)
    world.blueprint.latency.clone = 0
    await clone('/volume1')
    expect(await locked()).toBe(false)
    for (const lun of [name, `${name}-c`]) await san('LUN', 'delete', `uuid=${quoted(lun)}`)
  })

  test('looks at volumes of the NAS: sizes are texts, an unknown one is 117', async () => {
    const list = 'api=SYNO.Core.Storage.Volume&limit=-1&location=all&method=list&offset=0&version=1'
    expect((await ask(list)).data.volumes[0]).toMatchObject({
      volume_path: '/volume1',
      fs_type: 'btrfs',
      status: 'normal',
      size_total_byte: expect.stringMatching(/^\d+$/),
      size_free_byte: expect.stringMatching(/^\d+$/),
    })
    const path = (p: string) => `api=SYNO.Core.Storage.Volume&method=get&version=1&volume_path=${quoted(p)}`
    expect((await ask(path('/volume1'))).data.volume.fs_type).toBe('btrfs')
    expect((await ask(path('/volume9'))).error.code).toBe(117)
  })
})

describe('the NAS', () => {
  let sid: string
  const call = (api: string, method: string, more: Record<string, unknown> = {}) =>
    post({ api: `SYNO.Core.ISCSI.${api}`, method, version: 1, ...more })
  /** As our own client and Cinder send it: POST, everything as JSON. */
  async function post(form: Record<string, unknown>): Promise<Json> {
    const body = new URLSearchParams(
      Object.entries(form).map(([k, v]): [string, string] => [
        k,
        k === 'api' || k === 'method' ? String(v) : JSON.stringify(v),
      ]),
    ).toString()
    const answer = await request(`${lab.endpoints.nas.url}/webapi/entry.cgi`, {
      method: 'POST',
      dispatcher: agent,
      headers: { 'content-type': 'application/x-www-form-urlencoded', cookie: `id=${sid}` },
      body,
    })
    return answer.body.json()
  }
  const lun = (name: string, more: object = {}) =>
    call('LUN', 'create', { name, size: 2 ** 30, type: 'BLUN', location: '/volume1', ...more })
  const names = async () => (await call('LUN', 'list')).data.luns.map((l: Json) => l.name)

  beforeEach(async () => {
    sid = (await login(lab.endpoints.nas.url)).data.sid
  })

  test('refuses a name of exactly 255 characters and makes the LUN all the same; a longer one is only refused', async () => {
    const name = 'n'.repeat(255)
    expect((await lun(name)).error.code).toBe(18990068)
    expect(await names()).toContain(name)
    expect((await lun('n'.repeat(256))).error.code).toBe(18990503)
    await call('LUN', 'delete', { uuid: name })
    expect(await names()).not.toContain(name)
  })

  test('renames a LUN or a target to what nobody else is called, and lists kinds of LUNs', async () => {
    await lun('first')
    await lun('thick', { type: 'BLUN_THICK' })
    const rename = (new_name: string) => call('LUN', 'set', { uuid: 'first', new_name })
    expect((await rename('thick')).error.code).toBe(18990538)
    expect((await rename('no_such')).error.code).toBe(18990503)
    expect((await rename('first')).success).toBe(true)
    const kind = async (...types: string[]) => (await call('LUN', 'list', { types })).data.luns
    expect((await kind('BLUN_THICK')).map((l: Json) => [l.name, l.type])).toEqual([['thick', 259]])
    expect((await call('LUN', 'list', { types: ['NONE'] })).error.code).toBe(18990619)
    expect((await lun('empty', { size: 0 })).error.code).toBe(18990502)
    for (const name of ['t-a', 't-b'])
      await call('Target', 'create', { name, iqn: `iqn.x:${name}`, auth_type: 0 })
    expect((await call('Target', 'set', { target_id: 't-a', name: 't-b' })).error.code).toBe(18990744)
    for (const name of ['t-a', 't-b']) await call('Target', 'delete', { target_id: name })
    for (const name of ['first', 'thick']) await call('LUN', 'delete', { uuid: name })
  })

  test('has limits of LUNs, targets and snapshots, and of room', async () => {
    const here = (await names()).length
    for (let i = here; i < 6; i += 1) expect((await lun(`lun-${i}`)).success).toBe(true)
    expect((await lun('one-more')).error.code).toBe(18990541)
    const uuid = 'lun-5'
    const snapshot = (name: string) =>
      call('LUN', 'take_snapshot', { src_lun_uuid: uuid, snapshot_name: name })
    expect((await snapshot('a')).success).toBe(true)
    expect((await snapshot('a')).error.code).toBe(18990513)
    expect((await snapshot('b')).success).toBe(true)
    expect((await snapshot('c')).error.code).toBe(18990543)
    const targets = (await call('Target', 'list')).data.targets.length
    const target = (i: number | string) =>
      call('Target', 'create', { name: `t-${i}`, iqn: `iqn.x:${i}`, auth_type: 0 })
    for (let i = targets; i < 6; i += 1) expect((await target(i)).success).toBe(true)
    expect((await target('more')).error.code).toBe(18990542)
    expect((await target(5)).error.code).toBe(18990744)
    expect((await call('Target', 'create', { name: 'new', iqn: 'iqn.x:5', auth_type: 0 })).error.code).toBe(
      18990745,
    )
    for (let i = here; i < 6; i += 1) await call('LUN', 'delete', { uuid: `lun-${i}` })
    expect((await lun('huge', { size: 2 ** 50 })).error.code).toBe(18990002)
    for (let i = targets; i < 6; i += 1) await call('Target', 'delete', { target_id: `t-${i}` })
  })

  test('rolls a LUN back only while nobody is logged in to it, and wants to be told which', async () => {
    const [old] = (await call('LUN', 'list')).data.luns
    const taken = await call('LUN', 'take_snapshot', { src_lun_uuid: old.uuid, snapshot_name: 'back' })
    const snapshot_uuid = taken.data.snapshot_uuid
    const back = { src_lun_uuid: old.uuid, snapshot_uuid }
    expect((await call('LUN', 'restore_snapshot', { snapshot_uuid })).error.code).toBe(18990508)
    const session = (await call('Target', 'list', { additional: ['connected_sessions', 'mapped_lun'] })).data
      .targets
    const target = session.find((t: Json) => t.mapped_luns.some((m: Json) => m.lun_uuid === old.uuid))
    const used = target.connected_sessions.length > 0
    if (used) expect((await call('LUN', 'restore_snapshot', back)).error.code).toBe(117)
    await call('Target', 'disable', { target_id: String(target.target_id) })
    expect((await call('LUN', 'restore_snapshot', back)).success).toBe(true)
  })

  test('with protection against CSRF, wants its token with every call: the driver, which has none, is locked out', async () => {
    world.blueprint.nas.csrf = true
    try {
      expect((await call('LUN', 'list')).error.code).toBe(105)
    } finally {
      world.blueprint.nas.csrf = false
    }
  })

  test('forgets a session in the middle: once 106, and then nobody knows it', async () => {
    world.arm('nas-session-expires', 'nas')
    expect((await call('LUN', 'list')).error.code).toBe(106)
    expect((await call('LUN', 'list')).error.code).toBe(119)
  })

  test('may do what it is told and lose the answer', async () => {
    world.arm('nas-reply-lost', 'create')
    await expect(lun('answerless')).rejects.toThrow()
    expect(await names()).toContain('answerless')
    await call('LUN', 'delete', { uuid: 'answerless' })
  })
})
