import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run, runWith } from './commands.ts'

/** Debian's kernel for virtual machines, unpacked and not installed. */
export interface Kernel {
  version: string
  image: string
  /** Holds lib/modules/VERSION. */
  folder: string
}

/** Fetches it by apt, which checks its signature. */
export function debianKernel(tell: (text: string) => void): Kernel {
  const name = /linux-image-\S+/.exec(
    run('apt-cache', 'depends', 'linux-image-cloud-amd64').replace('linux-image-cloud-amd64', ''),
  )?.[0]
  if (name === undefined) throw new Error('apt knows no linux-image-cloud-amd64')
  const folder = cached(
    'kernel',
    { name },
    made => {
      runWith({ cwd: made, timeoutMs: 300_000 }, 'apt-get', 'download', '-o', 'APT::Sandbox::User=root', name)
      const deb = readdirSync(made).find(file => file.endsWith('.deb'))!
      run('dpkg-deb', '-x', join(made, deb), made)
      run('rm', join(made, deb))
      run('depmod', '-b', made, name.replace('linux-image-', ''))
    },
    tell,
  )
  const version = name.replace('linux-image-', '')
  return { version, image: join(folder, `boot/vmlinuz-${version}`), folder }
}

/** Files of modules and of what they need, in the order in which they are loaded. */
export function moduleFiles(kernel: Kernel, modules: readonly string[]): string[] {
  const all = modules.flatMap(name =>
    run('modprobe', '-d', kernel.folder, '-S', kernel.version, '--show-depends', name)
      .split('\n')
      .filter(line => line.startsWith('insmod '))
      .map(line => line.split(' ')[1]!),
  )
  return [...new Set(all)]
}
