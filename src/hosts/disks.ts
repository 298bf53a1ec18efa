/** A partition, or what is opened from one: a decrypted LUKS volume, an LVM volume, an array. */
export interface BlockNode {
  /** Kernel name without /dev; may be another one after the next boot. */
  name: string
  /** `part`, `crypt`, `lvm`, `raid`, `mpath`, `loop`, `dm`. */
  type: string
  /** Number of a partition. */
  number?: number
  /** Name of a device mapper volume: `luks-root`, `vg-data`. */
  mapped?: string
  sizeBytes: number
  /** `ext4`, `btrfs`, `crypto_LUKS`, `LVM2_member`, `linux_raid_member`; empty where nothing is recognised. */
  fsType: string
  label: string
  partLabel: string
  /** GUID (GPT) or `0x83` (MBR) of the partition's type. */
  partType: string
  uuid: string
  mountpoints: string[]
  swap: boolean
  /** Volume group of an LVM member, where LVM's programs could be asked. */
  volumeGroup?: string
  children: BlockNode[]
}

/** A whole disk, as the machine sees it now. */
export interface Disk {
  /** Kernel name without /dev; may be another one after the next boot. */
  name: string
  serial: string
  wwn: string
  model: string
  sizeBytes: number
  /** File systems, LUKS, LVM, md on it or its partitions: `nvme0n1p9 ext4 ROOT`. The same whichever system looks. */
  content: string[]
  mounted: boolean
  /** `nvme`, `sata`, `usb`, `iscsi`, `virtio`, `mmc`, `loop`; empty where nobody says. */
  transport: string
  removable: boolean
  readOnly: boolean
  /** Names under /dev/disk/by-id. */
  ids: string[]
  /** The running system was started from it: `/`, `/usr` or the boot partition is on it, through LUKS, LVM or md. */
  boot: boolean
  /** Session over which it comes, when it is a LUN. */
  iscsi?: { target: string; portal: string }
  fsType: string
  label: string
  uuid: string
  mountpoints: string[]
  swap: boolean
  volumeGroup?: string
  /** Partitions, and what is opened on the disk as a whole. */
  children: BlockNode[]
}

export interface IscsiSession {
  target: string
  /** ADDRESS:PORT. */
  portal: string
  /** `LOGGED_IN`, `FAILED`, `FREE`. */
  state: string
  /** Kernel names of its disks. */
  disks: string[]
}

export interface Mount {
  device: string
  path: string
  fsType: string
}

interface Block {
  name: string
  sectors: number
  partition: string
  readOnly: boolean
  removable: boolean
  device: string
  mapped: string
  mapperId: string
  raidLevel: string
  backingFile: string
  wwid: string
  serial: string
  model: string
  slaves: string[]
  path: string
}

/** The parts of the fact script's output that speak of block devices. */
export interface BlockParts {
  block: string
  lsblk: string
  /** Where there is no udev to tell lsblk. */
  blkid: string
  byId: string
  mounts: string
  swaps: string
  pvs: string
  iscsi: string
}

/** Everything that the running system was started from, should it be mounted. */
const bootPlaces = [
  '/',
  '/usr',
  '/boot',
  '/boot/efi',
  '/efi',
  '/oem',
  '/usr/share/oem',
  '/sysroot',
  '/run/live/medium',
  '/run/initramfs/live',
  '/run/archiso/bootmnt',
  '/cdrom',
  '/media/cdrom',
]

