import { createHash } from 'node:crypto'
import { Fault } from '../../runbook/fault.ts'
import type { Lun, Snapshot, Target } from '../nas.ts'

/**
 * One look at a plain Linux box with tgt, in one round trip; it only reads. LUNs are files `NAME.img` in one folder, their
 * snapshots files below `.snapshots/UUID`; what a file system does not say of them stands beside each, in `NAME.img.recover`.
 */
export const lookScript = `
test -d "$folder" || { echo "there is no folder $folder" >&2; exit 3; }
echo '=== host'
hostname
(. /etc/os-release && echo "$PRETTY_NAME")
echo '=== file system'
findmnt -no FSTYPE,UUID,TARGET -T "$folder"
df -B1 --output=size,avail "$folder" | tail -n 1
xfs_info "$folder" 2>/dev/null | grep -o 'reflink=.' || echo reflink=0
echo '=== files'
find "$folder" -type f -name '*.img' -exec stat -c '%n	%s	%b	%i	%W' {} +
echo '=== notes'
find "$folder" -type f -name '*.img.recover' -exec awk '{ print FILENAME "\\t" $0 }' {} +
echo '=== targets'
tgtadm -C "$control" --lld iscsi --op show --mode target
echo '=== outside'
tgtadm -C "$control" --lld iscsi --op show --mode target | sed -n 's/.*Backing store path: //p' | while read -r path; do
  case "$path" in None|"$folder"/*) continue ;; esac
  if test -b "$path"; then printf '%s\\t%s\\n' "$path" "$(blockdev --getsize64 "$path")"
  elif test -f "$path"; then stat -c '%n	%s' "$path"; fi
done
echo '=== end'
`

/** A LUN with the file that holds it. */
export interface LinuxLun extends Lun {
  path: string
}

/** A target with the numbers by which tgt ends the connections to it. */
export interface LinuxTarget extends Target {
  connections: { session: number; connection: number }[]
}

/** A snapshot with the file that holds it. */
export interface LinuxSnapshot extends Snapshot {
  path: string
}

/** What one look found. */
export interface LinuxLook {
  hostname: string
  system: string
  /** `btrfs`, `xfs`, `ext4`, … */
  fileSystem: string
  /** Files can share blocks: a snapshot or clone moves no data. */
  reflink: boolean
  sizeBytes: number
  freeBytes: number
  luns: LinuxLun[]
  targets: LinuxTarget[]
  snapshots: LinuxSnapshot[]
}

/** Takes apart what {@link lookScript} printed. Throws Fault `nas-look-incomplete`. */
export function parseLook(text: string, folder: string, box: string): LinuxLook {
  const parts = new Map(
    text
      .split(/^=== /m)
      .slice(1)
      .map(part => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)]),
  )
  const lines = (name: string) => (parts.get(name) ?? '').split('\n').filter(line => line !== '')
  const [hostname = '', system = ''] = lines('host')
  const [mount = '', sizes = '', reflink = ''] = lines('file system')
  const [fileSystem = '', fsUuid = ''] = mount.split(/\s+/)
  const [sizeBytes = 0, freeBytes = 0] = sizes.trim().split(/\s+/).map(Number)
  if (!parts.has('end') || fileSystem === '')
    throw new Fault({
      code: 'nas-look-incomplete',
      blame: 'network',
      message: `${box} stopped talking in the middle of telling what is on it`,
      remedy: 'Check the line to it; it is asked again by itself',
      transient: true,
    })
  const notes = notesOf(lines('notes'))
  const files = lines('files').map(line => {
    const [path = '', size = '', blocks = '', inode = '', born = ''] = line.split('\t')
    const note = notes.get(path) ?? {}
    // A file that somebody else put there is known by its place in its file system, which no other file ever had.
    const uuid = note.uuid ?? uuidOf(`${fsUuid} ${inode} ${born}`)
    return { path, sizeBytes: Number(size), usedBytes: Number(blocks) * 512, note, uuid }
  })
  const snapshotFolder = `${folder}/.snapshots/`
  const outside = lines('outside').map(line => {
    const [path = '', size = ''] = line.split('\t')
    return { path, sizeBytes: Number(size), uuid: uuidOf(`${hostname} ${path}`) }
  })
  const luns: LinuxLun[] = [
    ...files
      .filter(f => f.path.slice(folder.length + 1).indexOf('/') === -1)
      .map(({ path, note, ...file }) => ({
        ...file,
        path,
        name: path.slice(folder.length + 1, -'.img'.length),
        description: note.description ?? '',
        location: folder,
        status: 'normal',
        locked: false,
        ...(note.parent ? { parent: note.parent } : {}),
      })),
    ...outside.map(disk => ({
      ...disk,
      name: disk.path.slice(disk.path.lastIndexOf('/') + 1),
      description: '',
      location: disk.path,
      // Nothing can be said of it, and no snapshot be taken.
      status: 'outside',
      locked: false,
    })),
  ]
  return {
    hostname,
    system,
    fileSystem,
    reflink: fileSystem === 'btrfs' || reflink === 'reflink=1',
    sizeBytes,
    freeBytes,
    luns,
    targets: targetsOf(parts.get('targets') ?? '', luns),
    snapshots: files
      .filter(f => f.path.startsWith(snapshotFolder))
      .map(({ path, note, uuid, sizeBytes }) => {
        const [lun = '', file = ''] = path.slice(snapshotFolder.length).split('/')
        return {
          path,
          uuid,
          lun,
          name: file.slice(0, -'.img'.length),
          description: note.description ?? '',
          sizeBytes,
        }
      }),
  }
}

