import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { openEtcd } from '../../../src/volumes/datastore/etcd.ts'
import { openKine } from '../../../src/volumes/datastore/kine.ts'
import { decodeStored } from '../../../src/volumes/datastore/kubernetes-protobuf.ts'
import { openSqlite } from '../../../src/volumes/datastore/sqlite.ts'
import { type Datastore, volumePrefixes } from '../../../src/volumes/datastore/stored-object.ts'
import { scratch } from '../../runbook/harness.ts'

const fixtures = new URL('./fixtures/', import.meta.url)
const stored = JSON.parse(readFileSync(new URL('stored-objects.json', fixtures), 'utf8')) as {
  key: string
  stored: string
  json: Record<string, unknown>
}[]
const grafana = '/registry/persistentvolumes/pvc-6f1c2a44-9d0e-4a51-8f4e-0c4b2f3a1d55'

/** Unpacks fixtures into a folder of their own, under the names that they had. */
function unpacked(...names: string[]): string {
  const folder = scratch('datastore')
  for (const name of names)
    writeFileSync(join(folder, name), gunzipSync(readFileSync(new URL(`${name}.gz`, fixtures))))
  return join(folder, names[0] ?? '')
}

function everything(datastore: Datastore) {
  const objects = datastore.objects(volumePrefixes)
  datastore.close()
  return { objects, byKey: new Map(objects.map(o => [o.key, o])), remarks: datastore.remarks }
}

/** What every source must tell: the objects as Kubernetes itself prints them. */
function expectObjects(byKey: ReturnType<typeof everything>['byKey']) {
  for (const { key, json } of stored) expect(byKey.get(key)?.object, key).toEqual(asPrinted(json))
}

/** Kubernetes' JSON without what is empty: `status: {}`, `creationTimestamp: null`. */
function asPrinted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asPrinted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inside]) => (inside === null ? [] : [[key, asPrinted(inside)]])),
  )
}

function flip(bytes: Buffer, at: number): void {
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
}

describe('stored values', () => {
  test.each(stored)('$key reads as Kubernetes prints it', ({ stored: text, json }) => {
    expect(decodeStored(Buffer.from(text, 'base64'))).toEqual(asPrinted(json))
  })

  test('cut off anywhere, a value is garbage or less, never something else', () => {
    for (const { stored: text, json } of stored) {
      const whole = Buffer.from(text, 'base64')
      for (let size = 0; size < whole.length; size += 1) {
        const found = decodeStored(whole.subarray(0, size))
        if (typeof found === 'string') continue
        // A message that ends between two fields is a shorter message; what it says must still be true.
        const name = found.metadata.name
        if (name !== undefined) expect(name).toBe((json.metadata as { name: string }).name)
      }
    }
  })

  test('encrypted ones, other kinds and other bytes are told apart', () => {
    expect(decodeStored(Buffer.from('k8s:enc:aescbc:v1:key1:xxxx'))).toBe('encrypted')
    expect(decodeStored(Buffer.from('nothing of the kind'))).toBe('garbage')
    expect(decodeStored(Buffer.alloc(0))).toBe('garbage')
    expect(decodeStored(Buffer.from('{"kind":"Cluster","apiVersion":"a/v1","metadata":{}}'))).toMatchObject({
      kind: 'Cluster',
    })
    // A ConfigMap: envelope without anything that the map knows.
    const configMap = Buffer.concat([
      Buffer.from('k8s\0'),
      Buffer.from('0a0f0a02763112', 'hex'),
      Buffer.from([9]),
      Buffer.from('ConfigMap'),
      Buffer.from('1200', 'hex'),
    ])
    expect(decodeStored(configMap)).toBe('other-kind')
  })
})

