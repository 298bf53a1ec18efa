import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { RunRecords } from '../../src/report/source.ts'
import { type ExecuteOptions, type Execution, execute } from '../../src/runbook/execute.ts'
import { createJournal, reopenJournal } from '../../src/runbook/journal.ts'
import { makePlan } from '../../src/runbook/make-plan.ts'
import type { JournalRecord } from '../../src/runbook/replay.ts'
import { claims, readJournal } from '../../src/runbook/replay.ts'
import { createRunFolder, type RunFolder } from '../../src/runbook/run-folder.ts'
import { phase, runbook } from '../../src/runbook/runbook.ts'
import { blocked, done, due, kit } from '../../src/runbook/step.ts'

/** A home in memory: two machines, three volumes, and ways in which it goes wrong. */
export interface Home {
  fire: boolean
  installed: string[]
  /** Old disks by claim: files and their contents. */
  disks: Record<string, Record<string, string>>
  snapshots: string[]
  /** What each claim is bound to. */
  bound: Record<string, Record<string, string>>
  /** Changes a file while it is copied. */
  badCable: boolean
  /** Verification refuses what differs instead of saying so. */
  strict: boolean
  /** The last step has something to beware of. */
  leaks?: boolean
  /** Awaited in the middle of copying. */
  pause?: Promise<void>
}

export function furnish(): Home {
  return {
    fire: false,
    installed: [],
    disks: {
      'grafana/data': { 'grafana.db': 'dashboards', 'plugins/list': 'none' },
      'photos/library': { '2019.jpg': 'a cat', '2020.jpg': 'a dog', '2021.jpg': 'a | pipe' },
    },
    snapshots: [],
    bound: {},
    badCable: false,
    strict: false,
  }
}

function contentOf(files: Record<string, string>) {
  const names = Object.keys(files).sort()
  return {
    files: names.length,
    bytes: names.reduce((sum, n) => sum + Buffer.byteLength(files[n] ?? ''), 0),
    sha256: createHash('sha256')
      .update(JSON.stringify(names.map(n => [n, files[n]])))
      .digest('hex'),
  }
}

const { step, fanOut, fanOutFrom } = kit<{ home: Readonly<Home> }, { home: Home }>()
const bounds = { expected: '10ms', limit: '5s' } as const
// One pair of hands: records come in the same order every time.
const uses = () => ['hands']
const content = z.strictObject({ files: z.number(), bytes: z.number(), sha256: z.string() })

const reachNas = step({
  id: 'preflight/reach-nas',
  title: 'Reach the NAS',
  danger: 'reads',
  bounds,
  uses,
  output: z.strictObject({}),
  observe: async () => done({}, 'it answers'),
})

const volume = z.strictObject({
  claim: z.string(),
  strategy: z.enum(['adopt', 'copy', 'new']),
  sizeBytes: z.number(),
  storageClass: z.string(),
  lun: z.strictObject({ uuid: z.string(), name: z.string() }).optional(),
  sources: z.array(z.string()),
})

const mapVolumes = step({
  id: 'evidence/map-volumes',
  title: 'Find out which disk was whose',
  needs: [reachNas],
  danger: 'reads',
  bounds,
  uses,
  output: z.strictObject({ volumes: z.array(volume), ownerless: z.array(z.string()) }),
  async observe() {
    const common = { sizeBytes: 5 * 1024 ** 3, storageClass: 'synology' }
    return done(
      {
        volumes: [
          {
            ...common,
            claim: 'grafana/data',
            strategy: 'adopt' as const,
            lun: { uuid: 'c0ffee-1', name: 'k8s-csi-1' },
            sources: ['git', 'nas'],
          },
          {
            ...common,
            claim: 'photos/library',
            strategy: 'copy' as const,
            lun: { uuid: 'c0ffee-2', name: 'k8s-csi-2' },
            sources: ['nas'],
          },
          { ...common, claim: 'scratch/cache', strategy: 'new' as const, sources: [] },
        ],
        ownerless: ['k8s-csi-forgotten'],
      },
      'every volume has a disk',
    )
  },
})