type Note = Partial<Record<'uuid' | 'parent' | 'description', string>>

function notesOf(lines: string[]): Map<string, Note> {
  const notes = new Map<string, Note>()
  for (const line of lines) {
    const [file = '', ...rest] = line.split('\t')
    const [, key, value] = /^(uuid|parent|description)=(.*)$/.exec(rest.join('\t')) ?? []
    const path = file.slice(0, -'.recover'.length)
    if (key !== undefined) notes.set(path, { ...notes.get(path), [key]: value })
  }
  return notes
}

/** What `tgtadm --op show --mode target` prints (tgt 1.0.85). */
function targetsOf(text: string, luns: readonly LinuxLun[]): LinuxTarget[] {
  return text
    .split(/^(?=Target \d+: )/m)
    .filter(part => part.startsWith('Target '))
    .map(part => {
      const [, id = '', iqn = ''] = /^Target (\d+): (\S+)/.exec(part) ?? []
      const nexus = [
        ...part.matchAll(
          /I_T nexus: (\d+)\n\s+Initiator: (\S+).*\n((?:\s+Connection: \d+\n\s+IP Address: \S+\n)*)/g,
        ),
      ].flatMap(([, session = '', initiator = '', rest = '']) =>
        [...rest.matchAll(/Connection: (\d+)\n\s+IP Address: (\S+)/g)].map(
          ([, connection = '', ip = '']) => ({
            initiator,
            ip,
            session: Number(session),
            connection: Number(connection),
          }),
        ),
      )
      const units = [...part.matchAll(/^ {8}LUN: (\d+)\n(?: {12}.*\n)*? {12}Backing store path: (.*)$/gm)]
      const [, accounts = ''] = /Account information:\n((?: {8}\S.*\n)*)/.exec(part) ?? []
      return {
        id: Number(id),
        name: iqn.slice(iqn.indexOf(':') + 1),
        iqn,
        enabled: /^\s+State: ready$/m.test(part),
        mappings: units.flatMap(([, index = '', path = '']) => {
          const lun = luns.find(l => l.path === path)
          return lun === undefined ? [] : [{ lun: lun.uuid, index: Number(index) }]
        }),
        sessions: nexus.map(({ initiator, ip }) => ({ initiator, ip })),
        connections: nexus.map(({ session, connection }) => ({ session, connection })),
        // tgt knows no bound.
        maxSessions: 0,
        authenticated: accounts !== '',
      }
    })
}

function uuidOf(text: string): string {
  const h = createHash('sha256').update(text).digest('hex')
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-8${h.slice(13, 16)}-8${h.slice(17, 20)}-${h.slice(20, 32)}`
}
