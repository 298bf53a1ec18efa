import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { livingCluster } from '../../runbooks/begin.ts'
import { connectNas } from '../../runbooks/connect-nas.ts'
import { finalizeVolumes } from '../../runbooks/finalize-volumes.ts'
import { planRun } from '../../runbooks/plan-run.ts'
import { whereaboutsOf } from '../../runbooks/rehearse.ts'
import { beginRun, type RunResult, resumeRun, type SessionOptions } from '../../runbooks/session.ts'
import { syncVolumes } from '../../runbooks/sync-volumes.ts'
import { type Cluster, loadCluster } from '../../src/cluster/load.ts'
import { connectApi } from '../../src/kubernetes/api.ts'
import type { Blueprint } from '../../src/lab/blueprint.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import { measureFolder } from '../../src/lab/nodes/job-programs.ts'
import { World } from '../../src/lab/world.ts'
import { openRunFolder, stateFolder } from '../../src/runbook/run-folder.ts'
import { failuresOf, type Home, homeOf, labHere, recordsNow, rehearseAt, yes } from '../recovery/home.ts'
import { uuid as share, withPhotosOnNfs, withVolumeInGit } from '../recovery/nfs-home.ts'
import { changesToDieAt, everyChange } from './changes-to-die-at.ts'
import { type Died, dieAtEach, dieInTurn } from './expedition.ts'
import { judgeJournal } from './judge.ts'
import { Lives } from './lives.ts'
import { isOfChange } from './place.ts'

const never = new AbortController().signal
const all = ['grafana/data', 'miniflux/data-postgres-0', 'photos/library']
type Test = { onTestFinished(end: () => unknown): void }

/** A home that was recovered and is well, and from now on has all its claims come back by one strategy. */
async function recoveredHome(test: Test, strategy: string, before: (home: Home) => void = () => {}) {
  const home = homeOf(test)
  before(home)
  expect(failuresOf(await rehearseAt(home))).toEqual({})
  const text = readFileSync(home.file, 'utf8')
  writeFileSync(
    home.file,
    text.replace('default: adopt', `default: ${strategy}`).replace('data: copy', `data: ${strategy}`),
  )
  return { home, folder: openRunFolder(stateFolder()).path }
}

/** The photos are on a share, by the person's word, and Git has no volume that leads to it. */
function photosOnShare(home: Home): void {
  withPhotosOnNfs(home)
  withVolumeInGit(home, { own: false })
}

/** From now on Git wants something else of the photos' claim. */
function wantOfPhotos({ home, folder }: Recovered, { storageClassName, storage }: Wanted): void {
  const file = join(home.file, '..', 'applications/photos/claim.yaml')
  const text = readFileSync(file, 'utf8')
  writeFileSync(
    file,
    text
      .replace(/storageClassName: .*/, `storageClassName: ${storageClassName}`)
      .replace(/storage: \S+/, `storage: ${storage}`),
  )
  // What the lab's Argo CD reads is what Git rendered to when the world was made.
  const world = join(folder, 'lab', 'blueprint.json')
  const blueprint = JSON.parse(readFileSync(world, 'utf8')) as Blueprint
  const claim = Object.values(blueprint.repository)
    .flat()
    .find(o => o.kind === 'PersistentVolumeClaim' && o.metadata.namespace === 'photos')
  Object.assign(specOf<object>(claim!), { storageClassName, resources: { requests: { storage } } })
  writeFileSync(world, JSON.stringify(blueprint))
}

interface Wanted {
  storageClassName: string
  storage: string
}
type Recovered = Awaited<ReturnType<typeof recoveredHome>>

