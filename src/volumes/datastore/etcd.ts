import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { openBolt } from './bbolt.ts'
import { damaged, reading } from './database-damaged.ts'
import { remarkOn } from './kine.ts'
import { decodeStored, type Undecoded } from './kubernetes-protobuf.ts'
import { protobufFields } from './protobuf.ts'
import type { Datastore, StoredObject } from './stored-object.ts'

/**
 * etcd, from its data directory, from `member/snap/db` itself or from a snapshot (`etcdctl snapshot save`: the same with its
 * hash behind it). What a crashed member had only in its write-ahead log, the last seconds, is not seen: said in the
 * remarks. Throws Fault `database-damaged`.
 */
export function openEtcd(path: string): Datastore {
  const file = statSync(path).isDirectory() ? databaseIn(path) : path
  const database = reading(file, () => openBolt(file))
  const remarks =
    file === path ? [] : ['the last seconds before a crash may be missing: they are in etcd’s own log']
  return {
    kind: 'etcd',
    remarks,
    objects: prefixes => reading(file, () => objects(prefixes)),
    close: () => database.close(),
  }

  function objects(prefixes: readonly string[]): StoredObject[] {
    const newest = new Map<string, { revision: bigint; deleted: boolean; value: Buffer; before?: Buffer }>()
    for (const { key, value } of database.entries('key')) {
      const entry = keyValueOf(value)
      if (entry === undefined || !prefixes.some(p => entry.key.startsWith(p))) continue
      const last = newest.get(entry.key)
      const deleted = key.length > 17 && key[17] === 0x74
      const before = deleted ? last?.value : undefined
      // Keys are revisions in order: the later one is the newer one.
      newest.set(entry.key, {
        revision: key.readBigUInt64BE(0),
        deleted,
        // Copied: what bbolt gives is a part of its page.
        value: Buffer.from(entry.value),
        ...(before === undefined ? {} : { before }),
      })
    }
    const lost: Undecoded[] = []
    const found = [...newest].flatMap(([key, { revision, deleted, value, before }]): StoredObject[] => {
      const last = deleted ? before : value
      if (last === undefined) return []
      const object = decodeStored(last)
      if (typeof object !== 'string') return [{ key, revision: Number(revision), deleted, object }]
      lost.push(object)
      return []
    })
    remarks.push(...remarkOn(lost))
    return found
  }
}

function databaseIn(folder: string): string {
  for (const place of ['member/snap/db', 'snap/db', 'db'])
    if (existsSync(join(folder, place))) return join(folder, place)
  throw damaged(folder, 'there is no member/snap/db in it')
}

/** mvccpb.KeyValue: 1 key, 5 value. */
function keyValueOf(bytes: Buffer): { key: string; value: Buffer } | undefined {
  let key: string | undefined
  let value: Buffer = Buffer.alloc(0)
  try {
    for (const field of protobufFields(bytes))
      if (field.number === 1 && Buffer.isBuffer(field.value)) key = field.value.toString()
      else if (field.number === 5 && Buffer.isBuffer(field.value)) value = field.value
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown
    return undefined
  }
  return key === undefined ? undefined : { key, value }
}
