import { createHash } from 'node:crypto'
import { createReadStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parse } from 'yaml'
import { goYaml } from '../../kubernetes/go-yaml.ts'
import { damaged } from '../datastore/database-damaged.ts'
import { openEtcd } from '../datastore/etcd.ts'
import { openKine } from '../datastore/kine.ts'
import { clusterUidIn, type Datastore, type StoredObject } from '../datastore/stored-object.ts'
import { readDatastore } from './datastore-source.ts'
import type { VolumeSource } from './volume-source.ts'

// What `k0s backup` calls its copy of the datastore.
const databases = { 'kine-state-backup.db': openKine, 'etcd-snapshot.db': openEtcd }

/** What an archive of `k0s backup` says of the cluster that it holds. */
export interface K0sArchive {
  /** Of the whole file. */
  sha256: string
  datastore: 'kine' | 'etcd'
  /** UID of its namespace kube-system; undefined where that cannot be read. */
  clusterUid: string | undefined
  nodes: { name: string; kubeletVersion: string | undefined }[]
  /** Machines that ran its control plane, by k0s's own record; none where that is not there. */
  controllers: string[]
  /** Whether the keys of its authority are in it, without which nothing of it can be opened. */
  hasKeys: boolean
  /** The API as its k0s.yaml has it; empty where there is none in the archive. */
  api: { externalAddress?: string; known: string[] }
  /** Namespaces, volumes, claims and nodes, as they were. */
  objects: StoredObject[]
}

const wanted = [
  '/registry/namespaces/',
  '/registry/minions/',
  '/registry/persistentvolumes/',
  '/registry/persistentvolumeclaims/',
  // k0s itself keeps one for each of its controllers.
  '/registry/autopilot.k0sproject.io/controlnodes/',
]

/**
 * A `k0s backup` archive (tar.gz) as a source of the volume map. Of it only the datastore is taken out: the keys of the old
 * cluster beside it are left where they are. Throws Fault `database-damaged` when it holds none.
 */
export async function readK0sBackup(name: string, file: string): Promise<VolumeSource> {
  return unpacked(file, ({ open }) => readDatastore(name, open()))
}

/** Reads an archive whole, and what cluster it holds. Throws Fault `database-damaged` for one that is cut off or none. */
export async function readK0sArchive(file: string): Promise<K0sArchive> {
  const sha256 = await hashOf(file)
  return unpacked(file, ({ open, paths, config }) => {
    const datastore = open()
    try {
      const objects = datastore.objects(wanted).filter(o => !o.deleted)
      const below = (prefix: string) => objects.filter(o => o.key.startsWith(prefix)).map(o => o.object)
      const clusterUid = clusterUidIn(objects)
      return {
        sha256,
        datastore: datastore.kind,
        clusterUid,
        nodes: below('/registry/minions/').map(({ metadata, status }) => ({
          name: metadata.name ?? '',
          kubeletVersion: (status as { nodeInfo?: { kubeletVersion?: string } } | undefined)?.nodeInfo
            ?.kubeletVersion,
        })),
        controllers: below('/registry/autopilot').map(({ metadata }) => metadata.name ?? ''),
        hasKeys: paths.some(p => /(^|\/)pki\/ca\.key$/.test(p)),
        api: config,
        objects: objects.filter(o => !o.key.startsWith('/registry/autopilot')),
      }
    } finally {
      datastore.close()
    }
  })
}

interface Unpacked {
  open(): Datastore
  /** Of everything in the archive. */
  paths: string[]
  config: K0sArchive['api']
}

async function unpacked<T>(file: string, read: (archive: Unpacked) => T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'recover-backup-'))
  try {
    const paths: string[] = []
    const taken: string[] = []
    // Few runs read an archive, and every start would load it.
    const { extract } = await import('tar')
    await extract({
      file,
      cwd: folder,
      strict: true,
      filter(path, entry) {
        paths.push(path)
        const take =
          (basename(path) in databases || basename(path) === 'k0s.yaml') &&
          'type' in entry &&
          entry.type === 'File'
        if (take) taken.push(path)
        return take
      },
    }).catch((cause: Error) => {
      throw damaged(file, cause.message)
    })
    const database = taken.find(p => basename(p) in databases)
    if (database === undefined)
      throw damaged(file, `it holds neither ${Object.keys(databases).join(' nor ')}`)
    const config = taken.find(p => basename(p) === 'k0s.yaml')
    const open = databases[basename(database) as keyof typeof databases]
    return read({
      open: () => open(join(folder, database)),
      paths,
      config: config === undefined ? { known: [] } : apiIn(readFileSync(join(folder, config), 'utf8'), file),
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function apiIn(text: string, file: string): K0sArchive['api'] {
  let config: unknown
  try {
    config = parse(text, goYaml)
  } catch (cause) {
    throw damaged(file, `its k0s.yaml is no YAML: ${(cause as Error).message}`)
  }
  const spec = (config as { spec?: { api?: Record<string, unknown> | null } | null } | null)?.spec
  const { address, externalAddress, sans } = spec?.api ?? {}
  return {
    ...(typeof externalAddress === 'string' ? { externalAddress } : {}),
    known: [address, externalAddress, ...(Array.isArray(sans) ? sans : [])].flatMap(a =>
      typeof a === 'string' ? [a] : [],
    ),
  }
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
