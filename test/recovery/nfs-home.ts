import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The share that holds the photos, and the PersistentVolume that it was. */
export const uuid = '77f97c58-1111-4222-8333-444455556666'
export const pv = 'pvc-77f97c58-db4d-4205-8a11-444455556666'

/** The example with its photos on a shared folder, as the CSI driver makes one for a class of NFS. */
export function withPhotosOnNfs(home: { file: string }): void {
  const at = (path: string) => join(home.file, '..', 'applications', path)
  const claim = readFileSync(at('photos/claim.yaml'), 'utf8')
  writeFileSync(at('photos/claim.yaml'), claim.replace('synology-iscsi', 'synology-nfs'))
  appendFileSync(
    at('synology-csi/storage-class.yaml'),
    `---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: synology-nfs
provisioner: csi.san.synology.com
parameters: { dsm: 192.0.2.17, location: /volume1, protocol: nfs, mountPermissions: '0755' }
reclaimPolicy: Retain
`,
  )
}

/** Git says which share it is; `own: false` where the person settles it, and Git has no volume that leads to it. */
export function withVolumeInGit(home: { file: string }, { own = true } = {}): void {
  if (!own) {
    appendFileSync(home.file, `luns: { photos/library: ${uuid} }\n`)
    return
  }
  appendFileSync(
    join(home.file, '..', 'applications/photos/claim.yaml'),
    `---
apiVersion: v1
kind: PersistentVolume
metadata: { name: ${pv} }
spec:
  capacity: { storage: 200Gi }
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: synology-nfs
  claimRef: { namespace: photos, name: library }
  csi:
    driver: csi.san.synology.com
    volumeHandle: ${uuid}
    volumeAttributes:
      dsm: 192.0.2.17
      protocol: nfs
      source: //192.0.2.17/${`k8s-csi-${pv}`.slice(0, 32)}
      baseDir: /volume1/${`k8s-csi-${pv}`.slice(0, 32)}
`,
  )
}
