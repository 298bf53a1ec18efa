import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { World } from '../world.ts'
import { type DiskName, type Disks, folderDisks } from './disks.ts'
import {
  type LunState,
  lunTypes,
  type NasState,
  type ShareState,
  type SnapshotState,
  type TargetState,
} from './state.ts'

/** Refused with a DSM error code. */
export class DsmError extends Error {
  readonly code: number
  constructor(code: number) {
    super(`DSM error ${code}`)
    this.code = code
  }
}

/** Tables and disks of the NAS, written to the world before anyone is told. */
export class NasStore {
  readonly state: NasState
  readonly world: World
  readonly disks: Disks
  /** Of shares, which are folders whatever LUNs are. */
  readonly folders: Disks

  constructor(world: World, disks: Disks) {
    this.world = world
    this.disks = disks
    this.folders = folderDisks(world)
    const stored = world.read<NasState>('nas')
    this.state = stored ?? { nextLun: 1, nextTarget: 1, luns: [], targets: [], snapshots: [] }
    if (!stored) this.seed()
    this.save()
  }

  save(): void {
    this.world.write('nas', this.state)
    this.disks.show(this.state.targets, this.state.luns)
  }

  /** Everybody who is logged in to a target. */
  sessionsOf(target: TargetState): TargetState['sessions'] {
    return [...target.sessions, ...this.disks.sessions(target)]
  }

  lun(uuidOrName: string): LunState {
    const lun = this.state.luns.find(l => l.uuid === uuidOrName || l.name === uuidOrName)
    if (!lun) throw new DsmError(18990531)
    return lun
  }

  target(idOrName: unknown): TargetState {
    // An id that is not quoted arrives as a number, which DSM refuses.
    const target =
      typeof idOrName === 'string'
        ? this.state.targets.find(t => String(t.id) === idOrName || t.name === idOrName)
        : undefined
    if (!target) throw new DsmError(18990710)
    return target
  }

  targetById(id: number): TargetState {
    const target = this.state.targets.find(t => t.id === id)
    if (!target) throw new DsmError(18990710)
    return target
  }

  createLun(
    lun: Pick<LunState, 'name' | 'size' | 'type' | 'location' | 'description'> & Partial<LunState>,
  ): LunState {
    const { blueprint } = this.world
    this.mustBeFreeName(lun.name)
    if (lunTypes[lun.type] === undefined) throw new DsmError(18990500)
    if (lun.size <= 0) throw new DsmError(18990502)
    if (this.state.luns.length >= blueprint.nas.limits.luns) throw new DsmError(18990541)
    if (lun.location !== blueprint.nas.volumePath) throw new DsmError(18990501)
    if (this.world.suffers('nas-full', 'nas') || lun.size > this.freeBytes()) throw new DsmError(18990002)
    const made: LunState = {
      uuid: this.world.newUuid(),
      lunId: this.state.nextLun,
      parent: '',
      lockedUntil: 0,
      fsType: null,
      ...lun,
    }
    this.state.nextLun += 1
    this.disks.make(`luns/${made.uuid}`, made.size)
    this.state.luns.push(made)
    // Seen on DSM 7: a name of exactly 255 characters is refused, and the LUN is there all the same.
    if (lun.name.length === 255) throw new DsmError(18990068)
    return made
  }

  /** Throws what is said of a name that no LUN can have, or that one has. */
  mustBeFreeName(name: string): void {
    if (!/^[A-Za-z0-9.:()-]{1,255}$/.test(name)) throw new DsmError(18990503)
    if (this.state.luns.some(l => l.name === name)) throw new DsmError(18990538)
  }

  /** Thin LUNs are promised, not filled; the emulator counts promises, so that "full" can be reached on purpose. */
  freeBytes(): number {
    const promised = this.state.luns.reduce((sum, l) => sum + (l.parent ? 0 : l.size), 0)
    return Math.max(0, this.world.blueprint.nas.volumeSizeBytes - promised)
  }

  cloneOf(source: LunState, from: DiskName, name: string): LunState {
    const made = this.createLun({
      name,
      size: source.size,
      type: source.type,
      location: source.location,
      description: '',
      parent: source.uuid,
      fsType: source.fsType,
      lockedUntil: Date.now() + this.world.blueprint.latency.clone,
      ...(source.attributes ? { attributes: source.attributes } : {}),
    })
    this.disks.copy(from, `luns/${made.uuid}`)
    return made
  }

  createTarget(name: string, iqn: string, maxSessions: number, chap?: TargetState['chap']): TargetState {
    if (this.state.targets.some(t => t.name === name)) throw new DsmError(18990744)
    if (this.state.targets.some(t => t.iqn === iqn)) throw new DsmError(18990745)
    const { targets } = this.world.blueprint.nas.limits
    if (this.state.targets.length >= targets || this.world.suffers('nas-limit-reached', 'nas'))
      throw new DsmError(18990542)
    const target: TargetState = {
      id: this.state.nextTarget,
      name,
      iqn,
      enabled: true,
      maxSessions,
      mappings: [],
      sessions: [],
      ...(chap ? { chap } : {}),
    }
    this.state.nextTarget += 1
    this.state.targets.push(target)
    return target
  }

  map(lun: LunState, target: TargetState): void {
    if (target.mappings.some(m => m.lun === lun.uuid)) return
    let index = 1
    while (target.mappings.some(m => m.index === index)) index += 1
    target.mappings.push({ lun: lun.uuid, index })
  }

