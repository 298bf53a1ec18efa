import { readTypes, type Struct } from './go-types.ts'

/** Every key of every version of the part that all variants share; numbers are its minor versions, 0.1 to 0.8. */
const shared = `
Cex
  enabled *bool
CaReference
  source string
  verification Verification
Clevis
  custom *Custom ..3
  custom ClevisCustom 4..
  tang []Tang
  threshold *int
  tpm2 *bool
ClevisCustom
  config *string
  needs_network *bool
  pin *string
Config
  version string
  variant string
  ignition Ignition
  kernel_arguments KernelArguments 4..
  passwd Passwd
  storage Storage
  systemd Systemd
ConfigReference
  source *string
  verification Verification
Custom
  config string
  needs_network *bool
  pin string
Device = string
Directory
  group NodeGroup
  overwrite *bool
  path string
  user NodeUser
  mode *int
Disk
  device string
  partitions []Partition
  wipe_table *bool
Dropin
  contents *string
  contents_local *string 5..
  name string
File
  group NodeGroup
  overwrite *bool
  path string
  user NodeUser
  append []FileContents ..1
  append []Resource 2..
  contents FileContents ..1
  contents Resource 2..
  mode *int
FileContents
  compression *string
  source *string
  inline *string
  verification Verification
Filesystem
  device string
  format *string
  label *string
  mount_options []string 2..
  options []FilesystemOption ..1
  options []string 2..
  path *string
  uuid *string
  wipe_filesystem *bool
  with_mount_unit *bool 2..
FilesystemOption = string
Group = string
HTTPHeader
  name string
  value *string
HTTPHeaders = []HTTPHeader
Ignition
  config IgnitionConfig
  proxy Proxy 2..
  security Security
  timeouts Timeouts
IgnitionConfig
  merge []ConfigReference ..1
  merge []Resource 2..
  replace ConfigReference ..1
  replace Resource 2..
KernelArgument = string
KernelArguments
  should_exist []KernelArgument
  should_not_exist []KernelArgument
Link
  group NodeGroup
  overwrite *bool
  path string
  user NodeUser
  hard *bool
  target string ..3
  target *string 4..
Luks
  cex Cex 6..
  clevis *Clevis ..3
  clevis Clevis 4..
  device *string
  discard *bool 5..
  key_file Resource
  label *string
  name string
  open_options []string 5..
  options []LuksOption ..4
  options []string 5..
  uuid *string
  wipe_volume *bool
LuksOption = string
NodeGroup
  id *int
  name *string
NodeUser
  id *int
  name *string
Partition
  guid *string
  label *string
  number int
  resize *bool 3..
  should_exist *bool
  size_mib *int
  start_mib *int
  type_guid *string
  wipe_partition_entry *bool
Passwd
  groups []PasswdGroup
  users []PasswdUser
PasswdGroup
  gid *int
  name string
  password_hash *string
  should_exist *bool 3..
  system *bool
PasswdUser
  gecos *string
  groups []Group
  home_dir *string
  name string
  no_create_home *bool
  no_log_init *bool
  no_user_group *bool
  password_hash *string
  primary_group *string
  should_exist *bool 3..
  ssh_authorized_keys []SSHAuthorizedKey
  ssh_authorized_keys_local []string 5..
  shell *string
  system *bool
  uid *int
Proxy
  http_proxy *string
  https_proxy *string
  no_proxy []string
Quadlet
  contents *string
  contents_local *string
  name string
  rootful bool
  dropins []Dropin
Raid
  devices []Device
  level string ..3
  level *string 4..
  name string
  options []RaidOption ..4
  options []string 5..
  spares *int
RaidOption = string
Resource
  compression *string
  http_headers HTTPHeaders
  source *string
  inline *string
  local *string
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
  luks []Luks 3..
  raid []Raid
  trees []Tree 2..
Systemd
  units []Unit
  quadlets []Quadlet 8..
TLS
  certificate_authorities []CaReference ..1
  certificate_authorities []Resource 2..
Tang
  thumbprint *string
  url string
  advertisement *string 5..
Timeouts
  http_response_headers *int
  http_total *int
Tree
  group NodeGroup 7..
  local string
  path *string
  user NodeUser 7..
  file_mode *int 7..
  dir_mode *int 7..
Unit
  contents *string
  contents_local *string 5..
  dropins []Dropin
  enabled *bool
  mask *bool
  name string
Verification
  hash *string
`

/** What Fedora CoreOS adds; numbers are minor versions of the fcos variant, 1.0 to 1.8. */
const fcos = `
BootDevice
  layout *string
  luks BootDeviceLuks
  mirror BootDeviceMirror
BootDeviceLuks
  cex Cex 6..
  discard *bool 5..
  device *string 6..
  tang []Tang
  threshold *int
  tpm2 *bool
BootDeviceMirror
  devices []string
Extra
  boot_device BootDevice 3..
  grub Grub 5..
Grub
  users []GrubUser
GrubUser
  name string
  password_hash *string
`

/**
 * The schema of one version of a variant.
 * @param part minor version of the part that all variants share, 1 to 8.
 * @param minor minor version of the variant.
 */
export function butaneSchema(variant: 'fcos' | 'flatcar', minor: number, part: number): Struct {
  const ofAll = readTypes(shared, part, `v0_${part}${part === 8 ? '_exp' : ''}`)
  const experimental = (variant === 'fcos' && minor === 8) || (variant === 'flatcar' && minor === 2)
  const prefix = `v1_${minor}${experimental ? '_exp' : ''}`
  const config = ofAll('Config')
  const extra = variant === 'fcos' ? readTypes(fcos, minor, prefix, ofAll)('Extra').fields : []
  return { ...config, name: `${prefix}.Config`, fields: [...config.fields, ...extra] }
}