describe('kine', () => {
  test.each([512, 4096, 65536])('in pages of %d bytes', size => {
    const { objects, byKey, remarks } = everything(openKine(unpacked(`kine-pages-of-${size}.db`)))
    expectObjects(byKey)
    expect(byKey.get('/registry/persistentvolumes/pvc-deleted')).toMatchObject({
      deleted: true,
      object: { spec: { csi: { volumeHandle: '15e4893e-1111-4222-8333-444455556666' } } },
    })
    const cluster = byKey.get('/registry/postgresql.cnpg.io/clusters/miniflux/postgresql')?.object
    expect(JSON.stringify(cluster).length).toBeGreaterThan(30_000)
    expect(objects).toHaveLength(stored.length + 2)
    expect(remarks).toEqual(['encrypted at rest, unreadable without the cluster’s key: 1 of its objects'])
  })

  test('what is only in the write-ahead log counts as far as it was committed', () => {
    const file = unpacked('kine-wal.db', 'kine-wal.db-wal')
    const before = [readFileSync(file), readFileSync(`${file}-wal`)]
    const { byKey, objects, remarks } = everything(openKine(file))
    expectObjects(byKey)
    expect(objects.some(o => o.key.includes('never-committed'))).toBe(false)
    expect(remarks.join()).toMatch(/pages were taken from its write-ahead log.*bytes .* were never committed/)
    expect([readFileSync(file), readFileSync(`${file}-wal`)]).toEqual(before)
  })

  test('a log with a flipped bit ends before it, at the last transaction that is whole', () => {
    const file = unpacked('kine-wal.db', 'kine-wal.db-wal')
    const wal = readFileSync(`${file}-wal`)
    const read = () => everything(openKine(file))
    const full = read().byKey.get(grafana)
    expect(full?.object.spec).toBeDefined()
    // The second transaction is the newest write of this volume; the first holds one that cannot be read.
    const frame = 24 + 4096
    const commits: number[] = []
    for (let at = 32; at + frame <= wal.length; at += frame)
      if (wal.readUInt32BE(at + 4) > 0) commits.push(at)
    const last = commits.at(-1) ?? 0
    const flipped = Buffer.from(wal)
    flip(flipped, last + 24 + 100)
    writeFileSync(`${file}-wal`, flipped)
    expect(read().byKey.has(grafana)).toBe(false)
    expect(read().byKey.has('/registry/persistentvolumeclaims/grafana/data')).toBe(true)
    // Without its log the database has the table and nothing in it.
    truncateSync(`${file}-wal`, 0)
    expect(read().objects).toEqual([])
  })

  test('every prefix of a log is a database, each with what was committed by then', () => {
    const file = unpacked('kine-wal.db', 'kine-wal.db-wal')
    const wal = readFileSync(`${file}-wal`)
    let most = 0
    for (let size = 0; size <= wal.length; size += 2060) {
      writeFileSync(`${file}-wal`, wal.subarray(0, size))
      const { objects } = everything(openKine(file))
      expect(objects.length).toBeGreaterThanOrEqual(most)
      most = objects.length
    }
    expect(most).toBe(stored.length)
  })

  test('files that are no database, cut off, of another kind, or half a transaction are refused by name', () => {
    const folder = scratch('datastore')
    const file = join(folder, 'state.db')
    writeFileSync(file, 'no database')
    expect(() => openKine(file)).toThrowError(/state\.db cannot be read: it is no SQLite database/)
    const whole = unpacked('kine-pages-of-4096.db')
    copyFileSync(whole, file)
    truncateSync(file, 4096 * 3 + 100)
    expect(() => everything(openKine(file))).toThrowError(/state\.db cannot be read/)
    copyFileSync(whole, file)
    writeFileSync(`${file}-journal`, Buffer.from('d9d505f920a163d700000000', 'hex'))
    expect(() => openKine(file)).toThrowError(/rollback journal/)
    const database = openSqlite(whole)
    expect(() => [...database.rows('absent')]).toThrowError(/no table absent/)
    database.close()
  })

  test('garbage in any page gives an error or the truth, and ends', () => {
    const file = unpacked('kine-pages-of-512.db')
    const whole = readFileSync(file)
    for (let at = 100; at < whole.length; at += 1531) {
      const broken = Buffer.from(whole)
      broken.fill(0xff, at, at + 64)
      writeFileSync(file, broken)
      try {
        for (const { object } of everything(openKine(file)).objects) expect(typeof object.kind).toBe('string')
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'database-damaged' })
      }
    }
  })
})

describe('etcd', () => {
  test.each(['etcd-snapshot.db', 'etcd-crashed.db'])('%s', name => {
    const { byKey, objects } = everything(openEtcd(unpacked(name)))
    expectObjects(byKey)
    expect(byKey.get('/registry/persistentvolumes/pvc-deleted')).toMatchObject({
      deleted: true,
      object: { kind: 'PersistentVolume' },
    })
    expect(objects).toHaveLength(stored.length + 2)
  })

  test('a data directory is known by what is in it', () => {
    const file = unpacked('etcd-crashed.db')
    const folder = scratch('etcd')
    mkdirSync(join(folder, 'member', 'snap'), { recursive: true })
    copyFileSync(file, join(folder, 'member', 'snap', 'db'))
    const { byKey, remarks } = everything(openEtcd(folder))
    expectObjects(byKey)
    expect(remarks.join()).toMatch(/last seconds/)
    expect(() => openEtcd(scratch('etcd'))).toThrowError(/no member\/snap\/db/)
  })

  test('with one meta page broken the other counts; with both it is refused', () => {
    const file = unpacked('etcd-snapshot.db')
    const bytes = readFileSync(file)
    flip(bytes, 16 + 20)
    writeFileSync(file, bytes)
    expectObjectsOrOlder(everything(openEtcd(file)).objects.length)
    flip(bytes, 4096 + 16 + 20)
    writeFileSync(file, bytes)
    expect(() => openEtcd(file)).toThrowError(/no valid meta page/)
  })
})

/** The other meta page is of the transaction before: nearly everything is there. */
function expectObjectsOrOlder(count: number) {
  expect(count).toBeGreaterThan(0)
}
