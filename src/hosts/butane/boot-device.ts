import { dataUrlOf } from './data-url.ts'
import { emptyStruct, type StructValue, type Value } from './go-types.ts'
import { type Compiled, mergeCompiled } from './merge.ts'
import type { Path } from './places.ts'
import type { Spec } from './specs.ts'
import { Translations } from './translations.ts'

const typeGuids = {
  reserved: '8DA63339-0007-60C0-C436-083AC8230908',
  bios: '21686148-6449-6E6F-744E-656564454649',
  prep: '9E1A2D38-C612-4316-AA26-8B49521E5A8B',
  esp: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
}
const sizesMiB = { reserved: 1, bios: 1, prep: 4, esp: 127, boot: 384 }

type Part = keyof typeof typeGuids

/** Generated parts of a config, with the places that wanted them. */
class Rendering {
  readonly spec: Spec
  readonly config: StructValue
  readonly translations = new Translations()

  constructor(spec: Spec) {
    this.spec = spec
    this.config = emptyStruct(spec.types('Config'))
  }

  list(key: string): StructValue[] {
    const storage = this.config.storage as StructValue
    return (storage[key] ??= []) as StructValue[]
  }

  add(key: string, typeName: string, given: StructValue, from: Path): void {
    const type = this.spec.types(typeName)
    const value = { ...emptyStruct(type), ...given }
    const list = this.list(key)
    this.translations.addAll(from, ['storage', key, list.length], type, value)
    list.push(value)
  }
}

/** Adds what `boot_device` stands for: a mirrored boot disk, an encrypted root. What the person says goes over it. */
export function addBootDevice(source: StructValue, spec: Spec, compiled: Compiled): Compiled {
  const bootDevice = source.boot_device as StructValue | undefined
  if (!bootDevice) return compiled
  const luks = bootDevice.luks as StructValue
  const cex = (luks.cex as StructValue | undefined)?.enabled === true
  const wantLuks = luks.tpm2 === true || ((luks.tang as unknown[] | undefined) ?? []).length > 0 || cex
  const devices = ((bootDevice.mirror as StructValue).devices as string[] | undefined) ?? []
  const wantMirror = devices.length > 0
  if (!wantLuks && !wantMirror) return compiled
  const rendering = new Rendering(spec)
  const layout = bootDevice.layout as string | undefined
  if (wantMirror) addMirror(rendering, layout ?? 'x86_64', devices)
  if (wantLuks) addEncryption(rendering, luks, layout, { cex, wantMirror })
  const from = ['boot_device']
  rendering.add(
    'filesystems',
    'Filesystem',
    {
      device: wantLuks ? '/dev/mapper/root' : '/dev/md/md-root',
      format: 'xfs',
      label: 'root',
      wipeFilesystem: true,
    },
    from,
  )
  rendering.translations.add(from, ['storage', 'filesystems'])
  rendering.translations.add(from, ['storage'])
  return mergeCompiled(spec.types('Config'), rendering, compiled)
}

function addMirror(rendering: Rendering, layout: string, devices: string[]): void {
  const mirror = ['boot_device', 'mirror']
  const withEsp = layout === 'x86_64' || layout === 'aarch64'
  const first: Part = layout === 'x86_64' ? 'bios' : layout === 'ppc64le' ? 'prep' : 'reserved'
  const partitionType = rendering.spec.types('Partition')
  devices.forEach((device, i) => {
    const n = i + 1
    const from = [...mirror, 'devices', i]
    const partition = (given: StructValue): StructValue => ({ ...emptyStruct(partitionType), ...given })
    const typed = (part: Part) =>
      partition({ label: `${part}-${n}`, sizeMiB: sizesMiB[part], typeGuid: typeGuids[part] })
    rendering.add(
      'disks',
      'Disk',
      {
        device,
        wipeTable: true,
        partitions: [
          typed(first),
          typed(withEsp ? 'esp' : 'reserved'),
          partition({ label: `boot-${n}`, sizeMiB: sizesMiB.boot }),
          partition({ label: `root-${n}` }),
        ],
      },
      from,
    )
    if (!withEsp) return
    const esp = {
      device: `/dev/disk/by-partlabel/esp-${n}`,
      format: 'vfat',
      label: `esp-${n}`,
      wipeFilesystem: true,
    }
    rendering.add('filesystems', 'Filesystem', esp, from)
  })
  rendering.translations.add([...mirror, 'devices'], ['storage', 'disks'])
  const members = (part: string): Value[] => devices.map((_, i) => `/dev/disk/by-partlabel/${part}-${i + 1}`)
  // The superblock is at the end, so that a BIOS boot loader needs to know nothing of RAID.
  const boot = { devices: members('boot'), level: 'raid1', name: 'md-boot', options: ['--metadata=1.0'] }
  rendering.add('raid', 'Raid', boot, mirror)
  rendering.add('raid', 'Raid', { devices: members('root'), level: 'raid1', name: 'md-root' }, mirror)
  rendering.translations.add(mirror, ['storage', 'raid'])
  rendering.add(
    'filesystems',
    'Filesystem',
    { device: '/dev/md/md-boot', format: 'ext4', label: 'boot', wipeFilesystem: true },
    mirror,
  )
}