const eachVolume = fanOutFrom(mapVolumes, {
  name: 'volume',
  schema: volume,
  key: v => v.claim,
  subjects: found => found.volumes,
})

const snapshot = step({
  id: 'protect/snapshot',
  title: v => `Snapshot the disk of ${v.claim}`,
  each: eachVolume,
  only: v => v.lun !== undefined,
  danger: 'changes',
  bounds,
  uses,
  output: z.strictObject({ snapshot: z.string(), name: z.string() }),
  async observe({ home, volume }) {
    return home.snapshots.includes(volume.claim)
      ? done({ snapshot: `snap-${volume.claim}`, name: 'recover-test' }, 'the snapshot is on the NAS')
      : due('take a snapshot')
  },
  async apply({ home, volume }) {
    home.snapshots.push(volume.claim)
  },
})

const eachHost = fanOut({
  name: 'host',
  schema: z.string(),
  key: host => host,
  subjects: () => ['lithium', 'beryllium'],
})

const install = step({
  id: 'hosts/install-flatcar',
  title: host => `Install Flatcar on ${host}`,
  each: eachHost,
  needs: [snapshot],
  danger: 'destroys',
  bounds,
  uses,
  output: z.strictObject({ image: z.string() }),
  async observe({ home, host }) {
    if (home.fire) return blocked('on-fire', `${host} burns`, 'Put out the fire')
    return home.installed.includes(host)
      ? done({ image: '4459.2.1' }, `${host} runs Flatcar 4459.2.1`)
      : due(`write Flatcar to the disk of ${host}`)
  },
  async victims({ host }) {
    return [
      {
        kind: 'disk',
        name: `${host} /dev/nvme0n1`,
        identity: { serial: `S-${host}` },
        content: ['ext4 ROOT (Flatcar)'],
      },
    ]
  },
  async apply({ home, host, note }) {
    note(`${host} writes`)
    home.installed.push(host)
  },
})

const measure = step({
  id: 'volumes/measure',
  title: v => `Measure the old disk of ${v.claim}`,
  each: eachVolume,
  only: v => v.lun !== undefined,
  needs: [install],
  danger: 'reads',
  bounds,
  uses,
  output: content,
  async observe({ home, volume }) {
    const found = contentOf(home.disks[volume.claim] ?? {})
    return done(found, `${found.files} files`)
  },
})

const adopt = step({
  id: 'volumes/adopt',
  title: v => `Adopt the disk of ${v.claim}`,
  each: eachVolume,
  only: v => v.strategy === 'adopt',
  needs: [measure],
  danger: 'changes',
  bounds,
  uses,
  output: z.strictObject({ pv: z.string(), handle: z.string() }),
  async observe({ home, volume }) {
    return home.bound[volume.claim]
      ? done({ pv: `pv-${volume.claim}`, handle: volume.lun!.uuid }, 'it is bound to its own disk')
      : due('bind it to its own disk')
  },
  async apply({ home, volume }) {
    home.bound[volume.claim] = home.disks[volume.claim] ?? {}
  },
})

const copy = step({
  id: 'volumes/copy',
  title: v => `Copy the disk of ${v.claim}`,
  each: eachVolume,
  only: v => v.strategy === 'copy',
  needs: [measure],
  danger: 'changes',
  bounds,
  uses,
  output: z.strictObject({ pv: z.string(), handle: z.string() }),
  async observe({ home, volume }) {
    return home.bound[volume.claim]
      ? done({ pv: `pv-${volume.claim}`, handle: 'new-disk' }, 'it is bound to a new disk')
      : due('copy it to a new disk')
  },
  async apply({ home, volume, note }) {
    note('half of it is there')
    await home.pause
    const files = { ...home.disks[volume.claim] }
    if (home.badCable) files['2019.jpg'] = 'a cow'
    home.bound[volume.claim] = files
  },
})

const verify = step({
  id: 'volumes/verify',
  title: v => `Verify the content of ${v.claim}`,
  each: eachVolume,
  only: v => v.lun !== undefined,
  needs: [adopt, copy],
  danger: 'reads',
  bounds,
  uses,
  output: z.strictObject({ before: content, after: content }),
  async observe({ home, volume, output }) {
    const after = contentOf(home.bound[volume.claim] ?? {})
    if (home.strict && after.sha256 !== output(measure).sha256)
      return blocked('content-differs', `${volume.claim} holds something else`, 'Copy it again')
    return done({ before: output(measure), after }, `hash ${after.sha256.slice(0, 12)} after`)
  },
})

