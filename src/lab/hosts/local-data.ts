import type { MachineState } from './machine-state.ts'

/** What the data script prints on an emulated machine, of the files that it has. */
export function machineData(state: MachineState, volumes: string[]): string {
  const sizes = Object.entries(state.files).map(
    ([path, file]) => [path, Buffer.byteLength(file.text)] as const,
  )
  const below = (dir: string) => sizes.filter(([path]) => path.startsWith(`${dir}/`))
  const out: string[] = []
  const data = (kind: string, dir: string): boolean => {
    const inside = below(dir)
    if (inside.length > 0)
      out.push(['data', kind, dir, dir, inside.reduce((sum, [, n]) => sum + n, 0)].join('\t'))
    return inside.length > 0
  }
  const inside = (kind: string, dir: string, prefix = '') => {
    if (!data(kind, dir)) return
    const names = new Set(
      below(`${dir}${prefix}`).map(([path]) => path.slice(dir.length + prefix.length + 1).split('/')[0]),
    )
    for (const name of names) out.push(`entry\t${kind}\t${dir}\t${name}`)
  }
  const files = (kind: string, wanted: (path: string) => boolean) => {
    for (const [path, bytes] of sizes) if (wanted(path)) out.push(`file\t${kind}\t${path}\t${bytes}`)
  }
  for (const dir of volumes) data('volume', dir)
  inside('local-path', '/opt/local-path-provisioner')
  inside('openebs', '/var/openebs/local')
  inside('longhorn', '/var/lib/longhorn', '/replicas')
  inside('rook', '/var/lib/rook')
  if (state.files['/var/lib/k0s/db/state.db']) data('kine', '/var/lib/k0s/db')
  files('kine', path => /^\/var\/lib\/k0s\/db\/state\.db(-wal|-shm)?$/.test(path))
  if (below('/var/lib/k0s/etcd/member').length > 0) data('etcd', '/var/lib/k0s/etcd')
  files('k0s-config', path => /^\/etc\/k0s\/[^/]+\.ya?ml$/.test(path))
  files('exports', path => path === '/etc/exports')
  for (const line of state.files['/etc/exports']?.text.split('\n') ?? []) {
    const dir = line.trim().split(/\s+/)[0] ?? ''
    if (dir.startsWith('/')) data('nfs', dir)
  }
  for (const dir of ['/var/db/tang', '/var/lib/tang']) {
    data('tang', dir)
    files('tang', path => path.startsWith(`${dir}/`) && path.endsWith('.jwk'))
  }
  files('iscsi', path => path.startsWith('/etc/iscsi/nodes/') || path === '/etc/iscsi/initiatorname.iscsi')
  const mounted = sizes.flatMap(
    ([path]) =>
      /^(\/.*\/kubelet\/pods\/([^/]+)\/volumes\/kubernetes\.io~csi\/.*\/vol_data\.json)$/.exec(path) ?? [],
  )
  files('kubelet', path => mounted.includes(path))
  const logs = new Set(sizes.flatMap(([path]) => /^\/var\/log\/pods\/([^/]+)\//.exec(path)?.[1] ?? []))
  for (const pod of logs) if (mounted.includes(pod.split('_').at(-1) ?? '')) out.push(`pod\t${pod}`)
  return [...out, 'end', ''].join('\n')
}

/**
 * What the script prints that looks into file systems which nothing has mounted: the old system lies on the last one of its
 * disk, and all others are empty.
 * @param oldFiles what it was born with, by path
 */
export function unmountedFiles(
  state: MachineState,
  oldFiles: Record<string, string>,
  args: string[],
): string {
  const given = args.slice(0, args.indexOf('--')).map(arg => arg.split(':')[0] ?? '')
  const volumes = args.slice(args.indexOf('--') + 1)
  const disk = state.disks.find(d => d.system === 'old-os')
  const root = disk && given.filter(device => device.startsWith(disk.kernelName)).at(-1)
  const born = Object.entries(oldFiles).map(([path, text]) => [path, { text, mode: '0600' }])
  const files = disk?.kept?.files ?? Object.fromEntries(born)
  const out = given.map(device =>
    device === root
      ? `opened\t${device}\nroot\t${device}\n${machineData({ ...state, files }, volumes)}`
      : `opened\t${device}\n`,
  )
  return `${out.join('')}end\n`
}

/** What the fetch script prints of the files that it was asked for. */
export function fetchedFiles(state: MachineState, paths: string[]): string {
  const found = paths.flatMap(path => {
    const file = state.files[path]
    return file ? [`file ${path}\n${Buffer.from(file.text).toString('base64')}\n`] : []
  })
  return `${found.join('')}end\n`
}
