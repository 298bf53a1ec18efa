import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { run } from './commands.ts'
import { type Kernel, moduleFiles } from './kernel.ts'

/** What a virtual machine never uses, most of it by size. */
const unused = [
  'usr/bin/*perl*',
  'usr/bin/*py*3*',
  'usr/bin/ignition-validate',
  'usr/lib/python3*',
  'usr/lib/x86_64-linux-gnu/perl*',
  'usr/lib/x86_64-linux-gnu/libperl*',
  'usr/lib/x86_64-linux-gnu/gconv',
  // 37 MB for this one program.
  'usr/lib/x86_64-linux-gnu/libicu*',
  'usr/sbin/xfs_scrub*',
  'usr/lib/udev/hwdb*',
  'usr/lib/apt',
  'usr/share/perl*',
  'usr/share/python3',
  'usr/share/common-licenses',
  'usr/share/zoneinfo',
  'var/lib/dpkg',
  'var/cache/*',
  'var/log/*',
]

/** What takes an emulated processor long and does nothing here. */
const masked = [
  'dev-hugepages.mount',
  'dev-mqueue.mount',
  'ldconfig.service',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'systemd-firstboot.service',
  'systemd-hwdb-update.service',
  'systemd-journal-catalog-update.service',
  'systemd-pstore.service',
  'systemd-rfkill.socket',
  'systemd-update-done.service',
  'systemd-update-utmp.service',
  'systemd-update-utmp-runlevel.service',
]

const modules = [
  'virtio_pci',
  'virtio_net',
  'virtio_blk',
  'nvme',
  'dm_mod',
  'dm_crypt',
  'aesni_intel',
  'xts',
  'raid1',
  'algif_skcipher',
  'sd_mod',
  'iscsi_tcp',
  'btrfs',
  'xfs',
  'efivarfs',
]

/** Modules without which a disk cannot be found. */
export const diskModules = ['virtio_pci', 'virtio_blk', 'nvme']

/** A small Debian for virtual machines: systemd, networkd by DHCP, sshd, sudo, Ignition's engine, the modules it needs. */
export function makeGuestRoot(root: string, debian: string, guest: string, kernel: Kernel): void {
  run('cp', '-a', debian, root)
  run('sh', '-c', `cd "$1" && rm -rf ${unused.join(' ')}`, '-', root)
  for (const file of moduleFiles(kernel, modules)) {
    const to = join(root, 'usr', relative(kernel.folder, file))
    mkdirSync(dirname(to), { recursive: true })
    copyFileSync(file, to)
  }
  for (const list of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order'])
    copyFileSync(
      join(kernel.folder, 'lib/modules', kernel.version, list),
      join(root, 'usr/lib/modules', kernel.version, list),
    )
  run('depmod', '-b', join(root, 'usr'), kernel.version)
  writeInto(root, {
    'etc/hostname': 'localhost\n',
    'etc/systemd/network/dhcp.network':
      '[Match]\nType=ether\n\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n\n[DHCPv4]\nClientIdentifier=mac\n',
    'etc/systemd/system/ssh.service.d/keys.conf':
      '[Service]\nExecStartPre=\nExecStartPre=/bin/sh -c "ls /etc/ssh/ssh_host_*_key || ssh-keygen -q -t ed25519 -N \'\' -f /etc/ssh/ssh_host_ed25519_key"\n',
    'etc/selinux/config': 'SELINUX=disabled\nSELINUXTYPE=targeted\n',
    'etc/selinux/targeted/contexts/files/file_contexts': '',
    'usr/lib/no-selinux/setfiles': '#!/bin/sh\ncat >/dev/null\n',
    'usr/lib/systemd/system-preset/50-little.preset':
      'enable ssh.service\nenable systemd-networkd.service\nenable systemd-networkd-wait-online.service\ndisable *\n',
    'etc/fstab': '',
    'etc/hosts': '127.0.0.1 localhost\n',
  })
  chmodSync(join(root, 'usr/lib/no-selinux/setfiles'), 0o755)
  for (const name of ['ignition-run', 'flatcar-install']) {
    const to = join(root, 'usr/local/sbin', name)
    copyFileSync(join(guest, name), to)
    chmodSync(to, 0o755)
  }
  for (const unit of masked) symlinkSync('/dev/null', join(root, 'etc/systemd/system', unit))
  const wants = join(root, 'etc/systemd/system/multi-user.target.wants')
  symlinkSync('/lib/systemd/system/systemd-networkd.service', join(wants, 'systemd-networkd.service'))
}

/** Writes files into a tree. */
export function writeInto(root: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    rmSync(join(root, path), { force: true })
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

/** What a recipe says of files that are copied. */
export function contentsOf(...files: string[]): Record<string, string> {
  return Object.fromEntries(files.map(file => [basename(file), readFileSync(file, 'utf8')]))
}