const whatRemains = step({
  id: 'proof/what-remains',
  title: 'Say what a person still has to do',
  needs: [verify],
  danger: 'reads',
  bounds,
  uses,
  output: z.strictObject({ remains: z.array(z.string()) }),
  observe: async ({ home }) =>
    done(
      { remains: ['Pull the stick out of lithium', 'Old disks stay until you delete them'] },
      'two things',
      home.leaks
        ? { warnings: [{ code: 'leak', blame: 'operator', message: 'the roof leaks', remedy: 'Mend it' }] }
        : {},
    ),
})

export const smallBook = runbook('small-home', 'Recover a small home', [
  phase('preflight', 'Preflight', [reachNas]),
  phase('evidence', 'Evidence', [mapVolumes]),
  phase('protect', 'Protect', [snapshot]),
  phase('hosts', 'Hosts', [install]),
  phase('volumes', 'Volumes', [measure, adopt, copy, verify]),
  phase('proof', 'Proof', [whatRemains]),
])

/** Begins a run of the small home in a state folder, its plan included where it is wanted. */
export async function beginAtHome(state: string, home: Home, plan = true): Promise<RunFolder> {
  mkdirSync(state, { recursive: true })
  const folder = createRunFolder(state, '20261123-021500-ab12')
  if (plan) {
    const made = await makePlan({
      runbook: smallBook,
      readers: { home },
      now: new AbortController().signal,
    })
    writeFileSync(join(folder.path, 'plan.json'), JSON.stringify(made))
  }
  const journal = createJournal(folder.journal, {
    kind: 'run-began',
    run: folder.run,
    runbook: smallBook.id,
    runbookHash: smallBook.hash,
    stepHashes: smallBook.stepHashes,
    inputHash: 'none',
    input: '/home/potter/home/recover.yaml',
    program: '0.1.0',
    by: 'potter@bench',
    mode: 'real',
  })
  await journal.close()
  return folder
}

/** One process's part of that run. */
export async function workAtHome(
  folder: RunFolder,
  home: Home,
  options: { resumed?: boolean; accepted?: string[] } & Partial<
    ExecuteOptions<{ home: Home }, { home: Home }>
  > = {},
): Promise<Execution> {
  const { accepted, resumed = false, ...rest } = options
  const { journal, replay } = reopenJournal(folder.journal)
  if (replay.torn) await journal.append({ kind: 'torn-tail', bytes: replay.torn.bytes.length })
  if (resumed)
    await journal.append({
      kind: 'resumed',
      by: 'potter@laptop',
      program: '0.1.1',
      runbookHash: smallBook.hash,
      inputHash: 'none',
      accepted: accepted ?? [],
    })
  const never = new AbortController().signal
  try {
    return await execute({
      run: folder.run,
      runbook: smallBook,
      readers: { home },
      writers: { home },
      journal,
      claims: claims(readJournal(folder.journal), folder.journal),
      resumed,
      consent: async () => ({ by: 'potter', how: 'typed' }),
      sink: () => {},
      stop: never,
      now: never,
      pace: 0.001,
      ...rest,
    })
  } finally {
    await journal.close()
  }
}

/** The same records on a clock that ticks ten seconds a record, so that pages can be compared with kept ones. */
export function onSteadyClock(source: RunRecords): RunRecords {
  const start = Date.parse('2026-11-23T02:15:00.000Z')
  const records = source.records.map(record => {
    const at = new Date(start + record.seq * 10_000).toISOString()
    if (record.kind === 'ended') return { ...record, at, tookMs: record.seq * 10_000 }
    return 'tookMs' in record ? { ...record, at, tookMs: 10_000 } : { ...record, at }
  }) as JournalRecord[]
  return { ...source, folder: '/home/potter/.local/state/recover/runs/20261123-021500-ab12', records }
}
