import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { NasState } from '../../src/lab/nas/state.ts'
import { World } from '../../src/lab/world.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'
import { connectBy } from '../lab/kubernetes/cluster.ts'
import {
  damageOf,
  failuresOf,
  faultsOf,
  type Home,
  homeOf,
  labFolder,
  labHere,
  rehearseAt,
  resumeAt,
} from '../recovery/home.ts'

// The class of the example makes btrfs, and neither Git nor a kubelet says what the old disks have.

/** A lab whose photos lie on something else. */
const photosOn = (fsType: string) => async (dir: string) => {
  if (!existsSync(join(dir, 'lab.json'))) {
    const { blueprint } = World.open(dir)
    const luns = blueprint.nas.luns.map(l => (l.claim === 'photos/library' ? { ...l, fsType } : l))
    World.create(dir, { ...blueprint, nas: { ...blueprint.nas, luns } })
  }
  return labHere(dir)
}

/** The file system that the PersistentVolume of the photos says in the cluster; undefined where there is none. */
async function boundAs(home: Home): Promise<string | undefined> {
  const lab = await labHere(labFolder(home))
  const { api, close } = connectBy(join(openRunFolder(stateFolder()).path, 'kubeconfig'))
  const volumes = await api.reader.list({ apiVersion: 'v1', kind: 'PersistentVolume' })
  await close()
  await lab.order('down')
  const specs = volumes.map(v => v.spec as { claimRef?: { name?: string }; csi?: { fsType?: string } })
  return specs.find(s => s.claimRef?.name === 'library')?.csi?.fsType
}

const edit = (home: Home, path: string, change: (text: string) => string) => {
  const file = join(home.file, '..', path)
  writeFileSync(file, change(readFileSync(file, 'utf8')))
}

test.for(['adopt', 'clone'])(
  'a disk comes back by %s with the file system that its clone shows, whatever its class makes now',
  async (strategy, context) => {
    const home = homeOf(context)
    edit(home, 'recover.yaml', t => t.replace('cache: new', `cache: new\n  photos/library: ${strategy}`))
    const run = await rehearseAt(home, { keep: photosOn('xfs') })
    expect(failuresOf(run)).toEqual({})
    expect(run.result?.state).toBe('finished')
    expect(await boundAs(home)).toBe('xfs')
    const cloned = strategy === 'clone' ? ['photos/library'] : []
    expect(damageOf(home, ['grafana/data', ...cloned])).toEqual([])
  },
)

test('Git’s own volume that says another file system than the disk has is told before anything is bound, and corrected', async context => {
  const home = homeOf(context)
  const claim = 'applications/photos/claim.yaml'
  const handle = '00000000-0000-4000-8000-000000000002'
  edit(
    home,
    claim,
    text => `${text}---
apiVersion: v1
kind: PersistentVolume
metadata: { name: photos-library }
spec:
  capacity: { storage: 200Gi }
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: synology-iscsi
  claimRef: { namespace: photos, name: library }
  csi:
    driver: csi.san.synology.com
    volumeHandle: ${handle}
    fsType: btrfs
    volumeAttributes: { dsm: 192.0.2.17, protocol: iscsi }
`,
  )
  const first = await rehearseAt(home, { keep: photosOn('xfs') })
  expect(failuresOf(first)).toEqual({ 'volumes/adopt[photos/library]': 'file-system-differs' })
  expect(faultsOf(first)).toMatchObject([
    {
      message: expect.stringMatching(
        /^the PersistentVolume photos-library in Git \(.*claim\.yaml:[\d:]+\) says that photos\/library has the file system btrfs, and its disk has xfs/,
      ),
      remedy: expect.stringContaining('`fsType: xfs`'),
    },
  ])
  expect(await boundAs(home)).toBeUndefined()
  edit(home, claim, text => text.replace('fsType: btrfs', 'fsType: xfs'))
  // Pushed to where the lab's Argo CD reads it from.
  const { dir, blueprint } = World.open(labFolder(home))
  const photos = JSON.stringify(blueprint.repository['applications/photos']).replace('btrfs', 'xfs')
  const repository = { ...blueprint.repository, 'applications/photos': JSON.parse(photos) }
  World.create(dir, { ...blueprint, repository })
  const second = await resumeAt(home, { accept: ['cluster-file'] })
  expect(failuresOf(second)).toEqual({})
  expect(second.result?.state).toBe('finished')
  expect(await boundAs(home)).toBe('xfs')
  expect(damageOf(home)).toEqual([])
})

test('a disk that no node can mount is told within seconds, in the words of mount, and read once it can be', async context => {
  const home = homeOf(context)
  const first = await rehearseAt(home, { keep: photosOn('crypto_LUKS') })
  expect(failuresOf(first)).toEqual({ 'volumes/measure[photos/library]': 'disk-not-mounted' })
  expect(faultsOf(first)).toMatchObject([
    { message: expect.stringContaining("unknown filesystem type 'crypto_LUKS'") },
  ])
  const world = World.open(labFolder(home))
  const nas = world.read<NasState>('nas')!
  for (const lun of nas.luns) if (lun.fsType === 'crypto_LUKS') lun.fsType = 'ext4'
  world.write('nas', nas)
  const second = await resumeAt(home)
  expect(failuresOf(second)).toEqual({})
  expect(second.result?.state).toBe('finished')
  expect(await boundAs(home)).toBe('ext4')
  expect(damageOf(home)).toEqual([])
})