  deleteLun(lun: LunState): void {
    this.state.luns = this.state.luns.filter(l => l !== lun)
    for (const snapshot of this.state.snapshots.filter(s => s.lun === lun.uuid)) this.deleteSnapshot(snapshot)
    for (const target of this.state.targets) target.mappings = target.mappings.filter(m => m.lun !== lun.uuid)
    // Nobody may be let in to what is not there any more.
    this.disks.show(this.state.targets, this.state.luns)
    this.disks.remove(`luns/${lun.uuid}`)
  }

  grow(lun: LunState, sizeBytes: number): void {
    if (sizeBytes < lun.size) throw new DsmError(18990502)
    this.disks.grow(`luns/${lun.uuid}`, sizeBytes)
    lun.size = sizeBytes
  }

  takeSnapshot(lun: LunState, name: string, description: string, takenBy: string): SnapshotState {
    const others = this.state.snapshots.filter(s => s.lun === lun.uuid)
    if (others.some(s => s.name === name)) throw new DsmError(18990513)
    if (others.length >= this.world.blueprint.nas.limits.snapshotsPerLun) throw new DsmError(18990543)
    const snapshot: SnapshotState = {
      uuid: this.world.newUuid(),
      id: this.state.snapshots.length + 1,
      name,
      lun: lun.uuid,
      description,
      takenBy,
      size: lun.size,
      created: Math.floor(Date.now() / 1000),
    }
    this.disks.copy(`luns/${lun.uuid}`, `snapshots/${snapshot.uuid}`)
    this.state.snapshots.push(snapshot)
    return snapshot
  }

  deleteSnapshot(snapshot: SnapshotState): void {
    this.state.snapshots = this.state.snapshots.filter(s => s !== snapshot)
    this.disks.remove(`snapshots/${snapshot.uuid}`)
  }

  snapshot(uuid: string): SnapshotState {
    const snapshot = this.state.snapshots.find(s => s.uuid === uuid)
    if (!snapshot) throw new DsmError(18990532)
    return snapshot
  }

  /** The LUN as it was when the snapshot was taken. */
  rollBack(lun: LunState, snapshot: SnapshotState): void {
    this.disks.copy(`snapshots/${snapshot.uuid}`, `luns/${lun.uuid}`)
  }

  shares(): ShareState[] {
    this.state.shares ??= []
    return this.state.shares
  }

  share(name: string): ShareState {
    const share = this.shares().find(s => s.name === name)
    if (!share) throw new DsmError(402)
    return share
  }

  createShare(
    name: string,
    share: Pick<ShareState, 'volume' | 'description' | 'quota'> & Partial<ShareState>,
  ): ShareState {
    if (!/^[^/\\]{1,32}$/.test(name)) throw new DsmError(3305)
    if (this.shares().some(s => s.name === name)) throw new DsmError(3301)
    if (share.volume !== this.world.blueprint.nas.volumePath) throw new DsmError(3304)
    if (share.quota * 2 ** 20 > this.freeBytes()) throw new DsmError(3320)
    const made = { name, uuid: this.world.newUuid(), rules: [], permissions: [], snapshots: [], ...share }
    this.folders.make(`shares/${made.uuid}`, 0)
    // As DSM does at once where one is wanted: seen by NFS, and no data.
    if (made.recycleBin) {
      const bin = join(this.folders.filesOf(`shares/${made.uuid}`), '#recycle')
      mkdirSync(bin, { recursive: true })
      writeFileSync(join(bin, 'desktop.ini'), '')
    }
    this.shares().push(made)
    return made
  }

  deleteShare(share: ShareState): void {
    this.state.shares = this.shares().filter(s => s !== share)
    for (const { uuid } of share.snapshots) this.forgetSnapshot(uuid)
    this.folders.remove(`shares/${share.uuid}`)
  }

  /** A share's files become those of another, or of a snapshot. */
  fillShare(share: ShareState, from: DiskName): void {
    this.folders.copy(from, `shares/${share.uuid}`)
  }

  keepShare(share: ShareState, snapshot: string): void {
    this.folders.copy(`shares/${share.uuid}`, `snapshots/${snapshot}`)
  }

  forgetSnapshot(snapshot: string): void {
    this.folders.remove(`snapshots/${snapshot}`)
  }

  /** Bytes of the files of a share. */
  usedOf(share: string): number {
    const folder = this.folders.filesOf(`shares/${share}`)
    // One that was made from a recording has none.
    if (!existsSync(folder)) return 0
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
  }

  private seed(): void {
    const { nas } = this.world.blueprint
    for (const lun of nas.luns) {
      const made = this.createLun({
        uuid: lun.uuid,
        name: `k8s-csi-${lun.pv}`,
        size: lun.sizeBytes,
        type: 'BLUN',
        location: nas.volumePath,
        description: lun.described ? lun.claim : '',
        fsType: lun.fsType,
      })
      const iqn = `iqn.2000-01.com.synology:${nas.hostname}.${lun.pv}`
      this.map(made, this.createTarget(`k8s-csi-${lun.pv}`, iqn, 1))
      if (lun.image === undefined) this.disks.fill(`luns/${lun.uuid}`, lun.fsType, lun.files)
      else this.disks.load(`luns/${lun.uuid}`, lun.image)
    }
    for (const share of nas.shares ?? []) {
      this.createShare(`k8s-csi-${share.pv}`.slice(0, 32), {
        uuid: share.uuid,
        volume: nas.volumePath,
        description: 'Created by Synology K8s CSI',
        quota: Math.ceil(share.sizeBytes / 2 ** 20),
        rules: share.clients.map(client => ({ client, privilege: 'rw', root_squash: 'root' })),
      })
      this.folders.fill(`shares/${share.uuid}`, '', share.files)
    }
  }
}
