import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { debianRoot } from './debian-root.ts'
import { makeDiskImage, type SystemImageFile } from './disk-image.ts'
import { type Installer, makeInstaller } from './installer.ts'
import { debianKernel } from './kernel.ts'
import { nfsParts } from './nfs-parts.ts'
import { sushyTools } from './sushy-tools.ts'

/** What the tests find prepared, or why they cannot run here. */
export type Prepared = { missing: string } | Place

export interface Place {
  /** A memory file system that is gone with the tests. */
  folder: string
  /** A Debian system, to be laid under hosts and never written to. */
  debian: string
  /** A Python with sushy-tools and sushy, or why there is none. */
  sushy: { python: string } | { missing: string }
  /** Boots in the memory of a virtual machine, as Flatcar's PXE image does. */
  installer: Installer
  /** What the installer writes to a disk. */
  image: SystemImageFile
  /** What makes a machine that runs from memory serve and mount NFS. */
  nfs: string
}

const programs = [
  ...['ip', 'nft', 'mmdebstrap', 'systemd-nspawn', 'ssh-keygen', 'unshare', 'nsenter'],
  ...['qemu-system-x86_64', 'ipmi_sim', 'ipmitool', 'dnsmasq', 'busybox', 'cpio', 'zstd', 'lbzip2', 'gpg'],
  ...['sfdisk', 'syslinux', 'mcopy', 'mkfs.fat', 'mke2fs', 'losetup', 'depmod', 'xorriso', 'socat'],
]

/** Fills the caches, for which the network is needed: the tests themselves have none. */
export function prepare(tell: (text: string) => void): Prepared {
  if (process.platform !== 'linux') return { missing: 'it needs Linux' }
  if (process.getuid?.() !== 0) return { missing: 'it needs root' }
  const absent = programs.filter(name => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0)
  if (absent.length > 0)
    return { missing: `not installed: ${absent.join(', ')} (.ci/run names the Debian packages)` }
  if (spawnSync('unshare', ['--net', '--mount', '--pid', '--fork', 'true']).status !== 0)
    return { missing: 'this machine lets nobody make namespaces' }
  const guest = join(import.meta.dirname, '../../../../test/real/guest')
  const debian = join(debianRoot(tell), 'root')
  const kernel = debianKernel(tell)
  return {
    folder: mkdtempSync(join(tmpdir(), 'recover-real-')),
    debian,
    installer: makeInstaller(debian, guest, kernel, tell),
    image: makeDiskImage(debian, guest, kernel, tell),
    nfs: nfsParts(kernel, tell),
    sushy: sushyTools(tell),
  }
}
