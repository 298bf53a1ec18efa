import { reading } from './database-damaged.ts'
import { decodeStored, type Undecoded } from './kubernetes-protobuf.ts'
import { openSqlite, type SqliteRow, type SqliteValue } from './sqlite.ts'
import type { Datastore, StoredObject } from './stored-object.ts'

/**
 * kine's SQLite database, copied from a controller or taken from a `k0s backup` (kine-state-backup.db): each write is a row
 * of its own, and the newest row of a name is what is in force. Deleted objects are there until kine compacts them.
 * Throws Fault `database-damaged`.
 */
export function openKine(file: string): Datastore {
  const database = reading(file, () => openSqlite(file))
  const { frames, droppedBytes } = database.wal
  const remarks = [
    ...(frames > 0 ? [`${frames} pages were taken from its write-ahead log`] : []),
    ...(droppedBytes > 0
      ? [`${droppedBytes} bytes at the end of its write-ahead log were never committed`]
      : []),
  ]
  return {
    kind: 'kine',
    remarks,
    objects: prefixes => reading(file, () => objects(prefixes)),
    close: () => database.close(),
  }

  function objects(prefixes: readonly string[]): StoredObject[] {
    const newest = new Map<string, SqliteRow>()
    for (const row of database.rows('kine')) {
      const name = row.columns(2)[1]
      if (typeof name === 'string' && prefixes.some(p => name.startsWith(p))) newest.set(name, row)
    }
    const lost: Undecoded[] = []
    const found = [...newest].flatMap(([key, row]): StoredObject[] => {
      const [, , , deleted, , , , value = null, old = null] = row.columns(9)
      const gone = deleted === 1
      const object = decoded(gone ? [value, old] : [value])
      if (typeof object !== 'string') return [{ key, revision: row.rowid, deleted: gone, object }]
      lost.push(object)
      return []
    })
    remarks.push(...remarkOn(lost))
    return found
  }
}

/** The first of the values that is an object. */
function decoded(values: SqliteValue[]): ReturnType<typeof decodeStored> {
  let why: Undecoded = 'garbage'
  for (const value of values) {
    if (!Buffer.isBuffer(value) || value.length === 0) continue
    const object = decodeStored(value)
    if (typeof object !== 'string') return object
    why = object
  }
  return why
}

/** What a person should know of values that gave no object. */
export function remarkOn(lost: Undecoded[]): string[] {
  const count = (why: Undecoded) => lost.filter(l => l === why).length
  return [
    ...(count('encrypted') > 0
      ? [`encrypted at rest, unreadable without the cluster’s key: ${count('encrypted')} of its objects`]
      : []),
    ...(count('garbage') > 0
      ? [`passed over because they are no objects: ${count('garbage')} of its values`]
      : []),
  ]
}
