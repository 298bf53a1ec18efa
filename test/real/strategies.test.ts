import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { NasState } from '../../src/lab/nas/state.ts'
import { World } from '../../src/lab/world.ts'
import { root } from '../cli/program.ts'
import { judgeJournal } from '../crash/judge.ts'
import { type End, Place } from '../crash/place.ts'
import { kubernetesOf } from '../crash/world.ts'
import { run, until } from './harness/commands.ts'
import { bootDiskNode, type DiskNode } from './harness/disk-node.ts'
import { fillOddly, pullThePlug, wholeTree } from './harness/left-disk.ts'
import { mounted, sha256 } from './harness/mounted.ts'
import { describeReal, place } from './harness/place.ts'
import { backedUpFolder, giveBackups } from './harness/restic-node.ts'

const claims = ['grafana/data', 'miniflux/data-postgres-0', 'photos/library']
/** As recover.yaml of the example names it. */
const nasAddress = '192.0.2.17'
const sizeBytes = 128 * 2 ** 20

type Tree = ReturnType<typeof wholeTree>

describeReal('all volumes of the example, on real disks', () => {
  let node: DiskNode
  /** What the dead cluster left: every claim's disk, whose last write is in its journal alone. */
  let old: Record<string, { image: string; hash: string; tree: Tree }>

  beforeAll(async () => {
    const folder = mkdtempSync(join(place().folder, 'old-'))
    old = Object.fromEntries(
      claims.map((claim, i) => {
        const image = join(folder, String(i))
        const make: [string, string] = ['mkfs.ext4', '-F']
        pullThePlug(image, { mebibytes: sizeBytes / 2 ** 20, make, options: 'commit=600' }, at => {
          writeFileSync(join(at, 'README.txt'), `This is the data of ${claim}.\n`)
          fillOddly(at)
        })
        expect(run('dumpe2fs', '-h', image)).toContain('needs_recovery')
        return [claim, { image, hash: sha256(image), tree: afterReplay(image) }]
      }),
    )
    node = await bootDiskNode('argon', 15, nasAddress)
  }, 1_800_000)
  afterAll(() => node?.close())

  // `made`: what the class makes now, where that is not what the disk has at the end.
  test.for<{
    strategy: string
    made?: 'btrfs'
    fsType: 'ext4' | 'btrfs'
    stages: string[]
    left: string[]
  }>([
    {
      strategy: 'adopt',
      made: 'btrfs',
      fsType: 'ext4',
      stages: ['snapshot', 'fence', 'measure', 'adopt', 'verify', 'drop-clone'],
      left: ['in use', 'in use', 'in use', 'new'],
    },
    {
      strategy: 'clone',
      fsType: 'ext4',
      stages: ['snapshot', 'fence', 'measure', 'clone', 'verify', 'drop-clone'],
      left: ['clone', 'clone', 'clone', 'new', 'off', 'off', 'off'],
    },
    {
      strategy: 'copy',
      // Another file system than the old one: what a class makes may have changed meanwhile.
      fsType: 'btrfs',
      stages: ['snapshot', 'fence', 'measure', 'copy', 'verify', 'drop-clone'],
      left: ['new', 'new', 'new', 'new', 'off', 'off', 'off'],
    },
    {
      strategy: 'host-copy',
      fsType: 'btrfs',
      stages: ['snapshot', 'fence', 'copy-on-host', 'measure', 'host-copy', 'verify', 'drop-clone'],
      left: ['new', 'new', 'new', 'new', 'off', 'off', 'off'],
    },
    {
      strategy: 'restore',
      fsType: 'ext4',
      stages: ['restore', 'drop-restore'],
      left: ['new', 'new', 'new', 'new', 'in use', 'in use', 'in use'],
    },
  ])(
    'come back by $strategy, killed with SIGKILL at every stage',
    { timeout: 1_800_000 },
    async ({ strategy, fsType, made = fsType, stages, left }) => {
      const lun = (claim: string) => ({ image: old[claim]!.image, sizeBytes, fsType: 'ext4' as const })
      const luns = Object.fromEntries(claims.map(claim => [claim, lun(claim)]))
      const real = { node: { command: node.command }, portal: `${nasAddress}:3260`, luns }
      const home = homeFor(strategy, made)
      if (strategy === 'restore')
        await giveBackups(node, home, claims, (claim, to, action) => whileAt(old[claim]!.image, to, action))
      const at = new Place({ home, world: real })
      // What is restored has nothing to do with the old disks.
      const snapshots = strategy === 'restore' ? 0 : 1
      try {
        expect(await dieAtEveryStage(at)).toEqual(stages)
        await until('the lab to be gone', 600_000, () => isDown(at) || undefined)
        expect(judgeJournal(at.records, at.events)).toEqual([])

        const world = World.open(at.labFolder)
        const nas = world.read<NasState>('nas')!
        const image = (kind: 'luns' | 'snapshots', uuid: string) => world.path('nas', kind, `${uuid}.img`)
        for (const claim of claims) {
          const { hash, tree } = old[claim]!
          const original = world.blueprint.nas.luns.find(l => l.claim === claim)!.uuid
          const handle = handleOf(at, claim)
          const bound = nas.luns.find(l => l.uuid === handle)!
          expect({ claim, kind: kindOf(bound, nas, [original]) }).toEqual({ claim, kind: left[0] })
          expect(bound.description).toBe(claim)
          // The fence and the snapshot change no byte, nor does whatever else is not the application's own.
          if (strategy !== 'adopt') expect(sha256(image('luns', original))).toBe(hash)
          const kept = nas.snapshots.filter(s => s.lun === original)
          expect(kept.map(s => sha256(image('snapshots', s.uuid)))).toEqual(Array(snapshots).fill(hash))
          isClean(image('luns', handle), fsType)
          expect(mounted(image('luns', handle), 'ro', wholeTree)).toEqual(tree)
        }

        const originals = world.blueprint.nas.luns.map(l => l.uuid)
        expect(nas.luns.map(l => kindOf(l, nas, originals)).sort()).toEqual(left.toSorted())
        expect(nas.snapshots).toHaveLength(snapshots * claims.length)
        for (const [folder, objects] of Object.entries({ luns: nas.luns, snapshots: nas.snapshots }))
          expect(namesIn(join(world.dir, 'nas', folder))).toEqual(objects.map(o => `${o.uuid}.img`).sort())
        // No target leads to two LUNs, no LUN has two targets, and none is left without one.
        expect(nas.targets.flatMap(t => t.mappings.map(m => m.lun)).sort()).toEqual(
          nas.luns.map(l => l.uuid).sort(),
        )
        expect(nas.targets.every(t => t.mappings.length === 1)).toBe(true)
        const held = await node.shell('ls /sys/class/iscsi_session; grep -E "recover" /proc/mounts || true')
        expect(held).toBe('')
      } finally {
        at.remove()
      }
    },
  )
})

