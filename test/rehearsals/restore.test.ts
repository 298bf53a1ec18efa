import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { checkArchive } from '../../runbooks/preflight/check-archive.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import { measureFolder } from '../../src/lab/nodes/job-programs.ts'
import { World } from '../../src/lab/world.ts'
import {
  applied,
  damageOf,
  failuresOf,
  faultsOf,
  homeOf,
  labFolder,
  recordsNow,
  rehearseAt,
  resumeAt,
  yes,
} from '../recovery/home.ts'
import { uuid as share } from '../recovery/nfs-home.ts'
import { owners, restoreFrom, restoreWithShareFrom, scaleToNothing } from '../recovery/restored-home.ts'
import { archivedUid, k0sArchive } from '../volumes/k0s-archive.ts'

const checkpoints = () => recordsNow().flatMap(r => (r.kind === 'checkpoint' ? [r] : []))
const archive = 'kubernetes/restore[./k0s_backup.tar.gz]'

test('the control plane comes back from its archive, agreed to by name and known by its UID, and everything after it', async context => {
  const home = homeOf(context)
  await restoreFrom(home.file)
  const asked: string[][] = []
  const run = await rehearseAt(home, {
    practise: true,
    consent: async ({ victims }) => {
      asked.push(victims.map(v => `${v.kind} ${v.name}`))
      const plane = victims.find(v => v.kind === 'control plane')
      expect(plane?.identity).toMatchObject({ cluster: archivedUid, archive: './k0s_backup.tar.gz' })
      expect(plane?.remarks?.join()).toContain('helium come back as nodes without a machine')
      return yes
    },
  })
  expect(failuresOf(run)).toEqual({})
  expect(run.result?.state).toBe('finished')
  // Asked before anything was begun, with the disks.
  expect(asked[0]).toContain('control plane lithium')
  const of = (step: string) => checkpoints().find(c => c.step === step)
  expect(of(archive)?.output).toEqual({ clusterUid: archivedUid })
  expect(of('kubernetes/kubeconfig')?.output).toMatchObject({ clusterUid: archivedUid })
  // hydrogen was a node from the first moment on, and was joined all the same.
  expect(applied(run)).toContain('kubernetes/workers')
  expect(of('proof/what-remains')?.evidence).toContain('`kubectl delete node helium`')
  expect(damageOf(home, [])).toEqual([])
})

