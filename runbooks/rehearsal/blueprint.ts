import { createHash } from 'node:crypto'
import { isIPv4 } from 'node:net'
import type { Cluster } from '../../src/cluster/load.ts'
import type { HostEntry, PowerEntry } from '../../src/cluster/schema.ts'
import { statedClass, statedVolume } from '../../src/cluster/stated.ts'
import { type KnownMachine, machineNamed } from '../../src/hosts/power/identity.ts'
import type {
  Blueprint,
  HostBlueprint,
  KubernetesObject,
  LunBlueprint,
  PowerBlueprint,
  ShareBlueprint,
} from '../../src/lab/blueprint.ts'
import { ownAddress } from '../../src/lab/world.ts'
import { isShare, protocolOf } from '../../src/volumes/protocol.ts'
import { sqlCommand } from '../applications/ask.ts'
import { madeUpBackup } from './backups.ts'
import { standIns } from './stand-ins.ts'

/**
 * The world in which a person's own cluster is rehearsed: their hosts with the disks that they named (and one that
 * nobody named, which must survive), their NAS with a disk for each claim and made-up files on it. All dead at first.
 */
export function blueprintOf(cluster: Cluster): Blueprint {
  const id = (name: string) => {
    const h = createHash('sha256').update(`${cluster.entry.cluster} ${name}`).digest('hex')
    return `${h.slice(0, 8)}-${h.slice(8, 12)}-4${h.slice(13, 16)}-8${h.slice(17, 20)}-${h.slice(20, 32)}`
  }
  const hex = (name: string, digits: number) => id(name).replaceAll('-', '').slice(0, digits)
  const { luns, shares } = disksOf(cluster, id)
  const old = cluster.k0sctl.hosts.filter(h => beginning(cluster.entry.hosts[h.name]) === 'old-os')
  return {
    address: ownAddress(),
    cluster: cluster.entry.cluster,
    network: networkOf(cluster),
    kubernetesVersion: (cluster.k0sctl.version ?? '1.34.2').split('+')[0] ?? '1.34.2',
    hosts: cluster.k0sctl.hosts.map(({ name, role }) => {
      const entry = cluster.entry.hosts[name]
      const named = known(entry)
      return {
        name,
        role,
        machineSerial: named.serial ?? `M-${hex(`machine ${name}`, 8).toUpperCase()}`,
        ...(named.uuid === undefined ? {} : { machineUuid: named.uuid.toLowerCase() }),
        mac: named.macs?.[0] ?? `52:54:00:${hex(`mac ${name}`, 6).replace(/..(?=.)/g, '$&:')}`,
        ...(isIPv4(entry?.address ?? '') ? { homeAddress: `${entry?.address}/24` } : {}),
        begins: beginning(entry),
        ...(entry?.install.includes('flatcar-reset') ? { oldSystem: 'flatcar' as const } : {}),
        ...(entry?.image?.version === undefined ? {} : { release: entry.image.version }),
        oldFiles: {
          ...(role === 'worker'
            ? {}
            : {
                '/var/lib/k0s/db/state.db': `SQLite format 3: made up for ${name}`,
                '/etc/k0s/k0s.yaml': 'apiVersion: k0s.k0sproject.io/v1beta1\nkind: ClusterConfig\n',
              }),
          // The lab logs the old machines in to the disks in this order, too.
          ...mountedFiles(
            [...luns, ...shares].filter((_, i) => old[i % old.length]?.name === name),
            id,
          ),
        },
        ...(entry?.power ? { power: powerOf(entry.power, `lab-${hex(`bmc ${name}`, 12)}`) } : {}),
        oldInitiator: `iqn.2016-04.com.open-iscsi:${hex(`old ${name}`, 12)}`,
        disks: [
          {
            kernelName: 'nvme0n1',
            serial: entry?.disk.serial ?? `S-${hex(`disk ${name}`, 10).toUpperCase()}`,
            wwn: entry?.disk.wwn ?? `eui.${hex(`wwn ${name}`, 16)}`,
            model: 'Lab NVMe 500GB',
            sizeBytes: 500_107_862_016,
            content: [
              { partition: 'nvme0n1p1', fsType: 'vfat', label: 'EFI-SYSTEM' },
              { partition: 'nvme0n1p9', fsType: 'ext4', label: 'ROOT' },
            ],
          },
          {
            kernelName: 'sda',
            serial: `NOT-NAMED-${hex(`other ${name}`, 6).toUpperCase()}`,
            wwn: `0x${hex(`other wwn ${name}`, 16)}`,
            model: 'Lab disk that nobody named',
            sizeBytes: 4_000_787_030_016,
            content: [{ partition: 'sda1', fsType: 'btrfs', label: 'photos' }],
          },
        ],
      }
    }),
    nas: {
      account: 'recover',
      password: `lab-${hex('nas password', 16)}`,
      hostname: 'nas',
      model: 'DS923+',
      volumePath: '/volume1',
      volumeSizeBytes: 16_000_000_000_000,
      limits: { luns: 256, targets: 256, snapshotsPerLun: 256 },
      csrf: true,
      luns,
      ...(shares.length > 0 ? { shares } : {}),
    },
    repository: repositoryOf(cluster),
    items: itemsOf(cluster),
    kinds: unknownKinds(cluster),
    answers: answersTo(cluster),
    backups: Object.fromEntries(
      Object.keys(cluster.entry.backups ?? {}).map(claim => [
        madeUpBackup(cluster, claim).id,
        seedFiles(claim),
      ]),
    ),
    publicNames: [...new Set(cluster.inventory.hosts.map(h => h.host))],
    latency: { ssh: 0, install: 0, boot: 0, nas: 0, clone: 0, api: 0, controllers: 0 },
  }
}

