import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run, runWith } from './commands.ts'

const packages = [
  'btrfs-progs',
  'bzip2',
  'cryptsetup-bin',
  'dbus',
  'e2fsprogs',
  'efibootmgr',
  'fdisk',
  'gpg',
  'ignition',
  'iproute2',
  'iputils-ping',
  'kexec-tools',
  'kmod',
  'lbzip2',
  'libnss-myhostname',
  'lvm2',
  'mdadm',
  'nftables',
  'open-iscsi',
  'openssh-server',
  'procps',
  'rsync',
  'sudo',
  'systemd',
  'systemd-sysv',
  'udev',
  'wget',
  'xfsprogs',
]

/** Release of Debian that the machines of the tests have. */
export const suite = 'bookworm'

// What only people read, and what would try to start where it cannot.
const leftOut = ['doc', 'man', 'locale', 'info', 'lintian', 'bash-completion', 'zsh']
const masked = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'kexec-load.service',
  'kexec.service',
  'lvm2-monitor.service',
  'mdmonitor.service',
  'open-iscsi.service',
  'console-getty.service',
]

/** Changed with everything below that a change of the lists does not show. */
const edition = 1

/**
 * A Debian system in a folder: systemd, sshd that lets `core` in by key alone, sudo without a password; host keys,
 * machine id and authorized keys are for whoever makes a machine of it.
 */
export function debianRoot(tell: (text: string) => void): string {
  const recipe = { suite, packages, leftOut, masked, edition }
  return cached(
    'debian',
    recipe,
    folder => {
      const root = join(folder, 'root')
      runWith(
        { timeoutMs: 10 * 60_000 },
        'mmdebstrap',
        '--quiet',
        '--mode=root',
        '--format=directory',
        '--variant=essential',
        ...leftOut.map(name => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
        `--include=${packages.join(',')}`,
        suite,
        root,
        'http://deb.debian.org/debian',
      )
      settle(root)
    },
    tell,
  )
}

function settle(root: string): void {
  for (const name of ['dev', 'proc', 'sys', 'run']) mkdirSync(join(root, name), { recursive: true })
  run('chroot', root, 'useradd', '--create-home', '--shell', '/bin/bash', 'core')
  const write = (path: string, text: string, mode = 0o644) => {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), text, { mode })
  }
  write('etc/sudoers.d/core', 'core ALL=(ALL) NOPASSWD: ALL\n', 0o440)
  write(
    'etc/ssh/sshd_config.d/login.conf',
    [
      'PermitRootLogin no',
      'PasswordAuthentication no',
      'UseDNS no',
      // Ignition puts a user's keys into a folder.
      'AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys.d/ignition',
      '',
    ].join('\n'),
  )
  for (const unit of masked) {
    rmSync(join(root, 'etc/systemd/system', unit), { force: true })
    symlinkSync('/dev/null', join(root, 'etc/systemd/system', unit))
  }
  // Not empty on purpose: an empty one would make systemd take every start for the first.
  write('etc/machine-id', '00000000000000000000000000000001\n')
  for (const type of ['ecdsa', 'ed25519', 'rsa'])
    for (const suffix of ['', '.pub'])
      rmSync(join(root, `etc/ssh/ssh_host_${type}_key${suffix}`), { force: true })
  rmSync(join(root, 'var/cache/apt'), { recursive: true, force: true })
  rmSync(join(root, 'var/lib/apt/lists'), { recursive: true, force: true })
}