test('an archive that is cut off ends the run before a machine is touched', async context => {
  const home = homeOf(context)
  await restoreFrom(home.file)
  const file = join(home.file, '..', 'k0s_backup.tar.gz')
  writeFileSync(file, readFileSync(file).subarray(0, 2_000))
  const run = await rehearseAt(home)
  expect(failuresOf(run)).toMatchObject({
    'preflight/check-archive[./k0s_backup.tar.gz]': 'database-damaged',
  })
  expect(applied(run).filter(step => /^(?:hosts|kubernetes)\//.test(step))).toEqual([])
})

test('an archive of another cluster than the one that died ends it before a disk is written', async context => {
  const home = homeOf(context)
  await restoreFrom(home.file)
  const fixture = new URL('../volumes/datastore/fixtures/kine-state-backup.db.gz', import.meta.url)
  const database = gunzipSync(readFileSync(fixture))
  const other = archivedUid.replace(/^\w{8}/, 'deadbeef')
  database.write(other, database.indexOf(archivedUid))
  writeFileSync(join(home.file, '..', 'state.db'), database)
  appendFileSync(home.file, 'evidence: [kine:./state.db]\n')
  const run = await rehearseAt(home)
  expect(failuresOf(run)).toMatchObject({ 'evidence/former-cluster': 'restore-other-cluster' })
  expect(
    faultsOf(run)
      .map(f => f.message)
      .join(),
  ).toContain(`${other} (kine:./state.db)`)
  expect(applied(run).filter(step => /^(?:hosts|kubernetes)\//.test(step))).toEqual([])
})

test('an archive that is exchanged after it was agreed to is not restored', async context => {
  const home = homeOf(context)
  await restoreFrom(home.file)
  const run = await rehearseAt(home, {
    practise: true,
    consent: async () => {
      await k0sArchive(join(home.file, '..', 'k0s_backup.tar.gz'), { config: 'spec: { api: {} }\n' })
      return yes
    },
  })
  expect(failuresOf(run)).toEqual({ [archive]: 'victim-differs' })
})

test('what is in an archive must fit what k0sctl.yaml makes of it', async context => {
  const { file } = homeOf(context)
  await restoreFrom(file)
  const config = join(file, '..', 'k0sctl.yaml')
  const text = readFileSync(config, 'utf8')
  const look = async (change: (text: string) => string, packed = {}) => {
    writeFileSync(config, change(text))
    await k0sArchive(join(file, '..', 'k0s_backup.tar.gz'), packed)
    return (await checkArchive.observe({
      archive: { file: './k0s_backup.tar.gz' },
      cluster: loadCluster(file),
    })) as {
      state: string
      code?: string
      reason?: string
    }
  }
  expect(await look(t => t)).toMatchObject({ state: 'done', output: { clusterUid: archivedUid, volumes: 4 } })
  for (const [what, change, packed] of [
    [
      'made by Kubernetes v1.34.1+k0s, and k0sctl.yaml pins 1.33.4+k0s.0',
      (t: string) => t.replace('v1.34.2', 'v1.33.4'),
      {},
    ],
    ['pins 1.36.0+k0s.0', (t: string) => t.replace('v1.34.2', 'v1.36.0'), {}],
    ['it holds kine, and k0sctl.yaml says etcd', (t: string) => t.replace('type: kine', 'type: etcd'), {}],
    ['which one controller has to itself', (t: string) => t.replace('role: worker', 'role: controller'), {}],
    ['it lacks pki/ca.key', (t: string) => t, { without: 'pki/ca.key' }],
    [
      'its API is told as api.example.net, and k0sctl.yaml says none',
      (t: string) => t,
      { config: 'spec: { api: { externalAddress: api.example.net } }' },
    ],
    ['its API was at 198.51.100.7', (t: string) => t, { config: 'spec: { api: { address: 198.51.100.7 } }' }],
  ] as const) {
    const { state, code, reason } = await look(change, packed)
    expect({ state, code, reason }).toEqual({
      state: 'blocked',
      code: 'restore-archive-unfit',
      reason: expect.stringContaining(what),
    })
  }
})

test('a way back other than adopting is told with its place', async context => {
  const { file } = homeOf(context)
  await restoreFrom(file)
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace('  default: adopt\n', '  default: adopt\n  grafana/data: copy\n'),
  )
  const line =
    readFileSync(file, 'utf8')
      .split('\n')
      .findIndex(l => l.includes('grafana/data: copy')) + 1
  expect(() => loadCluster(file)).toThrow(
    expect.objectContaining({
      problems: [
        expect.objectContaining({
          at: expect.stringMatching(new RegExp(`^recover\\.yaml:${line}:\\d+$`)),
          message: expect.stringContaining('only adopt is possible, not copy'),
        }),
      ],
    }),
  )
  writeFileSync(
    file,
    readFileSync(file, 'utf8')
      .replace('  grafana/data: copy\n', '')
      .replace('k0s_backup.tar', 'no_backup.tar'),
  )
  expect(() => loadCluster(file)).toThrow(
    expect.objectContaining({ problems: [expect.objectContaining({ path: 'restore.k0s' })] }),
  )
})

const photosOn = (home: Parameters<typeof labFolder>[0]) => {
  const world = World.open(labFolder(home))
  const { shares = [] } = world.read<NasState>('nas')!
  return { world, shares, folder: world.path('nas', 'shares', share) }
}

test('a claim on a share comes back with the control plane, bound to it all along: its fence and its content are proven all the same', async context => {
  const home = homeOf(context)
  await restoreWithShareFrom(home)
  const run = await rehearseAt(home)
  expect([failuresOf(run), run.result?.state]).toEqual([{}, 'finished'])
  const of = (step: string) => checkpoints().find(c => c.step === `${step}[photos/library]`)
  expect(of('volumes/adopt')?.output).toMatchObject({ handle: share })
  expect(applied(run)).toContain('volumes/adopt[photos/library]')
  const notes = run.events.flatMap(e => (e.code === 'step-note' ? [e.text] : []))
  expect(notes.join('\n')).toMatch(/fence of photos\/library: .*the NFS rules of \S+ let nobody write/)
  expect(of('volumes/verify')?.evidence).toMatch(/^photos\/library holds the same 4 files as before/)
  const { shares, folder, world } = photosOn(home)
  expect(shares.map(s => [s.uuid, s.snapshots.length])).toEqual([[share, 2]])
  expect(measureFolder(folder)).toEqual(
    measureFolder(world.path('nas', 'snapshots', shares[0]?.snapshots[0]?.uuid ?? '')),
  )
})

test('what comes back with the control plane does not wait for a share: it is stopped, and the share is measured as it left it', async context => {
  const home = homeOf(context)
  await restoreWithShareFrom(home)
  // What may take half a day is waited for in vain for two minutes; what may take half an hour, for half a minute.
  appendFileSync(home.file, 'timeouts: { volumes/measure: 30m }\n')
  const first = await rehearseAt(home, { faults: [{ name: 'workloads-return' }] })
  expect(failuresOf(first)).toMatchObject({ 'bootstrap/hold-application[photos]': 'hold-too-late' })
  const told = faultsOf(first).find(f => f.code === 'hold-too-late')
  expect(told?.remedy).toContain('not for shared folders, which the CSI driver opens for them')
  const { shares, folder } = photosOn(home)
  expect(shares[0]?.rules.map(r => r.privilege)).toContain('rw')
  // It is at work meanwhile.
  writeFileSync(join(folder, 'uploaded.txt'), 'while nobody had stopped it')
  const second = await resumeAt(home, { atFirst: () => scaleToNothing(owners) })
  expect([failuresOf(second), second.result?.state]).toEqual([{}, 'finished'])
  const notes = second.events.flatMap(e => (e.code === 'step-note' ? [e.text] : []))
  expect(notes.join('\n')).toContain('is measured as whatever came back with the control plane left it')
  const verified = checkpoints().find(c => c.step === 'volumes/verify[photos/library]')
  expect(verified?.evidence).toMatch(/^photos\/library holds the same 5 files as before/)
  const after = photosOn(home)
  expect(after.shares[0]?.snapshots.map(s => s.description.replace(/^recover-.{20}/, ''))).toEqual([
    '',
    '-held',
  ])
  expect(readFileSync(join(after.folder, 'uploaded.txt'), 'utf8')).toBe('while nobody had stopped it')
  const said = checkpoints().find(c => c.step === 'proof/what-remains')?.output
  const { remains } = said as { remains: string[] }
  expect(remains).toContainEqual(
    expect.stringMatching(
      /^The snapshots recover-\S+ of (\S+), recover-\S+-held of \1 are kept as the way back/,
    ),
  )
})