/** Its cluster, alive. */
async function livingHome(test: Test, { home, folder }: Recovered) {
  const dir = join(folder, 'lab')
  const lab = await labHere(dir)
  const api = connectApi({ kubeconfig: join(folder, 'kubeconfig') })
  let up = true
  const down = async () => {
    if (!up) return
    up = false
    await api.close()
    await nasNow.close()
    await lab.order('down')
  }
  test.onTestFinished(down)
  const reach = async (cluster: Cluster) => whereaboutsOf(lab, cluster)
  const nasNow = connectNas((await reach(loadCluster(home.file))).nas, never, 0.001)
  const session: SessionOptions = {
    stop: never,
    now: never,
    sink() {},
    consent: async () => yes,
    lockTimeoutMs: 0,
    program: 'test',
  }
  const asked = (chosen: readonly string[]) =>
    livingCluster(home.file, 'rehearsal', { chosen, kubeconfig: undefined, context: undefined })
  const nas = () => World.open(dir).read<NasState>('nas')!
  return {
    nas,
    down,
    contents: () =>
      new Map(
        [
          ...nas().luns.map(l => ['luns', l.uuid] as const),
          ...(nas().shares ?? []).map(s => ['shares', s.uuid] as const),
        ].map(([kind, uuid]) => [uuid, measureFolder(World.open(dir).path('nas', kind, uuid))] as const),
      ),
    objects: (kind: string, apiVersion = 'v1') => api.reader.list({ apiVersion, kind }),
    api: api.writer,
    writer: nasNow.writer,
    changes: async () => (await lab.mutations()).nas + (await lab.mutations()).kubernetes,
    plan: async (chosen: readonly string[], book = syncVolumes) => {
      const cluster = loadCluster(home.file)
      return planRun(cluster, await reach(cluster), never, book, undefined, {
        asked: asked(chosen),
        mode: 'rehearsal',
      })
    },
    sync: (chosen: readonly string[], change: Partial<SessionOptions> = {}) =>
      beginRun(home.file, reach, 'rehearsal', {
        ...session,
        ...change,
        book: syncVolumes.id,
        asked: asked(chosen),
      }),
    resume: () => resumeRun(undefined, () => reach, { ...session, accept: [], redo: [] }),
  }
}

type Living = Awaited<ReturnType<typeof livingHome>>
const specOf = <T>(object: object) => (object as { spec: T }).spec
const failed = ({ failures }: RunResult) => failures.map(f => `${f.step}: ${f.fault.code}`)

/** Which LUN or share each claim is on now. */
async function disksOf({ objects }: Living): Promise<Map<string, string>> {
  const pvs = await objects('PersistentVolume')
  return new Map(
    (await objects('PersistentVolumeClaim')).map(claim => {
      const pv = pvs.find(p => p.metadata.name === specOf<{ volumeName?: string }>(claim).volumeName)
      return [
        `${claim.metadata.namespace}/${claim.metadata.name}`,
        pv ? specOf<{ csi: { volumeHandle: string } }>(pv).csi.volumeHandle : '',
      ]
    }),
  )
}

interface Before {
  disks: Map<string, string>
  contents: Map<string, unknown>
  nas: NasState
}

async function lookAt(living: Living): Promise<Before> {
  return { disks: await disksOf(living), contents: living.contents(), nas: living.nas() }
}