/** Builds disks from sysfs, which has the structure, and from lsblk or blkid, which know what is on them. */
export function readDisks(parts: BlockParts): {
  disks: Disk[]
  sessions: IscsiSession[]
  rootFileSystem: string
} {
  const blocks = new Map(
    lines(parts.block)
      .map(blockOf)
      .map(b => [b.name, b]),
  )
  const known = properties(
    parts.lsblk,
    parts.blkid,
    mapped => [...blocks.values()].find(b => b.mapped === mapped)?.name,
  )
  const mounts = lines(parts.mounts).map(line => {
    const [device = '', path = '', fsType = '', source = ''] = line.split(' ')
    return { device, path: unescaped(path), fsType, source: unescaped(source) }
  })
  const byDevice = new Map([...blocks.values()].map(b => [b.device, b.name]))
  const bySource = (source: string) => {
    const short = source.replace(/^\/dev\//, '')
    if (blocks.has(short)) return short
    const mapped = short.replace(/^mapper\//, '')
    return [...blocks.values()].find(b => b.mapped !== '' && b.mapped === mapped)?.name
  }
  const mountsOf = new Map<string, string[]>()
  for (const mount of mounts) {
    const name = byDevice.get(mount.device) ?? bySource(mount.source)
    if (name !== undefined) mountsOf.set(name, [...(mountsOf.get(name) ?? []), mount.path])
  }
  const swaps = new Set(
    lines(parts.swaps)
      .slice(1)
      .flatMap(line => bySource(line.split(/\s/)[0] ?? '') ?? []),
  )
  const groups = new Map(
    lines(parts.pvs).flatMap(line => {
      const [volume = '', group = ''] = line.trim().split('|')
      const name = bySource(volume)
      return name !== undefined && group !== '' ? [[name, group] as const] : []
    }),
  )
  const ids = new Map<string, string[]>()
  for (const line of lines(parts.byId)) {
    const [id = '', target = ''] = line.split(' ')
    const name = target.split('/').at(-1) ?? ''
    ids.set(name, [...(ids.get(name) ?? []), id])
  }
  const sessions = lines(parts.iscsi).map(line => {
    const [id = '', target = '', portal = '', state = ''] = line.split(' ')
    return { id, target, portal, state }
  })
  const sessionOf = (block: Block) => {
    const id = /\/(session\d+)\//.exec(block.path)?.[1]
    return id === undefined ? undefined : sessions.find(s => s.id === id)
  }

  const parentOf = (block: Block) => (block.partition === '' ? undefined : block.path.split('/').at(-2))
  const below = new Map<string, Block[]>()
  for (const block of blocks.values())
    for (const parent of [parentOf(block), ...block.slaves])
      if (parent !== undefined) below.set(parent, [...(below.get(parent) ?? []), block])

  const said = (block: Block, key: string) => known.get(block.name)?.[key]?.trim() ?? ''
  const common = (block: Block) => ({
    name: block.name,
    sizeBytes: block.sectors * 512,
    fsType: said(block, 'FSTYPE'),
    label: said(block, 'LABEL'),
    uuid: said(block, 'UUID'),
    mountpoints: mountsOf.get(block.name) ?? [],
    swap: swaps.has(block.name),
    ...(groups.has(block.name) ? { volumeGroup: groups.get(block.name)! } : {}),
  })
  const childrenOf = (block: Block, seen: string[]): BlockNode[] =>
    (below.get(block.name) ?? [])
      .filter(child => !seen.includes(child.name))
      .sort((a, b) => Number(a.partition) - Number(b.partition) || a.name.localeCompare(b.name))
      .map(child => ({
        ...common(child),
        type: typeOf(child),
        ...(child.partition === '' ? {} : { number: Number(child.partition) }),
        ...(child.mapped === '' ? {} : { mapped: child.mapped }),
        partLabel: said(child, 'PARTLABEL'),
        partType: said(child, 'PARTTYPE'),
        children: childrenOf(child, [...seen, child.name]),
      }))

  const boots = new Set(
    mounts
      .filter(m => bootPlaces.includes(m.path))
      .flatMap(m => {
        const name = byDevice.get(m.device) ?? bySource(m.source)
        return name === undefined ? [] : [name]
      }),
  )
  // A system that was started from a file (a live image) was started from the disk that the file lies on.
  for (const name of [...boots]) {
    const file = blocks.get(name)?.backingFile
    const mount =
      file &&
      mounts
        .filter(m => file.startsWith(m.path === '/' ? '/' : `${m.path}/`))
        .sort((a, b) => b.path.length - a.path.length)[0]
    const under = mount && (byDevice.get(mount.device) ?? bySource(mount.source))
    if (under) boots.add(under)
  }

  const disks = [...blocks.values()].filter(isDisk).map((block): Disk => {
    const children = childrenOf(block, [block.name])
    const own = common(block)
    const all = [...everything(children)]
    const session = sessionOf(block)
    return {
      ...own,
      serial: said(block, 'SERIAL') || block.serial,
      wwn: wwnOf(said(block, 'WWN') || block.wwid),
      model: said(block, 'MODEL').replaceAll('_', ' ') || block.model,
      // What is opened from a partition is seen by a system that opened it, and by no other.
      content: [own, ...children.filter(c => c.type === 'part')]
        .filter(d => d.fsType !== '')
        .map(d => [d.name, d.fsType, d.label].filter(Boolean).join(' ')),
      mounted: [own, ...all].some(d => d.swap || d.mountpoints.length > 0),
      transport: session ? 'iscsi' : transportOf(block, said(block, 'TRAN')),
      removable: block.removable,
      readOnly: block.readOnly,
      ids: (ids.get(block.name) ?? []).sort(),
      boot: boots.has(block.name) || all.some(d => boots.has(d.name)),
      ...(session ? { iscsi: { target: session.target, portal: session.portal } } : {}),
      children,
    }
  })
  return {
    disks,
    sessions: sessions.map(({ id, ...session }) => ({
      ...session,
      disks: disks.filter(d => sessionOf(blocks.get(d.name)!)?.id === id).map(d => d.name),
    })),
    rootFileSystem: mounts.filter(m => m.path === '/').at(-1)?.fsType ?? '',
  }
}

/** Every device below some others, once for each way to it. */
export function* everything(nodes: BlockNode[]): Generator<BlockNode> {
  for (const node of nodes) {
    yield node
    yield* everything(node.children)
  }
}

function blockOf(line: string): Block {
  const [
    name = '',
    sectors = '',
    partition = '',
    readOnly = '',
    removable = '',
    device = '',
    mapped = '',
    mapperId = '',
    raidLevel = '',
    backingFile = '',
    wwid = '',
    serial = '',
    model = '',
    slaves = '',
    path = '',
  ] = line.split('\t').map(field => field.trim())
  return {
    name,
    sectors: Number(sectors),
    partition,
    readOnly: readOnly === '1',
    removable: removable === '1',
    device,
    mapped,
    mapperId,
    raidLevel,
    backingFile,
    wwid,
    serial,
    model,
    slaves: slaves.split(' ').filter(Boolean),
    path,
  }
}

/** Disks are what is neither a part of something nor made from something; memory, optical and network drives are none. */
function isDisk(block: Block): boolean {
  return (
    block.partition === '' &&
    block.slaves.length === 0 &&
    block.mapperId === '' &&
    block.raidLevel === '' &&
    !/^(loop|ram|zram|sr|fd|dm-|md|nbd)/.test(block.name)
  )
}

function typeOf(block: Block): string {
  if (block.partition !== '') return 'part'
  if (block.mapperId.startsWith('CRYPT-')) return /^CRYPT-VERITY/.test(block.mapperId) ? 'verity' : 'crypt'
  if (block.mapperId.startsWith('LVM-')) return 'lvm'
  if (block.mapperId.startsWith('mpath-')) return 'mpath'
  if (/^part\d+-mpath/.test(block.mapperId)) return 'part'
  if (block.mapperId !== '' || block.mapped !== '') return 'dm'
  if (block.raidLevel !== '') return 'raid'
  return block.name.startsWith('md') ? 'raid' : 'loop'
}

/** What lsblk calls `0x5000…` the kernel calls `naa.5000…`. */
function wwnOf(wwid: string): string {
  return wwid.startsWith('naa.') ? `0x${wwid.slice(4)}` : wwid.startsWith('t10.') ? '' : wwid
}

function transportOf(block: Block, said: string): string {
  if (said !== '') return said
  if (/\/usb\d+\//.test(block.path)) return 'usb'
  if (/\/nvme\d+\//.test(block.path) || block.name.startsWith('nvme')) return 'nvme'
  if (/\/ata\d+\//.test(block.path)) return 'sata'
  if (/\/virtio\d+\//.test(block.path)) return 'virtio'
  return /^mmcblk/.test(block.name) ? 'mmc' : ''
}

/** What `lsblk -P` and `blkid` print, by kernel name; lsblk, which asks udev, is believed first. */
function properties(
  lsblk: string,
  blkid: string,
  nameOf: (mapped: string) => string | undefined,
): Map<string, Record<string, string>> {
  const found = new Map<string, Record<string, string>>()
  for (const line of lines(lsblk)) {
    const pairs = pairsOf(line)
    if (pairs.KNAME !== undefined) found.set(pairs.KNAME, pairs)
  }
  for (const line of lines(blkid)) {
    const said = /^\/dev\/([^:]+):/.exec(line)?.[1]
    const name = said?.startsWith('mapper/') ? nameOf(said.slice('mapper/'.length)) : said
    if (name === undefined) continue
    const { TYPE = '', ...rest } = pairsOf(line)
    const known = Object.entries(found.get(name) ?? {}).filter(([, value]) => value !== '')
    found.set(name, { FSTYPE: TYPE, ...rest, ...Object.fromEntries(known) })
  }
  return found
}

function pairsOf(line: string): Record<string, string> {
  return Object.fromEntries(
    [...line.matchAll(/([A-Z_:-]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', value = '']) => [
      key,
      unescaped(value).replaceAll(/\p{Cc}/gu, ''),
    ]),
  )
}

/** `\x20` as lsblk writes it, `\040` as the kernel does; each is one byte, and a letter may be of several. */
function unescaped(text: string): string {
  return text.replace(/((?:\\x[0-9a-fA-F]{2}|\\[0-7]{3})+)|\\(["\\$`])/g, (_, run: string, plain: string) =>
    run === undefined
      ? plain
      : Buffer.from(
          [...run.matchAll(/\\(?:x(..)|(...))/g)].map(([, hex, octal = '']) =>
            hex === undefined ? Number.parseInt(octal, 8) : Number.parseInt(hex, 16),
          ),
        ).toString(),
  )
}

function lines(text: string): string[] {
  return text.split('\n').filter(line => line.trim() !== '')
}
