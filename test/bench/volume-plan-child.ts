import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromScratch } from '../../runbooks/from-scratch.ts'
import type { Readers } from '../../runbooks/kit.ts'
import type { Lun, Target } from '../../src/nas/nas.ts'
import { oneLook } from '../../src/nas/one-look.ts'
import { makePlan } from '../../src/runbook/make-plan.ts'

// The plan of a whole recovery with as many volumes as are asked for, by its own runbook: which LUN is whose, by Git and by
// the NAS, and six steps for each. What Git and the NAS say is in memory; there is no machine and no cluster yet, and of what
// else a home has nothing is there, so that some of the preflight stops. `node volume-plan-child.js COUNT FOLDER`.
const folder = process.argv[3] ?? '.'
const count = Number(process.argv[2])
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
  luns: async () => [...luns],
  targets: async () => [...targets],
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
  inventory: { claims, volumes, storageClasses: [] },
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

const plan = await makePlan({
  runbook: fromScratch,
  readers: { nas, cluster, run: { id: 'bench' }, evidence: {}, hosts: {}, kubernetes } as unknown as Readers,
  now: new AbortController().signal,
})
writeFileSync(join(folder, 'plan.json'), JSON.stringify(plan))
const perVolume = ['protect/snapshot', 'protect/fence', 'volumes/measure', 'volumes/adopt']
for (const step of perVolume) {
  const due = plan.entries.filter(e => e.step.startsWith(`${step}[`) && e.state === 'due').length
  if (due !== count) throw new Error(`${due} of ${count} volumes have ${step} to do`)
}
process.stdout.write(JSON.stringify({ entries: plan.entries.length }))