/**
 * A LUN, or a shared folder, for each claim that comes back: the one that recover.yaml or a PersistentVolume in Git names, if
 * any does.
 */
function disksOf(
  { inventory, entry, k0sctl, strategy }: Cluster,
  id: (name: string) => string,
): { luns: LunBlueprint[]; shares: ShareBlueprint[] } {
  const disks = inventory.claims.flatMap(claim => {
    const volume = statedVolume(inventory, claim.id)
    const named = statedClass(inventory, claim.storageClass)
    // What is copied may come from elsewhere than where its class makes volumes now.
    const stays = strategy(claim.id) === 'adopt' || strategy(claim.id) === 'clone'
    const made = stays ? protocolOf(named?.parameters) : undefined
    const protocol = protocolOf(volume?.attributes) ?? made
    // One that begins empty has none; a share that Git itself leads to is there whatever is said of the claim.
    if (strategy(claim.id) === 'new' && !(volume && isShare(protocol))) return []
    const disk = {
      uuid: entry.luns?.[claim.id] ?? (volume?.handle || id(`lun ${claim.id}`)),
      pv: volume?.name ?? `pvc-${id(`claim ${claim.id}`)}`,
      claim: claim.id,
      sizeBytes: Math.max(claim.sizeBytes, 2 ** 30),
      files: seedFiles(claim.id),
    }
    const said = volume?.fsType ?? named?.parameters['csi.storage.k8s.io/fstype'] ?? named?.parameters.fsType
    return [{ protocol, disk, fsType: said || 'ext4' }]
  })
  const nodes = k0sctl.hosts.map(({ name }) => entry.hosts[name]?.address ?? name)
  return {
    luns: disks
      .filter(d => !isShare(d.protocol))
      .map(({ disk, fsType }) => ({ ...disk, described: true, fsType })),
    shares: disks
      .filter(d => isShare(d.protocol))
      .map(({ protocol, disk }) => ({ ...disk, clients: protocol === 'nfs' ? nodes : [] })),
  }
}

/** What the kubelet of a dead machine still says of the disks that its pods had. */
function mountedFiles(
  disks: { uuid: string; pv: string; claim: string }[],
  id: (name: string) => string,
): Record<string, string> {
  return Object.fromEntries(
    disks.flatMap(({ uuid, pv, claim }) => {
      const [namespace = '', name = ''] = claim.split('/')
      const pod = id(`pod ${claim}`)
      const data = { driverName: 'csi.san.synology.com', specVolID: pv, volumeHandle: uuid }
      return [
        [
          `/var/lib/k0s/kubelet/pods/${pod}/volumes/kubernetes.io~csi/${pv}/vol_data.json`,
          JSON.stringify(data),
        ],
        [`/var/log/pods/${namespace}_${name}-0_${pod}/app/0.log`, ''],
      ]
    }),
  )
}

/** What recover.yaml says of a machine, so that the lab's is the one that is meant. */
function known(entry: HostEntry | undefined): KnownMachine {
  const power = entry?.power
  if (power && 'wakeOnLan' in power) return { macs: [power.wakeOnLan] }
  const named = machineNamed(power?.machine)
  return entry?.mac === undefined ? named : { ...named, macs: [entry.mac] }
}

/** The same kind of switch that the person's machine has, with a password of the lab's. */
/**
 * How a machine stands there at first, so that its first way to install can be rehearsed: one that has an installer has
 * it, one that is started by its BMC is off; the others stand with their dead system.
 */
