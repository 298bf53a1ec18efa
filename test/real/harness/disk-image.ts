import {
  chmodSync,
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

/** Partitions in mebibytes, numbered as Flatcar numbers its own. */
const esp = { number: 1, start: 1, size: 24 }
const oem = { number: 6, start: esp.start + esp.size, size: 8 }
const rootStart = oem.start + oem.size
/** The second partition table lies behind the last partition. */
const behind = 1

/** What /etc/os-release of the installed system says. */
export const imageVersion = '4593.2.5'

/** A system image as a release of Flatcar has it: the whole disk, compressed by bzip2. */
export interface SystemImageFile {
  compressed: string
}

const updaters = ['update-engine', 'locksmithd']

const kernelArguments = 'console=ttyS0 quiet panic=10'

/** For SYSLINUX, which BIOS starts, and for systemd-boot, which UEFI starts. */
const loaderConfigs = {
  'syslinux.cfg': `DEFAULT disk\nPROMPT 0\nTIMEOUT 1\nLABEL disk\n  LINUX /vmlinuz\n  INITRD /initrd\n  APPEND ${kernelArguments}\n`,
  'loader/loader.conf': 'default disk.conf\ntimeout 0\n',
  'loader/entries/disk.conf': `title disk\nlinux /vmlinuz\ninitrd /initrd\noptions ${kernelArguments}\n`,
}

/**
 * A small Debian in the shape of Flatcar's image: an EFI system partition from which BIOS and UEFI boot alike, a partition
 * OEM on which the installer leaves config.ign, and an ext4 ROOT. Its initramfs does what Flatcar's does at a first boot:
 * Ignition's own engine makes the system; and after flatcar-reset: what is not the release's goes.
 */
export function makeDiskImage(
  debian: string,
  guest: string,
  kernel: Kernel,
  tell: (text: string) => void,
): SystemImageFile {
  const files = contentsOf(
    ...['disk-init', 'ignition-run', 'flatcar-install', 'flatcar-reset'].map(name => join(guest, name)),
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
        // Makes systemd obey the presets that Ignition writes, once.
        'etc/machine-id': 'uninitialized\n',
      })
      copyFileSync(join(guest, 'flatcar-reset'), join(root, 'usr/bin/flatcar-reset'))
      chmodSync(join(root, 'usr/bin/flatcar-reset'), 0o755)
      keepFresh(root)
      const used = Number(run('du', '-sm', '--apparent-size', root).split('\t')[0])
      const rootSize = Math.ceil(used * 1.25) + 48
      const image = join(made, 'image')
      run('truncate', '--size', `${rootStart + rootSize + behind}M`, image)
      const table = [
        'label: gpt',
        // BIOS has no word for it: gptmbr.bin starts what has this mark.
        `${esp.number} : start=${esp.start}MiB, size=${esp.size}MiB, type=U, name=EFI-SYSTEM, attrs=LegacyBIOSBootable`,
        `${oem.number} : start=${oem.start}MiB, size=${oem.size}MiB, type=L, name=OEM`,
        `9 : start=${rootStart}MiB, size=${rootSize}MiB, type=L, name=ROOT`,
      ]
      runWith({ input: `${table.join('\n')}\n` }, 'sfdisk', '--quiet', image)
      const disk = openSync(image, 'r+')
      writeSync(disk, readFileSync('/usr/lib/syslinux/mbr/gptmbr.bin').subarray(0, 440), 0, 440, 0)
      closeSync(disk)
      const put = (part: string, start: number) => {
        run('dd', `if=${part}`, `of=${image}`, 'bs=1M', `seek=${start}`, 'conv=notrunc,sparse', 'status=none')
        rmSync(part)
      }
      const fileSystem = (label: string, size: number, ...from: string[]) => {
        const part = join(made, label)
        run('mke2fs', '-q', '-F', '-t', 'ext4', '-L', label, ...from, part, `${size}M`)
        return part
      }
      put(makeSystemPartition(made, guest, kernel), esp.start)
      put(fileSystem('OEM', oem.size), oem.start)
      put(fileSystem('ROOT', rootSize, '-d', root), rootStart)
      runWith(
        { timeoutMs: 300_000 },
        'sh',
        '-c',
        'lbzip2 -1 <"$1" >"$2"',
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

/** The release's own state of all that a reset takes away; Flatcar has it on a partition of its own. */
function keepFresh(root: string): void {
  const at = join(root, 'usr/share/flatcar')
  mkdirSync(at, { recursive: true })
  const kept = ['usr', 'boot', 'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']
  run('tar', '-C', root, ...kept.map(name => `--exclude=./${name}`), '-cf', join(at, 'fresh.tar'), '.')
}

/** The EFI system partition: kernel, initramfs, and a boot loader for each firmware. */
function makeSystemPartition(made: string, guest: string, kernel: Kernel): string {
  const part = join(made, 'EFI-SYSTEM')
  const tree = join(made, 'esp')
  writeInto(tree, loaderConfigs)
  copyFileSync(kernel.image, join(tree, 'vmlinuz'))
  makeInitramfs(made, join(tree, 'initrd'), guest, kernel)
  mkdirSync(join(tree, 'EFI/BOOT'), { recursive: true })
  copyFileSync('/usr/lib/systemd/boot/efi/systemd-bootx64.efi', join(tree, 'EFI/BOOT/BOOTX64.EFI'))
  run('truncate', '--size', `${esp.size}M`, part)
  // By these programs alone: kernels of machines for continuous integration mount no FAT.
  run('mkfs.fat', '-n', 'EFI-SYSTEM', '-h', String(esp.start * 2048), part)
  run('sh', '-c', 'cd "$1" && mcopy -s -i "$2" * ::', '-', tree, part)
  run('syslinux', '--install', part)
  rmSync(tree, { recursive: true })
  return part
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
