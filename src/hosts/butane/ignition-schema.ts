import { readTypes, type Struct } from './go-types.ts'

/** Every type of Ignition's specs 3.0 to 3.7, in the order in which JSON is written; numbers are the minor versions. */
const table = `
CaReference
  source string !
  verification Verification
Cex
  enabled *bool
Clevis
  custom *Custom ..2
  custom ClevisCustom 3..
  tang []Tang
  threshold *int
  tpm2 *bool
ClevisCustom
  config *string
  needsNetwork *bool
  pin *string
Config
  ignition Ignition !
  kernelArguments KernelArguments 3..
  passwd Passwd
  storage Storage
  systemd Systemd
ConfigReference
  source *string !
  verification Verification
Custom
  config string !
  needsNetwork *bool
  pin string !
Device = string
Directory
  ...Node
  mode *int
Disk
  device string !
  partitions []Partition
  wipeTable *bool
Dropin
  contents *string
  name string !
File
  ...Node
  append []FileContents ..0
  append []Resource 1..
  contents FileContents ..0
  contents Resource 1..
  mode *int
FileContents
  compression *string
  source *string
  verification Verification
Filesystem
  device string !
  format *string
  label *string
  mountOptions []MountOption 1..
  options []FilesystemOption
  path *string
  uuid *string
  wipeFilesystem *bool
FilesystemOption = string
Group = string
HTTPHeader
  name string !
  value *string
HTTPHeaders = []HTTPHeader
Ignition
  config IgnitionConfig
  proxy Proxy 1..
  security Security
  timeouts Timeouts
  version string ..3
  version string ! 4..
IgnitionConfig
  merge []ConfigReference ..0
  merge []Resource 1..
  replace ConfigReference ..0
  replace Resource 1..
KernelArgument = string
KernelArguments
  shouldExist []KernelArgument
  shouldNotExist []KernelArgument
Link
  ...Node
  hard *bool
  target string ! ..2
  target *string 3..
Luks
  cex Cex 5..
  clevis *Clevis ..2
  clevis Clevis 3..
  device *string
  discard *bool 4..
  keyFile Resource
  label *string
  name string !
  openOptions []OpenOption 4..
  options []LuksOption
  uuid *string
  wipeVolume *bool
LuksOption = string
MountOption = string
NoProxyItem = string
Node
  group NodeGroup
  overwrite *bool
  path string !
  user NodeUser
NodeGroup
  id *int
  name *string
NodeUser
  id *int
  name *string
OpenOption = string
Partition
  guid *string
  label *string
  number int
  resize *bool 2..
  shouldExist *bool
  sizeMiB *int
  startMiB *int
  typeGuid *string
  wipePartitionEntry *bool
Passwd
  groups []PasswdGroup
  users []PasswdUser
PasswdGroup
  gid *int
  name string !
  passwordHash *string
  shouldExist *bool 2..
  system *bool
PasswdUser
  gecos *string
  groups []Group
  homeDir *string
  name string !
  noCreateHome *bool
  noLogInit *bool
  noUserGroup *bool
  passwordHash *string
  primaryGroup *string
  sshAuthorizedKeys []SSHAuthorizedKey
  shell *string
  shouldExist *bool 2..
  system *bool
  uid *int
Proxy
  httpProxy *string
  httpsProxy *string
  noProxy []NoProxyItem
Raid
  devices []Device ! ..2
  devices []Device 3..
  level string ! ..2
  level *string 3..
  name string !
  options []RaidOption
  spares *int
RaidOption = string
Resource
  compression *string
  httpHeaders HTTPHeaders
  source *string
  verification Verification
SSHAuthorizedKey = string
Security
  tls TLS
Storage
  directories []Directory
  disks []Disk
  files []File
  filesystems []Filesystem
  links []Link
  luks []Luks 2..
  raid []Raid
Systemd
  units []Unit
TLS
  certificateAuthorities []CaReference ..0
  certificateAuthorities []Resource 1..
Tang
  advertisement *string 4..
  thumbprint *string
  url string
Timeouts
  httpResponseHeaders *int
  httpTotal *int
Unit
  contents *string
  dropins []Dropin
  enabled *bool
  mask *bool
  name string !
Verification
  hash *string
`

/** The types of one spec of Ignition, by the minor version; 7 is the newest that is known. */
export function ignitionTypes(minor: number): (name: string) => Struct {
  let types = cache.get(minor)
  if (!types) cache.set(minor, (types = readTypes(table, minor, 'types')))
  return types
}

const cache = new Map<number, (name: string) => Struct>()