function addEncryption(
  rendering: Rendering,
  luks: StructValue,
  layout: string | undefined,
  { cex, wantMirror }: { cex: boolean; wantMirror: boolean },
): void {
  const { spec, translations } = rendering
  const from = ['boot_device', 'luks']
  const to = ['storage', 'luks', 0]
  let device = wantMirror ? '/dev/md/md-root' : '/dev/disk/by-partlabel/root'
  if (layout === 's390x-eckd') device = `${luks.device}2`
  if (layout === 's390x-zfcp') device = `${luks.device}4`
  const volume: StructValue = {
    ...emptyStruct(spec.types('Luks')),
    device,
    label: 'luks-root',
    name: 'root',
    wipeVolume: true,
  }
  if (spec.minor >= 5) {
    volume.discard = luks.discard
    translations.add([...from, 'discard'], [...to, 'discard'])
  }
  if (cex) {
    volume.cex = { enabled: true }
    translations.add([...from, 'enabled'], [...to, 'cex', 'enabled'])
    translations.add(from, [...to, 'cex'])
  } else {
    const tangType = spec.types('Tang')
    const tang = luks.tang as StructValue[] | undefined
    volume.clevis = {
      ...emptyStruct(spec.types('Clevis')),
      tang: tang?.map(pin => ({ ...emptyStruct(tangType), ...pin })),
      threshold: luks.threshold,
      tpm2: luks.tpm2,
    }
    for (const key of ['tang', 'threshold', 'tpm2'])
      if (luks[key] !== undefined) translations.add([...from, key], [...to, 'clevis', key])
    tang?.forEach((pin, i) => {
      for (const { key } of tangType.fields)
        if (pin[key] !== undefined)
          translations.add([...from, 'tang', i, key], [...to, 'clevis', 'tang', i, key])
      translations.add([...from, 'tang', i], [...to, 'clevis', 'tang', i])
    })
    translations.add(from, [...to, 'clevis'])
  }
  for (const key of ['device', 'label', 'name', 'wipeVolume']) translations.add(from, [...to, key])
  translations.add(from, to)
  translations.add(from, ['storage', 'luks'])
  rendering.list('luks').push(volume)
}

/** Adds the file that lets only these users change what GRUB boots. */
export function addGrubUsers(source: StructValue, spec: Spec, compiled: Compiled): Compiled {
  if (spec.variant !== 'fcos' || spec.minor < 5) return compiled
  const users = ((source.grub as StructValue).users as StructValue[] | undefined) ?? []
  const rendering = new Rendering(spec)
  if (users.length > 0) {
    const names = users.map(u => u.name).join(' ')
    const passwords = users.map(u => `password_pbkdf2 ${u.name} ${u.password_hash}`).join('\n')
    const text = `# Generated by Butane\n\nset superusers="${names}"\n${passwords}\n`
    const { url, compression } = dataUrlOf(Buffer.from(text), undefined)
    const from = ['grub', 'users']
    const device = '/dev/disk/by-label/boot'
    rendering.add('filesystems', 'Filesystem', { device, format: 'ext4', path: '/boot' }, from)
    const addition = { ...emptyStruct(spec.types('Resource')), source: url, compression }
    rendering.add('files', 'File', { path: '/boot/grub2/user.cfg', append: [addition] }, from)
    rendering.translations.addAll(from, ['storage'], spec.types('Storage'), rendering.config.storage)
  }
  return mergeCompiled(spec.types('Config'), rendering, compiled)
}