/** What is wrong after claims have got new disks, however often that was broken off. Empty: nothing. */
async function wrongWith(living: Living, before: Before, claims: readonly string[]): Promise<string[]> {
  const { disks, contents, nas } = await lookAt(living)
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
  const names = ({ disks }: Before) => [...disks.keys()].sort().join()
  const share = (uuid: string) => nas.shares?.find(s => s.uuid === uuid)
  const on = (uuid: string) =>
    share(uuid)?.rules.some(r => r.privilege !== 'no') ??
    nas.targets.find(t => t.mappings.some(m => m.lun === uuid))?.enabled
  const described = (uuid: string) => (share(uuid) ?? nas.luns.find(l => l.uuid === uuid))?.description
  const count = ({ luns, shares = [] }: NasState) => luns.length + shares.length
  const held = (await living.objects('Application', 'argoproj.io/v1alpha1')).filter(a =>
    Object.keys(a.metadata.annotations ?? {}).some(k => /skip-reconcile|recover.dev/.test(k)),
  )
  const workloads = [
    ...(await living.objects('Deployment', 'apps/v1')),
    ...(await living.objects('StatefulSet', 'apps/v1')),
  ]
  const stopped = workloads.filter(
    w =>
      specOf<{ replicas?: number }>(w).replicas === 0 ||
      w.metadata.annotations?.['recover.dev/stopped'] !== undefined,
  )
  return [
    ...(names({ disks, contents, nas }) === names(before) ? [] : [`the claims are ${[...disks.keys()]}`]),
    ...[...before.disks].flatMap(([claim, old]) => {
      const now = disks.get(claim) ?? ''
      if (!claims.includes(claim)) return now === old ? [] : [`${claim} was not named and is on another disk`]
      return [
        ...(now === old ? [`${claim} is on its old disk`] : []),
        ...(same(contents.get(now), before.contents.get(old)) ? [] : [`${claim} does not hold what it held`]),
        ...(same(contents.get(old), before.contents.get(old))
          ? []
          : [`the old disk of ${claim} was changed`]),
        ...(on(old) === false ? [] : [`the old disk of ${claim} can be reached`]),
        // The next recovery asks the NAS whose each LUN is.
        ...(described(now) === claim && described(old) !== claim ? [] : [`${claim} is described wrongly`]),
      ]
    }),
    ...(count(nas) === count(before.nas) + claims.length ? [] : [`there are ${count(nas)} LUNs and shares`]),
    ...(nas.targets.length === nas.luns.length ? [] : [`there are ${nas.targets.length} targets`]),
    ...held.map(a => `${a.metadata.name} is held`),
    ...stopped.map(w => `${w.kind} ${w.metadata.name} is stopped`),
  ]
}

test.for(['copy', 'clone'])(
  'living claims get new disks by %s, and the old ones stay as they were',
  async (strategy, context) => {
    const living = await livingHome(context, await recoveredHome(context, strategy))
    const before = await lookAt(living)
    const changes = await living.changes()
    const nothing = await living.plan([])
    expect(nothing.entries.filter(e => e.state !== 'done').map(e => e.step)).toEqual([])
    const plan = await living.plan(all)
    expect(plan.entries.filter(e => e.state === 'blocked')).toEqual([])
    expect(plan.victims.map(v => `${v.kind} ${v.name}`).sort()).toEqual(all.map(c => `claim ${c}`))
    const compared = plan.entries.find(e => e.step === 'evidence/map-volumes')
    const sizes = compared?.state === 'done' ? compared.table?.rows.map(r => r[3]) : []
    expect(sizes).toEqual(expect.arrayContaining([expect.stringMatching(/^\d+Gi$/)]))
    await expect(living.sync(all, { consent: async () => undefined })).rejects.toMatchObject({
      code: 'consent-missing',
    })
    expect(await living.changes()).toBe(changes)

    expect(failed(await living.sync(all))).toEqual([])
    expect(await wrongWith(living, before, all)).toEqual([])
    // What it left behind can be deleted, later and by name.
    const listed = (await living.plan([], finalizeVolumes)).entries.find(e => e.step === 'finalize/list-old')
    const rows = listed?.state === 'done' ? (listed.table?.rows ?? []) : []
    const old = rows.filter(r => r[0] === 'LUN').map(r => r[1])
    expect(old).toEqual(expect.arrayContaining(all.map(claim => before.disks.get(claim))))
    expect(old).not.toEqual(expect.arrayContaining([(await disksOf(living)).get('photos/library')]))
  },
)

