import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Lab, startLab } from '../../src/lab/lab.ts'
import { World } from '../../src/lab/world.ts'
import { scratch } from '../runbook/harness.ts'
import { get, type Json, login } from './csi-requests.ts'
import { smallBlueprint } from './small-world.ts'

let lab: Lab
let world: World

beforeAll(async () => {
  const blueprint = smallBlueprint()
  blueprint.nas.csrf = false
  world = World.create(scratch('nas'), blueprint)
  lab = await startLab(world)
})
afterAll(async () => {
  await lab.close()
})

/** Exactly as Go's url.Values are encoded: keys sorted, a blank is a plus. */
function query(parameters: Record<string, string>): string {
  const sorted = Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1))
  return new URLSearchParams(sorted).toString()
}
const json = JSON.stringify

/** What the driver asks for with every share and every snapshot, with its uneven blanks. */
const shareFields = '["encryption", "enable_share_cow", "recyclebin", "support_snapshot", "share_quota"]'
const snapshotFields = '["desc", "lock", "schedule_snapshot", "ruuid", "snap_size"]'

/** `shareinfo` as the driver makes it of its struct: what it only reads is in it, too, empty. */
const shareInfo = (name: string, more: object) => ({
  name,
  vol_path: '/volume1',
  desc: 'Created by Synology K8s CSI',
  enable_share_cow: false,
  enable_recycle_bin: true,
  recycle_bin_admin_only: true,
  encryption: 0,
  ...more,
  quota_value: 0,
  support_snapshot: false,
  uuid: '',
  name_org: '',
})

/** A rule as the driver saves it when a node stages the volume. */
const rule = (client: string) => ({
  async: true,
  client,
  crossmnt: true,
  insecure: true,
  privilege: 'rw',
  root_squash: 'root',
  security_flavor: { kerberos: false, kerberos_integrity: false, kerberos_privacy: false, sys: true },
})