/** What a LUN is at the end: one that is off, in use again, a clone of the original, or a new one. */
function kindOf(lun: NasState['luns'][number], nas: NasState, originals: string[]): string {
  const targets = nas.targets.filter(t => t.mappings.some(m => m.lun === lun.uuid))
  if (originals.includes(lun.uuid)) return targets.some(t => t.enabled) ? 'in use' : 'off'
  return `${lun.parent === '' ? 'new' : 'clone'}${targets.every(t => t.enabled) ? '' : ', off'}`
}

/** Has a copy of a disk mounted, its journal replayed, while something is done. */
function whileAt<T>(image: string, at: string, action: () => T): T {
  copyFileSync(image, `${image}.replayed`)
  run('mount', '-o', 'loop', `${image}.replayed`, at)
  try {
    return action()
  } finally {
    run('umount', at)
    run('rm', `${image}.replayed`)
  }
}

/** A file system's content once its journal is replayed. */
function afterReplay(image: string): Tree {
  const at = mkdtempSync(join(place().folder, 'replayed-'))
  const tree = whileAt(image, at, () => wholeTree(at))
  expect(tree.entries.some(line => line.includes('written last'))).toBe(true)
  return tree
}

/** A copy of the example whose claims all come back one way, with disks of a size that an emulated processor can bear. */
function homeFor(strategy: string, fsType: string): string {
  const home = join(mkdtempSync(join(place().folder, 'home-')), 'home')
  cpSync(join(root, 'examples/home'), home, { recursive: true })
  const change = (file: string, how: (text: string) => string) =>
    writeFileSync(join(home, file), how(readFileSync(join(home, file), 'utf8')))
  for (const file of ['grafana/claim', 'miniflux/postgres', 'photos/claim', 'scratch/claim'])
    change(`applications/${file}.yaml`, text => text.replace(/storage: \d+Gi/, `storage: ${sizeBytes}`))
  change('applications/synology-csi/storage-class.yaml', text =>
    text.replace('fsType: btrfs', `fsType: ${fsType}`),
  )
  change('recover.yaml', text =>
    text
      .replace('default: adopt', `default: ${strategy}`)
      .replace('grafana/data: copy', `grafana/data: ${strategy}`),
  )
  if (strategy === 'restore') {
    const backup = `{ restic: backups, path: ${backedUpFolder()}, host: nas }`
    const lines = claims.map(claim => `  ${claim}: ${backup}\n`)
    change('recover.yaml', text => `${text}backups:\n${lines.join('')}`)
  }
  return home
}

/** Kills the run right after the first effect of each stage of the volumes, resumes it each time, and lets it end. */
async function dieAtEveryStage(at: Place): Promise<string[]> {
  const stages: string[] = []
  const ahead = () => [
    `every ^after-effect (?!volumes/let-through)(?:protect|volumes)/(?!(?:${stages.join('|') || '-'})\\[)`,
  ]
  let end: End = await at.live('rehearse', ahead())
  while (end === 'SIGKILL') {
    stages.push(/^after-effect [a-z]+\/([a-z-]+)\[/.exec(at.points.at(-1) ?? '')?.[1] ?? '')
    end = await at.goOn(ahead())
  }
  if (end !== 0) throw new Error(`a process ended with ${end}: ${at.complaints}`)
  return stages
}

/** Which disk a claim is bound to at the end. */
function handleOf(at: Place, claim: string): string {
  const objects = [...kubernetesOf(at.labFolder).values()]
  const bound = objects.find(
    o => o.kind === 'PersistentVolumeClaim' && `${o.metadata.namespace}/${o.metadata.name}` === claim,
  )
  expect(bound?.status).toMatchObject({ phase: 'Bound' })
  const { volumeName } = bound!.spec as { volumeName: string }
  const volume = objects.find(o => o.kind === 'PersistentVolume' && o.metadata.name === volumeName)
  return (volume!.spec as { csi: { volumeHandle: string } }).csi.volumeHandle
}

/** Throws what is wrong with a file system that was unmounted. */
function isClean(image: string, fsType: 'ext4' | 'btrfs'): void {
  if (fsType === 'ext4') run('e2fsck', '-fn', image)
  else run('btrfs', 'check', '--readonly', image)
}

/** What is in a folder that is made with the first file in it. */
function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : []
}

/** Whether the lab's process, which lets go of its disks first, has ended. */
function isDown(at: Place): boolean {
  const { pid } = JSON.parse(readFileSync(join(at.labFolder, 'lab.json'), 'utf8')) as { pid: number }
  return !existsSync(`/proc/${pid}`)
}
