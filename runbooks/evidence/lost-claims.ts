import type { Cluster } from '../../src/cluster/load.ts'
import type { LocalData } from '../../src/hosts/local-data.ts'

/** Directories of PersistentVolumes in Git that lie on a host's own disks. */
export function volumePaths({ inventory }: Cluster, host: string): string[] {
  return inventory.volumes.flatMap(v => (v.path !== undefined && isOn(v.nodes, host) ? [v.path] : []))
}

/** Claims whose data this is: by their PersistentVolume in Git, by the name of their directory, or by their class. */
export function claimsOf(data: LocalData, { inventory }: Cluster, host: string): string[] {
  const here = inventory.volumes.filter(v => v.path !== undefined && isOn(v.nodes, host))
  const named = here.filter(
    v => v.path === data.path || data.entries.includes(v.name) || v.path?.startsWith(`${data.path}/`),
  )
  // local-path calls its directories pvc-UID_NAMESPACE_CLAIM.
  const spoken = data.entries.flatMap(entry => {
    const match = /^pvc-[0-9a-f-]{36}_([^_]+)_(.+)$/.exec(entry)
    return match ? [`${match[1]}/${match[2]}`] : []
  })
  const found = [...named.flatMap(v => v.claim ?? []), ...spoken]
  if (found.length > 0) return [...new Set(found)].sort()
  const provisioner = provisioners[data.kind]
  if (provisioner === undefined) return []
  const classes = inventory.storageClasses.filter(c => provisioner.test(c.provisioner)).map(c => c.name)
  return inventory.claims
    .filter(
      c =>
        c.storageClass !== undefined &&
        (classes.includes(c.storageClass) || provisioner.test(c.storageClass)),
    )
    .map(c => c.id)
    .sort()
}

/** Who makes volumes of a kind, as its StorageClass says, or as people call the class where it is not in Git. */
const provisioners: Partial<Record<LocalData['kind'], RegExp>> = {
  'local-path': /local-path/,
  openebs: /openebs/,
  longhorn: /longhorn/,
  rook: /ceph|rook/,
  ceph: /ceph|rook/,
  lvm: /topolvm|lvm/,
}

function isOn(nodes: string[] | undefined, host: string): boolean {
  return nodes === undefined || nodes.length === 0 || nodes.includes(host)
}