function beginning(entry: HostEntry | undefined): HostBlueprint['begins'] {
  const first = entry?.install[0]
  if (first === 'ssh') return 'installer'
  const started = first === 'pxe' || first === 'virtual-media'
  return started && entry?.power && !('wakeOnLan' in entry.power) ? 'off' : 'old-os'
}

function powerOf(entry: PowerEntry, password: string): PowerBlueprint {
  if ('wakeOnLan' in entry) return { kind: 'wake-on-lan', mac: entry.wakeOnLan }
  return { kind: 'redfish' in entry ? 'redfish' : 'ipmi', account: 'recover', password }
}

/** Who brings the network: k0s by itself, unless its config says `custom`. */
function networkOf({ k0sctl }: Cluster): 'kube-router' | 'custom' {
  const { provider } = (k0sctl.config.network ?? {}) as { provider?: string }
  return provider === 'custom' ? 'custom' : 'kube-router'
}

/** What Argo CD or Flux finds in Git: each application's folder, and stand-ins for what it would fetch from elsewhere. */
function repositoryOf(cluster: Cluster): Blueprint['repository'] {
  return Object.fromEntries(
    cluster.applications.map(({ path, objects, remote, name }) => [
      path,
      [
        ...objects.map(o => o.value as unknown as KubernetesObject),
        ...standIns(remote, objects.find(o => o.namespace !== undefined)?.namespace ?? name),
      ],
    ]),
  )
}

/** Every item of 1Password that Git asks for, with made-up fields. */
function itemsOf(cluster: Cluster): Blueprint['items'] {
  const named = cluster.bootstrap
    .flatMap(p => p.from.objects)
    .filter(o => o.kind === 'OnePasswordItem')
    .map(o => String((o.value.spec as { itemPath?: string } | undefined)?.itemPath))
  const paths = new Set([...named, ...cluster.inventory.items.map(i => i.path)])
  return Object.fromEntries([...paths].map(path => [path, { password: `made up for ${path}` }]))
}

/**
 * Kinds that a repository uses and that only its charts would define, which the lab does not fetch: it serves them
 * without anybody acting on them.
 */
function unknownKinds(cluster: Cluster): NonNullable<Blueprint['kinds']> {
  const found = new Map<string, { apiVersion: string; kind: string; namespaced: boolean }>()
  const objects = [
    ...cluster.applications.flatMap(a => a.objects),
    ...cluster.bootstrap.flatMap(p => p.from.objects),
  ]
  for (const { apiVersion, kind, namespace } of objects) {
    const group = apiVersion.split('/')[0] ?? ''
    const own =
      group.endsWith('.k8s.io') ||
      !group.includes('.') ||
      /^(argoproj\.io|cilium\.io|onepassword\.com|(kustomize|source)\.toolkit\.fluxcd\.io)$/.test(group)
    if (!own) found.set(`${apiVersion} ${kind}`, { apiVersion, kind, namespaced: namespace !== undefined })
  }
  return [...found.values()]
}

/** What a person's checks in pods expect to hear, which their own programs would say. */
function answersTo(cluster: Cluster): NonNullable<Blueprint['answers']> {
  return (cluster.entry.checks ?? []).flatMap(check => {
    if (!('in' in check)) return []
    const { namespace } = check.in
    const command = 'exec' in check ? check.exec : sqlCommand(check)
    const exit = 'exec' in check ? (check.exit ?? 0) : 0
    const stdout = ('sql' in check ? check.equals : check.contains) ?? fitting(check.matches) ?? ''
    return [{ namespace, command, exit, stdout }]
  })
}

/** A text that a pattern fits: its own without signs, or what checks mostly look for. */
function fitting(pattern: string | undefined): string | undefined {
  if (pattern === undefined) return undefined
  const plain = pattern.replaceAll(/[\\^$*+?()[\]{}|]/g, '')
  return [plain, '1', '42', 'true', 't', 'ok', 'OK'].find(text => new RegExp(pattern, 'm').test(text))
}

/** A few files whose content depends on the claim alone, so that one volume's data is never taken for another's. */
function seedFiles(claim: string): Record<string, string> {
  return {
    'README.txt': `This is the data of ${claim}.\n`,
    'data/2019/first.bin': repeated(`${claim} first`, 200),
    'data/2024/last.bin': repeated(`${claim} last`, 50),
    'data/empty': '',
  }
}

function repeated(seed: string, times: number): string {
  return Array.from({ length: times }, (_, i) =>
    createHash('sha256').update(`${seed} ${i}`).digest('hex'),
  ).join('\n')
}