test('what is in the way is said before anything is changed', async context => {
  const living = await livingHome(context, await recoveredHome(context, 'copy'))
  const blockedBy = async (chosen: string[]) =>
    (await living.plan(chosen)).entries.flatMap(e => (e.state === 'blocked' ? [e.fault.code] : []))
  expect(await blockedBy(['grafana/nothing'])).toEqual(['claim-unknown'])
  // A cache that may begin empty has nothing to move.
  expect(await blockedBy(['scratch/cache'])).toEqual(['claim-not-movable'])
  // Somebody looks into the data with a pod of their own.
  await living.api.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'peek', namespace: 'grafana' },
    spec: {
      containers: [{ name: 'sh', image: 'busybox', volumeMounts: [{ name: 'd', mountPath: '/d' }] }],
      volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }],
    },
  })
  expect(await blockedBy(['grafana/data'])).toEqual(['claim-in-use'])
  expect(await blockedBy(['photos/library'])).toEqual([])
})

test('room on the NAS is asked for what is moved, and for nothing where things are deleted', async context => {
  const made = await recoveredHome(context, 'copy')
  const lab = join(made.folder, 'lab')
  const blueprint = JSON.parse(readFileSync(join(lab, 'blueprint.json'), 'utf8')) as Blueprint
  // For one new disk, and the clone that is measured meanwhile.
  const room = World.open(lab).read<NasState>('nas')!.luns.length + 2
  blueprint.nas.limits = { ...blueprint.nas.limits, luns: room, targets: room }
  writeFileSync(join(lab, 'blueprint.json'), JSON.stringify(blueprint))
  const living = await livingHome(context, made)
  const blockedBy = async (...asked: Parameters<typeof living.plan>) =>
    (await living.plan(...asked)).entries.flatMap(e => (e.state === 'blocked' ? [e.fault] : []))
  expect(await blockedBy(['photos/library'])).toEqual([])
  expect(await blockedBy(['photos/library', 'grafana/data'])).toMatchObject([
    {
      code: 'nas-limit-reached',
      message: expect.stringContaining('up to 4 more are made (2 for good, 2 for a while)'),
    },
  ])
  // What a full NAS needs most.
  expect(await blockedBy([], finalizeVolumes)).toEqual([])
})

test('what a person holds back stays so, and a disk that its volume would take along is kept', async context => {
  const living = await livingHome(context, await recoveredHome(context, 'copy'))
  const before = await lookAt(living)
  const application = {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    namespace: 'argocd',
    name: 'photos',
  }
  await living.api.patch(application, {
    metadata: { annotations: { 'argocd.argoproj.io/skip-reconcile': 'true' } },
  })
  const pv = (await living.objects('PersistentVolume')).find(
    p => specOf<{ csi: { volumeHandle: string } }>(p).csi.volumeHandle === before.disks.get('photos/library'),
  )
  await living.api.patch(
    { apiVersion: 'v1', kind: 'PersistentVolume', name: pv?.metadata.name ?? '' },
    { spec: { persistentVolumeReclaimPolicy: 'Delete' } },
  )
  expect(failed(await living.sync(['photos/library']))).toEqual([])
  expect(await wrongWith(living, before, ['photos/library'])).toEqual(['photos is held'])
})

/** Steps that do something else where the old disk is a share. */
const ofShares = /^(?:protect|volumes)\/(?:fence|snapshot|measure|swap|drop-clone)/
const toLuns = { storageClassName: 'synology-iscsi', storage: '200Gi' }

