import { factTools, factUnits } from '../../hosts/fact-script.ts'
import type { HostBlueprint } from '../blueprint.ts'
import type { World } from '../world.ts'
import type { DiskModel, MachineState } from './machine-state.ts'

/** What the fact script prints on an emulated machine, in the words of sysfs, lsblk and /proc. */
export function machineFacts(
  state: MachineState,
  blueprint: HostBlueprint,
  hostname: string,
  world: World,
): string {
  const oldFlatcar = state.system === 'old-os' && blueprint.oldSystem === 'flatcar'
  const inMemory = state.system === 'installer'
  const root = inMemory ? undefined : state.disks.find(d => d.system === state.system)
  const wrong = world.suffers('wrong-disk', state.name)
  const block: string[] = []
  const lsblk: string[] = []
  const byId: string[] = []
  const mounts: string[] = inMemory ? ['0:2 / tmpfs rootfs'] : []
  state.disks.forEach((disk, i) => {
    const serial = wrong && i === 0 ? 'WRONG-DISK-0001' : disk.serial
    const transport = disk.kernelName.startsWith('nvme') ? 'nvme' : 'sata'
    const path = `/sys/devices/pci0000:00/${transport}${i}/block/${disk.kernelName}`
    block.push(blockLine(disk, `259:${i * 16}`, path))
    lsblk.push(
      pairs({
        KNAME: disk.kernelName,
        TYPE: 'disk',
        SERIAL: serial,
        WWN: disk.wwn,
        MODEL: disk.model,
        TRAN: transport,
      }),
    )
    byId.push(
      `${transport === 'nvme' ? 'nvme' : 'ata'}-${disk.model.replaceAll(' ', '_')}_${serial} ../../${disk.kernelName}`,
    )
    for (const c of disk.content) {
      const number = Number(/\d+$/.exec(c.partition)?.[0] ?? 0)
      const device = `259:${i * 16 + number}`
      const share = Math.floor(disk.sizeBytes / 512 / (disk.content.length + 1))
      block.push(
        [
          c.partition,
          share,
          number,
          0,
          0,
          device,
          '',
          '',
          '',
          '',
          '',
          '',
          '',
          '',
          `${path}/${c.partition}`,
        ].join('\t'),
      )
      lsblk.push(pairs({ KNAME: c.partition, TYPE: 'part', FSTYPE: c.fsType, LABEL: c.label }))
      if (disk === root && c.label === 'ROOT') mounts.push(`${device} / ${c.fsType} /dev/${c.partition}`)
    }
  })
  const k0s = state.files['/opt/bin/k0s'] !== undefined || unitOf(state) !== undefined
  const missing = [
    ...(k0s ? [] : ['k0s']),
    ...(world.suffers('no-rsync-on-host', state.name) ? ['rsync'] : []),
  ]
  return [
    '',
    '=== access\nsudo',
    `=== os-release\n${(oldFlatcar ? oldFlatcarRelease : releases[state.system]).replaceAll(release, blueprint.release ?? release)}`,
    '=== kernel\nx86_64\n6.12.81-flatcar',
    `=== cmdline\n${state.commandLine || 'console=tty0'}`,
    '=== memory\nMemTotal: 16303508\nMemAvailable: 14203508',
    `=== boot-id\n${state.bootId}`,
    `=== hostname\n${hostname}`,
    `=== machine\nproduct_serial ${blueprint.machineSerial}\nproduct_uuid ${blueprint.machineUuid ?? world.uuidFor(`${state.name}-system`)}\nsys_vendor Lab\nproduct_name Emulated machine`,
    '=== firmware\nuefi',
    `=== tools\n${factTools.filter(t => (oldFlatcar ? flatcars : tools[state.system]).includes(t) && !missing.includes(t)).join('\n')}`,
    `=== links\neth0 ${blueprint.mac} up physical\nlo 00:00:00:00:00:00 unknown `,
    `=== addresses\n1: lo    inet 127.0.0.1/8 scope host lo${blueprint.homeAddress === undefined ? '' : `\n2: eth0    inet ${blueprint.homeAddress} scope global eth0`}`,
    '=== routes',
    `=== block\n${block.join('\n')}`,
    `=== lsblk\n${lsblk.join('\n')}`,
    `=== by-id\n${byId.join('\n')}`,
    `=== mounts\n${mounts.join('\n')}`,
    `=== run\n${state.files['/etc/recover/run.json']?.text ?? ''}`,
    `=== units\n${factUnits.map(u => `${u} ${state.units[u]?.active ?? 'inactive'}`).join('\n')}`,
    `=== k0s\n${k0s ? k0sLines(state) : ''}`,
    `=== initiator\n${state.files['/etc/iscsi/initiatorname.iscsi']?.text ?? ''}`,
    '=== end',
  ].join('\n')
}

