import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listVolumesFrom } from '../../runbooks/list-volumes.ts'
import { readNamed } from '../../runbooks/volume-sources.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import { measureFolder } from '../../src/lab/nodes/job-programs.ts'
import { World } from '../../src/lab/world.ts'
import { showVolumes } from '../../src/views/volumes.ts'
import {
  applied,
  failuresOf,
  type Home,
  homeOf,
  labFolder,
  recordsNow,
  rehearseAt,
} from '../recovery/home.ts'
import { pv, uuid, withPhotosOnNfs, withVolumeInGit } from '../recovery/nfs-home.ts'

const listed = (home: Home) =>
  listVolumesFrom({ where: home.file, from: [], offline: true, now: new AbortController().signal })
/** Says by which strategy the photos come back. */
const bring = (home: Home, strategy: string) =>
  writeFileSync(
    home.file,
    readFileSync(home.file, 'utf8').replace('cache: new', `cache: new\n  photos/library: ${strategy}`),
  )
const photos = async (home: Home) => (await listed(home)).volumes.find(v => v.claim === 'photos/library')

test('a claim on a shared folder is listed as one, and no LUN is asked for', async context => {
  const home = homeOf(context)
  withPhotosOnNfs(home)
  // Nobody knows which it is: its class alone says that it is none of the LUNs.
  expect(await photos(home)).toMatchObject({
    protocol: 'nfs',
    luns: [],
    verdict: 'no-lun',
    says: 'no source says which share it is on',
    question: expect.stringMatching(/^Which share holds the data of photos\/library\?/),
  })
  withVolumeInGit(home)
  expect(await photos(home)).toMatchObject({
    protocol: 'nfs',
    luns: [{ lun: uuid, sources: ['git'] }],
    verdict: 'one-source',
    question: expect.stringMatching(`^Is ${uuid} the share of photos/library\\?`),
  })
  appendFileSync(home.file, `luns: { photos/library: ${uuid} }\n`)
  expect(await photos(home)).toMatchObject({
    verdict: 'settled',
    strategy: 'adopt',
    says: 'adopt',
  })
  expect(await photos(home)).not.toHaveProperty('question')
  for (const columns of [100, 200]) {
    const shown = showVolumes(await listed(home), { columns, colour: false })
    expect(shown).toContain(`NFS share ${uuid}`)
    expect(shown.includes('LUN OR SHARE')).toBe(columns === 200)
  }
  bring(home, 'new')
  expect(await photos(home)).toMatchObject({
    says: 'is left to Git, whose PersistentVolume leads to its share',
  })
})

test('a run stops at a claim that cannot come back from its share before anything is changed, and says the way out', async context => {
  const home = homeOf(context)
  withPhotosOnNfs(home)
  withVolumeInGit(home)
  bring(home, 'host-copy')
  expect(await photos(home)).toMatchObject({ strategy: 'host-copy' })
  const run = await rehearseAt(home)
  expect(failuresOf(run)).toEqual({ 'evidence/map-volumes': 'volume-on-share' })
  const told = run.result?.failures.find(f => f.step === 'evidence/map-volumes')
  expect(told?.fault).toMatchObject({
    message: expect.stringContaining(
      `photos/library is on the shared folder ${`k8s-csi-${pv}`.slice(0, 32)} of the NAS and cannot come back by host-copy; by its NFS rules 192.0.2.11, 192.0.2.12 may write to it`,
    ),
    remedy: expect.stringContaining('Its files stay where they are'),
  })
  // What the machines know is kept, on this computer.
  expect(applied(run).filter(step => !step.startsWith('evidence/keep-host-files'))).toEqual([])
})

test('a claim on a share of SMB is listed as one, and a run stops at it, says why and names the way out', async context => {
  const home = homeOf(context)
  withPhotosOnNfs(home)
  withVolumeInGit(home)
  for (const file of ['photos/claim.yaml', 'synology-csi/storage-class.yaml']) {
    const path = join(home.file, '..', 'applications', file)
    writeFileSync(path, readFileSync(path, 'utf8').replace('protocol: nfs', 'protocol: smb'))
  }
  expect(await photos(home)).toMatchObject({ protocol: 'smb', luns: [{ lun: uuid, sources: ['git'] }] })
  expect(showVolumes(await listed(home), { columns: 200, colour: false })).toContain(`SMB share ${uuid}`)
  const run = await rehearseAt(home)
  expect(failuresOf(run)).toEqual({ 'evidence/map-volumes': 'volume-on-share' })
  expect(run.result?.failures[0]?.fault).toMatchObject({
    message: expect.stringContaining('of the NAS, by SMB, and cannot come back by adopt'),
    remedy: expect.stringMatching(/those of SMB can be neither fenced nor mounted from here.*say `new`/),
  })
  expect(applied(run).filter(step => !step.startsWith('evidence/keep-host-files'))).toEqual([])
})