test.for([
  { strategy: 'copy', wants: toLuns, onto: 'a LUN' },
  {
    strategy: 'copy',
    wants: { storageClassName: 'synology-nfs', storage: '100Gi' },
    onto: 'a smaller share',
  },
  { strategy: 'clone', wants: { storageClassName: 'synology-nfs', storage: '200Gi' }, onto: 'a share' },
])('a living claim moves from a share of NFS by $strategy to $onto', async ({ strategy, wants }, context) => {
  const made = await recoveredHome(context, strategy, photosOnShare)
  wantOfPhotos(made, wants)
  const living = await livingHome(context, made)
  const before = await lookAt(living)
  expect(before.disks.get('photos/library')).toBe(share)
  const named = strategy === 'clone' ? ['photos/library'] : []
  const plan = await living.plan(named)
  expect(plan.entries.filter(e => e.state === 'blocked')).toEqual([])
  expect(plan.victims.map(v => [v.name, v.identity.share])).toEqual([['photos/library', share]])
  expect((await living.sync(named)).failures.map(f => f.fault.message)).toEqual([])
  expect(await wrongWith(living, before, ['photos/library'])).toEqual([])
  const { disks, nas } = await lookAt(living)
  const now = disks.get('photos/library')
  expect(nas.luns.some(l => l.uuid === now)).toBe(wants === toLuns)
  const clients = nas.shares?.find(s => s.uuid === now)?.rules.map(r => r.privilege)
  expect(clients).toEqual(wants === toLuns ? undefined : ['rw', 'rw'])
  expect(nas.shares?.find(s => s.uuid === share)?.snapshots.map(s => s.locked)).toEqual([true, true])
  // What it left behind can be deleted, later and by name.
  const listed = (await living.plan([], finalizeVolumes)).entries.find(e => e.step === 'finalize/list-old')
  const rows = listed?.state === 'done' ? (listed.table?.rows ?? []) : []
  expect(rows.filter(r => r[0] === 'share').map(r => [r[1], r[5], r[6]])).toEqual([
    [share, 'photos/library', now],
  ])
})

test('a share that somebody else may write to is not moved', async context => {
  const made = await recoveredHome(context, 'copy', photosOnShare)
  wantOfPhotos(made, toLuns)
  const world = World.open(join(made.folder, 'lab'))
  const state = world.read<NasState>('nas')!
  state.shares?.[0]?.rules.push({ client: '192.0.2.99', privilege: 'rw' })
  world.write('nas', state)
  const living = await livingHome(context, made)
  const changes = await living.changes()
  const blocked = (await living.plan([])).entries.flatMap(e => (e.state === 'blocked' ? [e.fault] : []))
  expect(blocked).toMatchObject([
    {
      code: 'share-open-to-others',
      message: expect.stringContaining('192.0.2.99 may write to the share of photos/library'),
    },
  ])
  expect(await living.changes()).toBe(changes)
})

test('who mounts a share between its copy and the exchange is seen although nobody has it mounted any more', async context => {
  const made = await recoveredHome(context, 'copy', photosOnShare)
  wantOfPhotos(made, toLuns)
  const living = await livingHome(context, made)
  const before = await lookAt(living)
  const stop = new AbortController()
  const { state } = await living.sync([], {
    stop: stop.signal,
    onPoint: point => point === 'after-effect volumes/verify[photos/library]' && stop.abort(),
  })
  expect(state).toBe('stopped')
  // The CSI driver lets the nodes in again for whoever mounts the claim.
  const peek = { apiVersion: 'v1', kind: 'Pod', namespace: 'photos', name: 'peek' }
  await living.api.apply({
    ...peek,
    metadata: { name: 'peek', namespace: 'photos' },
    spec: {
      containers: [{ name: 'sh', image: 'busybox', volumeMounts: [{ name: 'd', mountPath: '/d' }] }],
      volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'library' } }],
    },
  })
  const phase = async () =>
    ((await living.api.get(peek))?.status as { phase?: string } | undefined)?.phase ?? 'gone'
  await expect.poll(phase).toBe('Running')
  await living.api.remove(peek, (await living.api.get(peek))?.metadata.uid ?? '')
  await expect.poll(phase).toBe('gone')
  const { failures } = await living.resume()
  expect(failures.map(f => f.fault)).toMatchObject([
    { code: 'old-disk-in-use', message: expect.stringContaining('whom its NFS rules let in again') },
  ])
  expect((await disksOf(living)).get('photos/library')).toBe(share)
  // Nothing was written: the person closes it and goes on.
  await living.writer.closeShare(share)
  expect(failed(await living.resume())).toEqual([])
  expect(await wrongWith(living, before, ['photos/library'])).toEqual([])
})