describe.each(['url', 'plain'] as const)('over its %s, the CSI driver', scheme => {
  let sid: string
  const call = (api: string, method: string, parameters: Record<string, string> = {}, version = '1') =>
    get(
      lab.endpoints.nas[scheme],
      'entry.cgi',
      query({ api: `SYNO.Core.${api}`, method, version, ...parameters }),
      sid,
    )
  const share = (method: string, name: string, more: Record<string, string> = {}) =>
    call('Share', method, { name: json(name), ...more })
  const look = async (name: string): Promise<Json> =>
    (await share('get', name, { additional: shareFields })).data
  const create = (name: string, megabytes = 1024) =>
    share('create', name, { shareinfo: json(shareInfo(name, { share_quota: megabytes })) })

  beforeEach(async () => {
    sid = (await login(lab.endpoints.nas[scheme])).data.sid
  })

  test('asks what NFS the NAS has, and switches it on even where it is on', async () => {
    const about = async () => (await call('FileServ.NFS', 'get', {}, '2')).data
    // Every field of its struct, of the type that it decodes.
    expect(await about()).toMatchObject({
      enable_nfs: expect.any(Boolean),
      enable_nfs_v4: expect.any(Boolean),
      nfs_v4_domain: expect.any(String),
      read_size: expect.any(Number),
      support_encrypt_share: expect.any(Number),
      support_major_ver: 4,
      support_minor_ver: 1,
      unix_pri_enable: expect.any(Boolean),
      write_size: expect.any(Number),
    })
    const on = { enable_nfs: 'true', enable_nfs_v4: 'true', enabled_minor_ver: '1' }
    for (const time of ['once', 'twice'])
      expect([time, (await call('FileServ.NFS', 'set', on, '2')).success]).toEqual([time, true])
    expect(await about()).toMatchObject({ enable_nfs: true, enable_nfs_v4: true })
  })

  test('makes a share, finds it, takes it for NFS once it has a rule, resizes it and deletes it', async () => {
    const name = `k8s-csi-pvc-77f97c58-db4d-${scheme}`
    expect(await create(name)).toEqual({ success: true, data: {} })
    expect((await create(name)).error.code).toBe(3301)
    const made = await look(name)
    expect(made).toEqual({
      name,
      vol_path: '/volume1',
      desc: 'Created by Synology K8s CSI',
      uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      encryption: 0,
      enable_share_cow: false,
      enable_recycle_bin: true,
      recycle_bin_admin_only: true,
      support_snapshot: true,
      quota_value: 1024,
      share_quota_used: 0,
    })
    const listed = await call('Share', 'list', { additional: shareFields })
    expect(listed.data.shares).toContainEqual(made)
    // Who does not ask for a field is not told it.
    expect(Object.keys((await share('get', name)).data).sort()).toEqual(['desc', 'name', 'uuid', 'vol_path'])
    const rules = async () =>
      (await call('FileServ.NFS.SharePrivilege', 'load', { share_name: json(name) })).data
    expect(await rules()).toEqual({ share_name: name, rule: [] })
    for (const nodes of [['192.0.2.11', '192.0.2.12'], ['192.0.2.13']]) {
      const wanted = nodes.map(rule)
      const saved = { rule: json(wanted), share_name: json(name) }
      expect((await call('FileServ.NFS.SharePrivilege', 'save', saved)).success).toBe(true)
      // Whatever rules there were are gone.
      expect(await rules()).toEqual({ share_name: name, rule: wanted })
    }
    const grown = { shareinfo: json({ name, vol_path: '/volume1', share_quota: 2048 }) }
    expect((await share('set', name, grown)).success).toBe(true)
    // Of what it does not name nothing is changed.
    expect(await look(name)).toEqual({ ...made, quota_value: 2048 })
    expect((await call('Share', 'delete', { name: json([name]) })).success).toBe(true)
    expect((await share('get', name, { additional: shareFields })).error.code).toBe(402)
    expect((await call('Share', 'delete', { name: json([name]) })).error.code).toBe(402)
  })

  test('snapshots a share, lists, copies and deletes what it took', async () => {
    const name = `k8s-csi-pvc-88888888-db4d-${scheme}`
    await create(name)
    const { uuid } = await look(name)
    const files = (of: string) => world.path('nas', 'shares', of)
    writeFileSync(join(files(uuid), 'letter'), 'before')
    const snapshots = 'Share.Snapshot'
    const snapinfo = json({ desc: '(Do not change)snapshot-1', lock: true })
    const { data: time } = await call(snapshots, 'create', { name: json(name), snapinfo })
    // It parses it as `GMT-07-2006.01.02-15.04.05`.
    expect(time).toMatch(/^GMT[+-]\d\d-\d{4}\.\d\d\.\d\d-\d\d\.\d\d\.\d\d$/)
    writeFileSync(join(files(uuid), 'letter'), 'afterwards')
    const asked = { additional: snapshotFields, name: json(name) }
    const taken = {
      ruuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      time,
      desc: '(Do not change)snapshot-1',
      // A number here would cost it the whole list.
      snap_size: expect.any(String),
      lock: true,
      schedule_snapshot: false,
    }
    expect((await call(snapshots, 'list', asked, '2')).data).toEqual({ snapshots: [taken], total: 1 })
    expect((await call(snapshots, 'list', asked, '1')).error.code).toBe(104)
    const copies = [
      { of: 'a snapshot', to: `${name.slice(0, 28)}-s`, snapshot: json(time), holds: 'before' },
      { of: 'the share', to: `${name.slice(0, 28)}-c`, holds: 'afterwards' },
    ]
    for (const { of, to, snapshot, holds } of copies) {
      const cloned = {
        ...shareInfo(to, {}),
        desc: `Cloned from [${name}] by csi driver`,
        name_org: name,
      }
      const wanted = { shareinfo: json(cloned), ...(snapshot === undefined ? {} : { snapshot }) }
      expect([of, (await share('clone', to, wanted)).data]).toEqual([of, { name: to }])
      expect((await share('clone', to, wanted)).error.code).toBe(3301)
      const made = await look(to)
      // As on some models; the driver then sets it.
      expect(made).toMatchObject({ quota_value: 0, enable_recycle_bin: true, recycle_bin_admin_only: true })
      expect(made.uuid).not.toBe(uuid)
      expect(readFileSync(join(files(made.uuid), 'letter'), 'utf8')).toBe(holds)
      const quota = { shareinfo: json({ name: to, vol_path: '/volume1', share_quota: 1024 }) }
      await share('set', to, quota)
      expect((await look(to)).quota_value).toBe(1024)
      const never = { ...wanted, snapshot: json('GMT+00-1999.01.01-00.00.00') }
      expect((await share('clone', `${to.slice(0, 30)}-n`, never)).error.code).toBe(3300)
    }
    const gone = { name: json(name), snapshots: json([time]) }
    expect(await call(snapshots, 'delete', gone)).toEqual({ success: true, data: [] })
    expect((await call(snapshots, 'list', asked, '2')).data).toEqual({ snapshots: [], total: 0 })
    for (const old of [name, ...copies.map(c => c.to)])
      expect((await call('Share', 'delete', { name: json([old]) })).success).toBe(true)
    expect(existsSync(files(uuid))).toBe(false)
  })

  test('gives a user of SMB rights to a share, beside those of others', async () => {
    const name = `k8s-csi-pvc-99999999-db4d-${scheme}`
    await create(name)
    const permission = (user: string) => ({
      name: user,
      is_readonly: false,
      is_writable: true,
      is_deny: false,
    })
    const users = { name: json(name), user_group_type: json('local_user') }
    for (const user of ['csi', 'anna'])
      expect(
        (await call('Share.Permission', 'set', { ...users, permissions: json([permission(user)]) })).success,
      ).toBe(true)
    expect((await call('Share.Permission', 'list', users)).data.items).toMatchObject([
      permission('csi'),
      permission('anna'),
    ])
    const groups = { ...users, user_group_type: json('local_group') }
    expect((await call('Share.Permission', 'list', groups)).data.items).toEqual([])
    const nobody = { ...users, user_group_type: json('nobody') }
    expect((await call('Share.Permission', 'list', nobody)).error.code).toBe(403)
    await call('Share', 'delete', { name: json([name]) })
  })

  test('is refused what no share can be', async () => {
    const code = async (name: string, more: object = {}) =>
      (await share('create', name, { shareinfo: json({ ...shareInfo(name, { share_quota: 1 }), ...more }) }))
        .error.code
    expect(await code('n'.repeat(33))).toBe(3305)
    expect(await code('elsewhere', { vol_path: '/volume9' })).toBe(3304)
    expect(await code('huge', { share_quota: 2 ** 40 })).toBe(3320)
    expect((await share('create', 'nothing', { shareinfo: json(null) })).error.code).toBe(403)
    const unknown = { share_name: json('never') }
    expect((await call('FileServ.NFS.SharePrivilege', 'load', unknown)).error.code).toBe(402)
  })

  test('finds in the discovery which versions it may ask for', async () => {
    const { data } = await get(
      lab.endpoints.nas[scheme],
      'query.cgi',
      'api=SYNO.API.Info&method=query&query=all&version=1',
    )
    expect(['Share', 'Share.Snapshot', 'FileServ.NFS'].map(a => data[`SYNO.Core.${a}`].maxVersion)).toEqual([
      1, 2, 2,
    ])
  })
})

test('a NAS begins with the shares that its world had, with files and rules', async () => {
  const blueprint = smallBlueprint()
  blueprint.nas.csrf = false
  const uuid = '77f97c58-1111-4222-8333-444455556666'
  const pv = 'pvc-77f97c58-db4d-4205-8a11-444455556666'
  const files = { 'data/letter': 'as it was' }
  const share = { uuid, pv, claim: 'photos/films', sizeBytes: 2 ** 30, clients: ['192.0.2.11'], files }
  blueprint.nas.shares = [share]
  const its = World.create(scratch('nas'), blueprint)
  const other = await startLab(its)
  try {
    const base = other.endpoints.nas.url
    const { sid } = (await login(base)).data
    const asked = query({ additional: shareFields, api: 'SYNO.Core.Share', method: 'list', version: '1' })
    const { data } = await get(base, 'entry.cgi', asked, sid)
    expect(data.shares).toMatchObject([
      { name: 'k8s-csi-pvc-77f97c58-db4d-4205-8', uuid, quota_value: 1024, share_quota_used: 9 / 2 ** 20 },
    ])
  } finally {
    await other.close()
  }
})