const release = '4593.2.5'
const oldFlatcarRelease =
  'NAME="Flatcar Container Linux by Kinvolk"\nID=flatcar\nVERSION_ID=4593.2.5\nPRETTY_NAME="Flatcar Container Linux 4593.2.5 (old)"'
const releases: Record<MachineState['system'], string> = {
  'old-os':
    'NAME="Fedora CoreOS"\nID=fedora\nVARIANT_ID=coreos\nVERSION_ID=40\nPRETTY_NAME="Fedora CoreOS 40"',
  installer:
    'NAME="Flatcar Container Linux by Kinvolk"\nID=flatcar\nVARIANT_ID=installer\nVERSION_ID=4593.2.5\nPRETTY_NAME="Flatcar live"',
  flatcar:
    'NAME="Flatcar Container Linux by Kinvolk"\nID=flatcar\nVERSION_ID=4593.2.5\nPRETTY_NAME="Flatcar Container Linux 4593.2.5"',
  off: '',
  firmware: '',
  hung: '',
}

const everywhere = [
  'systemd-run',
  'systemctl',
  'lsblk',
  'blkid',
  'dd',
  'curl',
  'sha256sum',
  'k0s',
  'efibootmgr',
]
const flatcars = [
  ...everywhere,
  'wget',
  'gpg',
  'gpgv',
  'bzip2',
  'lbzip2',
  'flatcar-install',
  'flatcar-reset',
  'kexec',
  'iscsiadm',
  'rsync',
  'mkfs.ext4',
  'mkfs.xfs',
  'mkfs.btrfs',
]
/** What each system brings along. */
const tools: Record<MachineState['system'], string[]> = {
  'old-os': [...everywhere, 'gpg', 'bzip2', 'iscsiadm', 'kexec'],
  installer: flatcars,
  flatcar: flatcars,
  off: [],
  firmware: [],
  hung: [],
}

function unitOf(state: MachineState): 'k0scontroller' | 'k0sworker' | undefined {
  return state.units.k0scontroller ? 'k0scontroller' : state.units.k0sworker ? 'k0sworker' : undefined
}

function k0sLines(state: MachineState): string {
  const unit = unitOf(state)
  const verb = unit === 'k0sworker' ? 'worker' : 'controller'
  const given = state.files['/etc/k0s/arguments']?.text ?? ''
  return [
    `version ${state.files['/opt/bin/k0s']?.text.trim() ?? ''}`,
    ...(unit === undefined ? [] : [`${unit} ExecStart=/opt/bin/k0s ${verb} ${given}`.trim()]),
  ].join('\n')
}

function blockLine(disk: DiskModel, device: string, path: string): string {
  return [
    disk.kernelName,
    Math.floor(disk.sizeBytes / 512),
    '',
    0,
    0,
    device,
    '',
    '',
    '',
    '',
    disk.wwn,
    disk.serial,
    disk.model,
    '',
    path,
  ].join('\t')
}

function pairs(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}="${value.replace(/["\\$`]/g, c => `\\x${c.charCodeAt(0).toString(16)}`)}"`)
    .join(' ')
}