test.for([
  { from: 'a LUN', claims: ['miniflux/data-postgres-0'], strategy: 'copy' },
  { from: 'a share', claims: ['photos/library'], strategy: 'copy' },
  ...(everyChange ? [{ from: 'a LUN', claims: ['miniflux/data-postgres-0'], strategy: 'clone' }] : []),
])(
  'killed after each record and each effect, and in the middle of them, a claim on $from gets its new disk by $strategy all the same',
  async ({ from, claims, strategy }, context) => {
    const onShare = from === 'a share'
    const made = await recoveredHome(context, strategy, onShare ? photosOnShare : undefined)
    if (onShare) wantOfPhotos(made, toLuns)
    const { home } = made
    const kept = mkdtempSync(join(home.file, '..', '..', 'kept-'))
    cpSync(home.state, kept, { recursive: true })
    let whole: string[] = []
    const die = async (points: readonly string[]): Promise<Died> => {
      rmSync(home.state, { recursive: true, force: true })
      cpSync(kept, home.state, { recursive: true })
      const living = await livingHome(context, made)
      const lives = new Lives(home, 'sync', claims)
      try {
        const before = await lookAt(living)
        const { end, unmet } = await dieInTurn(points, {
          begin: ahead => lives.live(ahead),
          goOn: ahead => lives.live(ahead),
          met: () => lives.met,
        })
        if (points.length === 0) whole = lives.met
        return {
          unmet,
          wrong: [
            ...(end === 0 ? [] : [`a life ended with ${end}: ${lives.complaints}`]),
            ...judgeJournal(recordsNow(), lives.events),
            ...(await wrongWith(living, before, claims)),
          ],
        }
      } finally {
        await living.down()
      }
    }
    expect(await die([])).toEqual({ wrong: [], unmet: [] })
    const effects = whole.filter(p => p.startsWith('after-effect '))
    // Parents, owners, fence, snapshot, measuring, copy, proof, the exchange, the clone's end, owners and parents again.
    expect(effects).toHaveLength(11)
    const points = [
      ...whole.filter(p => /^after(?:-effect)? /.test(p) || p === 'before run-began'),
      ...changesToDieAt(whole.filter(isOfChange), onShare && !everyChange ? ofShares : /./),
    ]
    const { wrong, unmet, runs } = await dieAtEach(points, 1, die)
    process.stdout.write(
      `new disk by ${strategy} in the place of ${from}: ${points.length - unmet.length} crash points killed with SIGKILL and resumed, in ${runs} runs\n`,
    )
    expect({ wrong, unmet }).toEqual({ wrong: {}, unmet: [] })
  },
)

test('a claim moves from a LUN to a share of NFS, and what that does not carry is said before', async context => {
  const made = await recoveredHome(context, 'copy')
  withPhotosOnNfs(made.home)
  wantOfPhotos(made, { storageClassName: 'synology-nfs', storage: '200Gi' })
  const living = await livingHome(context, made)
  await living.api.apply({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'synology-nfs' },
    provisioner: 'csi.san.synology.com',
    parameters: { dsm: '192.0.2.17', location: '/volume1', protocol: 'nfs', mountPermissions: '0755' },
    reclaimPolicy: 'Retain',
  })
  const before = await lookAt(living)
  const { entries } = await living.plan(['photos/library'])
  expect(JSON.stringify(entries.find(e => e.step === 'volumes/copy[photos/library]'))).toContain(
    'which carry no ACLs and no attributes',
  )
  const { failures } = await living.sync(['photos/library'])
  expect(failures.map(f => f.fault.message)).toEqual([])
  const { disks, contents, nas } = await lookAt(living)
  const old = before.disks.get('photos/library') ?? ''
  const [onto] = nas.shares ?? []
  expect(disks.get('photos/library')).toBe(onto?.uuid)
  expect([contents.get(onto?.uuid ?? ''), contents.get(old)]).toEqual([
    before.contents.get(old),
    before.contents.get(old),
  ])
  // The old LUN is kept, and nobody gets in.
  expect(nas.targets.find(t => t.mappings.some(m => m.lun === old))?.enabled).toBe(false)
})
