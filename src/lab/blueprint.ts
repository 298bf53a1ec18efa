/**
 * What a lab world is at its beginning: plain data, made from an example or from a person's own cluster file, and
 * written once into the world's folder. Everything that happens later is state of the emulators.
 */
export interface Blueprint {
  /** Where all of the world listens; 127.0.0.1 by default. */
  address?: string
  cluster: string
  hosts: HostBlueprint[]
  nas: NasBlueprint
  /**
   * A real Linux machine (open-iscsi, rsync, systemd) that does with the NAS's real disks what the nodes would do. `command`
   * runs a shell's script there, which it is given on its standard input, as root: `ssh root@192.0.2.13 sh`. Without it the
   * lab imitates the nodes, on disks that are folders. No cluster file leads to it: only whoever makes a world has one.
   */
  node?: { command: string[] }
  /** Version that the API server reports, without the leading `v`: `1.34.2`. */
  kubernetesVersion: string
  /** Who brings the pods' network: k0s by itself, or whoever is applied later (`custom`, where nothing is said). */
  network?: 'kube-router' | 'custom'
  /** What the Git repository renders to, by path in it: `applications/grafana` to its objects. Served to the lab's Argo CD. */
  repository: Record<string, KubernetesObject[]>
  /** Names under which applications answer from outside: the ingress has a certificate for them. */
  publicNames?: string[]
  /** Snapshots of a backup repository, by id: path to text of every file. */
  backups?: Record<string, Record<string, string>>
  /** What programs in pods of a namespace answer, as long as those found their data: a person's own checks. */
  answers?: { namespace: string; command: string[]; exit: number; stdout: string }[]
  /** Kinds that are served from the beginning, without anybody acting on them. */
  kinds?: { apiVersion: string; kind: string; namespaced: boolean }[]
  /** An archive of `k0s backup`, known by its hash, and the objects that come out when a machine's k0s restores it. */
  backup?: {
    sha256: string
    objects: KubernetesObject[]
    /** What ran in that cluster; it comes out, too, where the fault `workloads-return` wants it. */
    workloads?: KubernetesObject[]
  }
  /** 1Password: item path (`vaults/home/items/grafana`) to its fields. */
  items: Record<string, Record<string, string>>
  /**
   * Milliseconds that each emulator takes for one request, install, sync or copy; `clone` is how long the NAS works on a clone
   * after it shows it. All zero by default.
   */
  latency: {
    ssh: number
    install: number
    boot: number
    nas: number
    clone: number
    api: number
    controllers: number
  }
}

/** Any Kubernetes object, as parsed from YAML. */
export interface KubernetesObject {
  apiVersion: string
  kind: string
  metadata: { name?: string; generateName?: string; namespace?: string; [key: string]: unknown }
  [key: string]: unknown
}

export interface HostBlueprint {
  name: string
  role: 'controller' | 'controller+worker' | 'single' | 'worker'
  /** Serial of the machine itself (DMI). */
  machineSerial: string
  /** Its UUID (DMI); made up where nothing is said. */
  machineUuid?: string
  mac: string
  /** What its network interface has at home, with the length of the prefix; nobody connects to it there. */
  homeAddress?: string
  disks: DiskBlueprint[]
  /** `old-os`: the dead cluster's system still runs; `installer`: a live stick is booted; `off`: nobody is at home; `hung`: it is on and answers nobody. */
  begins: 'old-os' | 'installer' | 'off' | 'hung'
  /** What the dead cluster's machines ran; Fedora CoreOS where nothing is said. */
  oldSystem?: 'fedora-coreos' | 'flatcar'
  /** Release of Flatcar that its image holds, and that an old Flatcar has: 4593.2.5 where nothing is said. */
  release?: string
  /** Files that the old system has, by path: databases, keys, volumes on its own disk. */
  oldFiles?: Record<string, string>
  /** Initiator name of the old system, as it shows in the NAS's sessions. */
  oldInitiator: string
  /** Who switches it; nobody where nothing is said. */
  power?: PowerBlueprint
}

/** Who switches a machine. `ipmi` is the same BMC, whose owner speaks to it by ipmitool. */
export type PowerBlueprint =
  | { kind: 'redfish' | 'ipmi'; account: string; password: string; quirks?: BmcQuirk[] }
  /** MAC address that wakes it. */
  | { kind: 'wake-on-lan'; mac: string }

/** In what real BMCs differ from the book, and from each other. */
export type BmcQuirk =
  /** No sessions, only a name and a password with every request. */
  | 'no-sessions'
  /** No BootSourceOverrideMode, and a refusal for who sends it. */
  | 'no-boot-mode'
  /** Whatever is ordered for the next boot holds for every boot. */
  | 'boot-continuous'
  /** The target None is refused. */
  | 'no-target-none'
  /** Orders for the next boot are kept in a resource of their own. */
  | 'boot-settings-apart'
  /** A change without If-Match is refused. */
  | 'needs-etag'
  /** ETags are given as weak ones and compared as strong ones. */
  | 'etag-strong'
  /** What may be ordered stands in an ActionInfo, not beside the action. */
  | 'action-info'
  /** Orders become tasks that take a few looks. */
  | 'tasks'
  /** The virtual drive is below the manager, as before 2020. */
  | 'media-under-manager'
  /** The virtual drive has no actions, and is changed itself. */
  | 'media-by-patch'
  /** InsertMedia refuses everything but the address of the image. */
  | 'media-image-only'
  /** No virtual drive. */
  | 'no-media'
  /** Two machines in one chassis: this one, and one that must not be touched. */
  | 'two-systems'
  /** Says nothing of which machine it is. */
  | 'no-identity'
  /** IPMI: the cipher suite 17 alone. */
  | 'cipher-17'

export interface DiskBlueprint {
  /** Kernel name without /dev: `nvme0n1`. */
  kernelName: string
  serial: string
  wwn: string
  model: string
  sizeBytes: number
  /** What is on it at the beginning, as lsblk would tell: a label for a person, and file systems by partition. */
  content: { partition: string; fsType: string; label: string }[]
}

export interface NasBlueprint {
  account: string
  password: string
  hostname: string
  model: string
  volumePath: string
  volumeSizeBytes: number
  /** `SYNO.Core.System info type=define`. */
  limits: { luns: number; targets: number; snapshotsPerLun: number }
  csrf: boolean
  /**
   * Where real iSCSI initiators find its LUNs, `192.0.2.17:3260`; without it they are folders, and nobody but the lab's own
   * machines gets in. Wants root and Debian's `tgt`.
   */
  portal?: string
  luns: LunBlueprint[]
  /** Shared folders that were volumes; none where nothing is said. */
  shares?: ShareBlueprint[]
}

export interface ShareBlueprint {
  uuid: string
  /** The PersistentVolume that owned it; the share is named after it as a LUN is, cut off at 32 characters. */
  pv: string
  claim: string
  sizeBytes: number
  /** Who may mount it by NFS; with nobody it is taken for one of SMB. */
  clients: string[]
  files: Record<string, string>
}

export interface LunBlueprint {
  uuid: string
  /** The PersistentVolume that owned it: `pvc-…`; the LUN is named `k8s-csi-<pv>`. */
  pv: string
  /** `namespace/claim`; written to the LUN's description only when `described`. */
  claim: string
  described: boolean
  sizeBytes: number
  fsType: string
  /** Path inside the volume to its text. */
  files: Record<string, string>
  /** A file that its real disk begins as a copy of, whatever `files` says: as a machine left it that lost its power. */
  image?: string
}
