import { join } from 'node:path'
import { cached } from './cache.ts'
import { run, runWith } from './commands.ts'
import { suite } from './debian-root.ts'
import { type Kernel, moduleFiles } from './kernel.ts'

const packages = ['acl', 'attr', 'libcap2-bin', 'nfs-kernel-server']

// Of these packages and what they need, only what a machine lacks that has the tests' Debian.
const files = [
  'bin/getfacl',
  'bin/setfacl',
  'etc/netconfig',
  'sbin/mount.nfs',
  'sbin/mount.nfs4',
  'sbin/rpcbind',
  'sbin/setcap',
  'usr/bin/getfattr',
  'usr/bin/setfattr',
  'usr/sbin/exportfs',
  'usr/sbin/rpc.mountd',
  'usr/sbin/rpc.nfsd',
  'usr/lib/x86_64-linux-gnu/libevent_core-2.1.so.7*',
  'usr/lib/x86_64-linux-gnu/libnfsidmap*',
  'usr/lib/x86_64-linux-gnu/libwrap.so.0*',
  'lib/x86_64-linux-gnu/libtirpc.so.3*',
]

const modules = ['nfsd', 'nfsv3', 'nfsv4', 'loop', 'ext4']

/** The kernel's NFS server and client, with their programs, as an archive to be unpacked over a machine of the tests. */
export function nfsParts(kernel: Kernel, tell: (text: string) => void): string {
  const folder = cached(
    'nfs',
    { suite, packages, files, modules, kernel: kernel.version },
    made => {
      const root = join(made, 'root')
      runWith(
        { timeoutMs: 10 * 60_000 },
        'mmdebstrap',
        '--quiet',
        '--mode=root',
        '--format=directory',
        '--variant=extract',
        '--dpkgopt=path-exclude=/usr/share/*',
        `--include=${packages.join(',')}`,
        suite,
        root,
        'http://deb.debian.org/debian',
      )
      const into = join(made, 'parts')
      // Debian has its programs in /usr and in /; a machine has one.
      run('sh', '-c', `mkdir "$2" && cd "$1" && cp -a --parents ${files.join(' ')} "$2"`, '-', root, into)
      run('sh', '-c', 'cd "$1" && for d in bin sbin lib; do cp -a $d usr/ && rm -r $d; done', '-', into)
      for (const file of moduleFiles(kernel, modules))
        run('install', '-D', file, join(into, 'usr', file.slice(kernel.folder.length + 1)))
      run('tar', '-C', into, '-czf', join(made, 'parts.tgz'), '.')
      run('rm', '-r', root, into)
    },
    tell,
  )
  return join(folder, 'parts.tgz')
}
