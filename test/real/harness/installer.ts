import { copyFileSync, linkSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run, runWith } from './commands.ts'
import { contentsOf, makeGuestRoot, writeInto } from './guest-root.ts'
import type { Kernel } from './kernel.ts'

/** A system that runs from memory and from which a disk can be written. */
export interface Installer {
  kernel: string
  initrd: string
  /** Both on a CD that boots, as Flatcar publishes it. */
  iso: string
}

const unit = `[Unit]
Description=Ignition
Wants=network-online.target
After=network-online.target
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'if [ -e /usr/share/oem/config.ign ]; then exec ignition-run /usr/share/oem/config.ign; else exec ignition-run; fi'
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
`

/**
 * The installer: Debian in an initramfs in which systemd is process 1. It takes its own Ignition config as Flatcar's PXE
 * image does: from a cpio behind the initrd (usr/share/oem/config.ign), or from the URL on the kernel's command line.
 */
export function makeInstaller(
  debian: string,
  guest: string,
  kernel: Kernel,
  tell: (text: string) => void,
): Installer {
  const files = contentsOf(
    ...['flatcar-install', 'ignition-run'].map(name => join(guest, name)),
    join(import.meta.dirname, 'guest-root.js'),
    join(import.meta.dirname, 'installer.js'),
  )
  const folder = cached(
    'installer',
    { debian, kernel: kernel.version, files },
    made => {
      const root = join(made, 'root')
      makeGuestRoot(root, debian, guest, kernel)
      writeInto(root, {
        'etc/systemd/system/ignition.service': unit,
        'etc/systemd/system/ssh.service.d/after.conf':
          '[Unit]\nAfter=ignition.service\nRequires=ignition.service\n',
        'etc/os-release':
          'ID=flatcar\nNAME="Installer of the tests"\nPRETTY_NAME="Installer of the tests"\nVERSION_ID=4593.2.5\n',
      })
      symlinkSync(
        '/etc/systemd/system/ignition.service',
        join(root, 'etc/systemd/system/multi-user.target.wants/ignition.service'),
      )
      symlinkSync('usr/lib/systemd/systemd', join(root, 'init'))
      runWith(
        { cwd: root, timeoutMs: 300_000 },
        'sh',
        '-c',
        'find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --quiet | zstd -q -T0 -5 >../initrd',
      )
      rmSync(root, { recursive: true })
      copyFileSync(kernel.image, join(made, 'vmlinuz'))
      makeCd(made)
    },
    tell,
  )
  return { kernel: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd'), iso: join(folder, 'cd.iso') }
}

/** A CD in the shape of Flatcar's: ISOLINUX, its config in a folder of its own, Rock Ridge and Joliet; BIOS boots it. */
function makeCd(made: string): void {
  const tree = join(made, 'cd')
  writeInto(tree, {
    'isolinux/isolinux.cfg': 'INCLUDE /syslinux/syslinux.cfg\n',
    'syslinux/syslinux.cfg':
      'default flatcar\nprompt 1\ntimeout 15\n\nlabel flatcar\n  menu default\n  kernel /flatcar/vmlinuz\n  append initrd=/flatcar/cpio.gz console=ttyS0 quiet\n',
  })
  mkdirSync(join(tree, 'flatcar'))
  linkSync(join(made, 'vmlinuz'), join(tree, 'flatcar/vmlinuz'))
  linkSync(join(made, 'initrd'), join(tree, 'flatcar/cpio.gz'))
  copyFileSync('/usr/lib/ISOLINUX/isolinux.bin', join(tree, 'isolinux/isolinux.bin'))
  copyFileSync('/usr/lib/syslinux/modules/bios/ldlinux.c32', join(tree, 'isolinux/ldlinux.c32'))
  const boot = ['-b', 'isolinux/isolinux.bin', '-c', 'isolinux/boot.cat', '-no-emul-boot']
  const table = ['-boot-load-size', '4', '-boot-info-table']
  run(
    'xorriso',
    '-as',
    'mkisofs',
    '-quiet',
    '-l',
    '-r',
    '-J',
    '-o',
    join(made, 'cd.iso'),
    ...boot,
    ...table,
    tree,
  )
  rmSync(tree, { recursive: true })
}