test('the way out: left to Git, the claim has its share again with every file, and one of that class without a share gets a new one', async context => {
  const home = homeOf(context)
  withPhotosOnNfs(home)
  withVolumeInGit(home)
  bring(home, 'new')
  const cache = join(home.file, '..', 'applications/scratch/claim.yaml')
  writeFileSync(cache, readFileSync(cache, 'utf8').replace('synology-iscsi', 'synology-nfs'))
  const run = await rehearseAt(home)
  // Among its checks: what photos answers and has in its pod is what was on the share.
  expect([failuresOf(run), run.result?.state]).toEqual([{}, 'finished'])
  const remains = recordsNow().find(r => r.kind === 'checkpoint' && r.step === 'proof/what-remains')
  expect(JSON.stringify(remains)).toContain('photos/library was left to Git')
  expect(JSON.stringify(remains)).toContain('scratch/cache began empty')
  const world = World.open(labFolder(home))
  const { shares = [] } = world.read<NasState>('nas')!
  expect(shares.map(s => [s.uuid === uuid, s.rules.length])).toEqual([
    [true, 2],
    [false, 2],
  ])
  const filesOf = (of: string) => readdirSync(world.path('nas', 'shares', of)).sort()
  expect(shares.map(s => filesOf(s.uuid))).toEqual([
    ['README.txt', 'data'],
    ['#recycle', 'initialised.txt'],
  ])
})

// Whom the rules of each share let write at the end: the old one first.
test.for([
  { strategy: 'adopt', writers: [2] },
  { strategy: 'clone', writers: [0, 2] },
  { strategy: 'copy', writers: [0, 2] },
])(
  'by $strategy a claim on a share of NFS comes back, proven, fenced and with a way back',
  async (how, context) => {
    const { strategy, writers } = how
    const home = homeOf(context)
    withPhotosOnNfs(home)
    withVolumeInGit(home, { own: strategy !== 'clone' })
    bring(home, strategy)
    const run = await rehearseAt(home)
    expect([failuresOf(run), run.result?.state]).toEqual([{}, 'finished'])
    const of = (step: string) => recordsNow().findLast(r => r.kind === 'checkpoint' && r.step === step)
    expect(of('protect/fence[photos/library]')).toMatchObject({
      evidence: expect.stringContaining('let nobody in; who has it mounted DSM does not tell'),
    })
    expect(of('volumes/verify[photos/library]')).toMatchObject({
      evidence: expect.stringMatching(/^photos\/library holds the same 4 files as before, sha256 /),
    })
    const world = World.open(labFolder(home))
    const nas = world.read<NasState>('nas')!
    const shares = nas.shares ?? []
    expect(shares.map(s => s.rules.filter(r => r.privilege === 'rw').length)).toEqual(writers)
    // The old share and its snapshot hold what they held, and so does what the claim is on now.
    const [old] = shares
    expect(old?.snapshots).toMatchObject([{ description: expect.stringMatching(/^recover-/), locked: true }])
    const before = measureFolder(world.path('nas', 'snapshots', old?.snapshots[0]?.uuid ?? ''))
    for (const { uuid } of shares) expect(measureFolder(world.path('nas', 'shares', uuid))).toEqual(before)
    // The run is itself evidence for the next one, by its journal alone.
    const source = `run:${join(labFolder(home), '..')}`
    const { testimonies } = await readNamed(source, new AbortController().signal)
    expect(testimonies.find(t => t.claim === 'photos/library' && t.repeats === undefined)).toMatchObject({
      source,
      lun: strategy === 'adopt' ? uuid : shares[1]?.uuid,
    })
    expect(testimonies.filter(t => t.lun === uuid).map(t => t.repeats)).toContain('nas')
    // Nothing that was made for a while is left over.
    expect([...shares, ...nas.luns].filter(d => d.name.startsWith('k8s-csi-recover-'))).toEqual([])
    expect(readdirSync(world.path('nas', 'shares'))).toHaveLength(shares.length)
  },
)

test('what was on a LUN is copied to a share, and what that cannot carry is said before', async context => {
  const home = homeOf(context)
  withPhotosOnNfs(home)
  bring(home, 'copy')
  const lun = '00000000-0000-4000-8000-000000000002'
  appendFileSync(home.file, `luns: { photos/library: ${lun} }\n`)
  const dueOf = async () => {
    const planned = await rehearseAt(home)
    expect([failuresOf(planned), planned.result?.state]).toEqual([{}, 'finished'])
    return JSON.stringify(
      recordsNow().find(r => r.kind === 'intent' && r.step === 'volumes/copy[photos/library]'),
    )
  }
  expect(await dueOf()).toContain('the first file that has any ends the copy')
  const world = World.open(labFolder(home))
  const { shares = [] } = world.read<NasState>('nas')!
  const filesOf = (disk: string) => measureFolder(world.path('nas', disk))
  expect(shares).toHaveLength(1)
  expect(filesOf(`shares/${shares[0]?.uuid}`)).toEqual(filesOf(`luns/${lun}`))
})
