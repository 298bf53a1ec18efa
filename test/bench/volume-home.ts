import type { Readers } from '../../runbooks/kit.ts'
import type { Lun, Target } from '../../src/nas/nas.ts'
import { oneLook } from '../../src/nas/one-look.ts'

/**
 * A home with as many volumes as are asked for, in memory: what Git and the NAS say of them. There is no machine and no
 * cluster yet, and of what else a home has nothing is there, so that some of the preflight stops.
 * @param folder where its repository is said to be
 * @param watch is given each list that grows with the volumes, and gives what stands for it
 */
export function homeOf(count: number, folder: string, watch: <T>(list: T[]) => T[] = list => list): Readers {
  const id = (i: number) => `${String(i).padStart(8, '0')}-1111-4222-8333-444455556666`
  const numbers = Array.from({ length: count }, (_, i) => i)
  const luns = numbers.map(
    (i): Lun => ({
      uuid: id(i),
      name: `k8s-csi-pvc-${id(i)}`,
      sizeBytes: 2 ** 30,
      description: `home/claim-${i}`,
      location: '/volume1',
      status: 'normal',
      locked: false,
    }),
  )
  const targets = numbers.map(
    (i): Target => ({
      id: i + 1,
      name: `k8s-csi-pvc-${id(i)}`,
      iqn: `iqn.2000-01.com.synology:nas.pvc-${id(i)}`,
      enabled: true,
      mappings: [{ lun: id(i), index: 1 }],
      sessions: [],
      maxSessions: 1,
      authenticated: false,
    }),
  )
  const nas = oneLook({
    describe: async () => ({
      model: 'made up',
      hostname: 'nas',
      volumes: [
        { path: '/volume1', fileSystem: 'btrfs', status: 'normal', sizeBytes: 2 ** 50, freeBytes: 2 ** 49 },
      ],
      limits: { luns: 0, targets: 0, snapshotsPerLun: 256 },
      can: { snapshots: true, clones: true, driver: 'csi.san.synology.com', lacks: [] },
    }),
    luns: async () => watch([...luns]),
    targets: async () => watch([...targets]),
    shares: async () => [],
    shareSnapshots: async () => [],
    snapshots: async () => [],
  })
  const claims = numbers.map(i => ({
    id: `home/claim-${i}`,
    namespace: 'home',
    name: `claim-${i}`,
    sizeBytes: 2 ** 30,
    accessModes: ['ReadWriteOnce'],
    storageClass: 'synology-iscsi',
    owners: [],
    folder: 'home',
    labels: {},
    annotations: {},
    at: `home/claims.yaml:${i}`,
  }))
  const volumes = numbers.map(i => ({
    name: `pvc-${id(i)}`,
    claim: `home/claim-${i}`,
    driver: 'csi.san.synology.com',
    handle: id(i),
    fsType: 'btrfs',
    attributes: { protocol: 'iscsi' },
    at: `home/volumes.yaml:${i}`,
  }))
  const cluster = {
    entry: { nas: { synology: '' }, gitops: { repository: '.' }, volumes: { default: 'adopt' } },
    inventory: { claims: watch(claims), volumes: watch(volumes), storageClasses: [] },
    applications: [],
    applicationSets: [],
    bootstrap: [],
    evidence: [],
    k0sctl: { hosts: [] },
    resolve: () => folder,
    strategy: () => 'adopt',
  }

  /** A cluster that has nothing. */
  const kubernetes = { get: async () => undefined, list: async () => [] }
  return { nas, cluster, run: { id: 'bench' }, evidence: {}, hosts: {}, kubernetes } as unknown as Readers
}
