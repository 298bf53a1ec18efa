import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run, runWith } from './commands.ts'
import { contentsOf, diskModules, makeGuestRoot, writeInto } from './guest-root.ts'
import { type Kernel, moduleFiles } from './kernel.ts'

const mebibyte = 1 << 20
const oemStart = 1
const oemSize = 8
const rootStart = oemStart + oemSize

/** What /etc/os-release of the installed system says. */
export const imageVersion = '4593.2.5'

/** A system image as a release of Flatcar has it: the whole disk, compressed by bzip2. */
export interface SystemImageFile {
  compressed: string
}

const updaters = ['update-engine', 'locksmithd']

const bootMenu = `DEFAULT disk
PROMPT 0
TIMEOUT 1
LABEL disk
  LINUX /boot/vmlinuz
  INITRD /boot/initrd
  APPEND console=ttyS0 quiet panic=10
`

/**
 * A small Debian in the shape of Flatcar's image: a partition OEM on which the installer leaves config.ign, and a
 * bootable ext4 ROOT, whose initramfs lets the real Ignition apply it at the first boot. Boots by BIOS.
 */
export function makeDiskImage(
  debian: string,
  guest: string,
  kernel: Kernel,
  tell: (text: string) => void,
): SystemImageFile {
  const files = contentsOf(
    ...['disk-init', 'ignition-run', 'flatcar-install'].map(name => join(guest, name)),
    join(import.meta.dirname, 'guest-root.js'),
    join(import.meta.dirname, 'disk-image.js'),
  )
  const folder = cached(
    'image',
    { debian, kernel: kernel.version, files },
    made => {
      const root = join(made, 'root')
      makeGuestRoot(root, debian, guest, kernel)
      writeInto(root, {
        'etc/os-release': `ID=flatcar\nNAME="Debian in the shape of Flatcar"\nPRETTY_NAME="Debian in the shape of Flatcar"\nVERSION_ID=${imageVersion}\n`,
        // What would update and reboot a Flatcar in the middle of everything.
        ...Object.fromEntries(
          updaters.map(name => [
            `etc/systemd/system/${name}.service`,
            '[Service]\nExecStart=/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n',
          ]),
        ),
        'usr/lib/systemd/system-preset/40-updaters.preset': updaters
          .map(name => `enable ${name}.service\n`)
          .join(''),
        'boot/flatcar/first_boot': '',
        'boot/extlinux/extlinux.conf': bootMenu,
        // Makes systemd obey the presets that Ignition writes, once.
        'etc/machine-id': 'uninitialized\n',
      })
      copyFileSync(kernel.image, join(root, 'boot/vmlinuz'))
      makeInitramfs(made, join(root, 'boot/initrd'), guest, kernel)
      const used = Number(run('du', '-sm', '--apparent-size', root).split('\t')[0])
      const rootSize = Math.ceil(used * 1.25) + 48
      const image = join(made, 'image')
      run('truncate', '--size', `${rootStart + rootSize}M`, image)
      runWith(
        {
          input: `label: dos\nstart=${oemStart}MiB, size=${oemSize}MiB, type=83\nstart=${rootStart}MiB, type=83, bootable\n`,
        },
        'sfdisk',
        '--quiet',
        image,
      )
      const disk = openSync(image, 'r+')
      writeSync(disk, readFileSync('/usr/lib/syslinux/mbr/mbr.bin').subarray(0, 440), 0, 440, 0)
      closeSync(disk)
      const fileSystem = (label: string, start: number, size: number, ...from: string[]) => {
        const part = join(made, label)
        run(
          'mke2fs',
          '-q',
          // extlinux does not read a kernel that lies in many groups of small blocks.
          ...['-b', '4096'],
          '-F',
          '-t',
          'ext4',
          '-O',
          '^metadata_csum,^64bit',
          '-L',
          label,
          ...from,
          part,
          `${size}M`,
        )
        run('dd', `if=${part}`, `of=${image}`, 'bs=1M', `seek=${start}`, 'conv=notrunc,sparse', 'status=none')
        rmSync(part)
      }
      fileSystem('OEM', oemStart, oemSize)
      fileSystem('ROOT', rootStart, rootSize, '-d', root)
      installLoader(image)
      runWith(
        { timeoutMs: 300_000 },
        'sh',
        '-c',
        'lbzip2 -9 <"$1" >"$2"',
        '-',
        image,
        join(made, 'image.bin.bz2'),
      )
      rmSync(image)
      rmSync(root, { recursive: true })
    },
    tell,
  )
  return { compressed: join(folder, 'image.bin.bz2') }
}

/** Busybox and the modules without which ROOT cannot be mounted. */
function makeInitramfs(made: string, initrd: string, guest: string, kernel: Kernel): void {
  const root = mkdtempSync(join(made, 'initramfs-'))
  for (const name of ['bin', 'dev', 'proc', 'sys', 'newroot', 'modules']) mkdirSync(join(root, name))
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  run('chroot', root, '/bin/busybox', '--install', '-s', '/bin')
  for (const [i, file] of moduleFiles(kernel, diskModules).entries())
    copyFileSync(file, join(root, 'modules', `${String(i).padStart(2, '0')}.ko`))
  writeFileSync(join(root, 'init'), readFileSync(join(guest, 'disk-init')), { mode: 0o755 })
  runWith({ cwd: root }, 'sh', '-c', 'find . | cpio -o -H newc --quiet | zstd -q >"$1"', '-', initrd)
  rmSync(root, { recursive: true })
}

function installLoader(image: string): void {
  const loop = run('losetup', '--find', '--show', '--offset', String(rootStart * mebibyte), image).trim()
  const at = mkdtempSync('/tmp/recover-real-image-')
  try {
    run('mount', loop, at)
    run('extlinux', '--install', join(at, 'boot/extlinux'))
  } finally {
    run('umount', at)
    run('losetup', '--detach', loop)
    rmSync(at, { recursive: true })
  }
}
