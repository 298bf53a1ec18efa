import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { toFault } from '../../runbook/fault.ts'
import { openKine } from '../datastore/kine.ts'
import { readDatastore } from './datastore-source.ts'
import { readIscsiRecords } from './iscsi-records.ts'
import { readKubelet } from './kubelet.ts'
import type { VolumeSource } from './volume-source.ts'

/** What of a machine's files the volume map reads: kine's database, the kubelet's volumes, open-iscsi's records. */
export function speaksOfVolumes(path: string): boolean {
  return /\/db\/state\.db(-wal|-shm)?$|\/kubernetes\.io~csi\/[^/]+\/vol_data\.json$|^\/(etc|var\/lib)\/iscsi\/|^\/var\/log\/pods\//.test(
    path,
  )
}

/**
 * The sources that one machine's files are, which lie below a folder as they lay on the machine. One that cannot be read
 * is a source without testimonies that says why: the others may still know everything.
 *
 * @param paths of the files, as on the machine.
 */
export function readHostFiles(host: string, folder: string, paths: readonly string[]): VolumeSource[] {
  const databases = paths.filter(p => p.endsWith('/db/state.db'))
  const kubelets = new Set(paths.flatMap(p => /^(.*)\/pods\/[^/]+\/volumes\//.exec(p)?.[1] ?? []))
  const records = ['/etc/iscsi', '/var/lib/iscsi'].filter(p => existsSync(join(folder, p, 'nodes')))
  return [
    ...databases.map(p => reading(`kine:${host}`, name => readDatastore(name, openKine(join(folder, p))))),
    ...[...kubelets].map(p => reading(`kubelet:${host}`, name => readKubelet(name, join(folder, p)))),
    ...records.map(p => reading(`iscsi:${host}`, name => readIscsiRecords(name, join(folder, p)))),
  ]
}

function reading(name: string, read: (name: string) => VolumeSource): VolumeSource {
  try {
    return read(name)
  } catch (thrown) {
    return { name, testimonies: [], remarks: [`not read: ${toFault(thrown, name).message}`] }
  }
}
