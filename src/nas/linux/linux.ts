import { randomUUID } from 'node:crypto'
import { Fault } from '../../runbook/fault.ts'
import {
  mustBeAgreed,
  mustBeCloneOf,
  mustBeIdle,
  mustBeNew,
  mustBeOwnClone,
  mustBeOwnSnapshot,
  notMade,
  stillThere,
} from '../guards.ts'
import { cloneName, type NasDescription, type NasReader, type NasWriter } from '../nas.ts'
import {
  describeFile,
  makeEmpty,
  makeTarget,
  removeLun,
  removeSnapshot,
  removeTarget,
  setTargetState,
  shareBlocks,
} from './changes.ts'
import { type LinuxLook, type LinuxLun, lookScript, parseLook } from './look.ts'

/** A plain Linux box with tgt, whose LUNs are files in one folder. */
export interface LinuxAccess {
  /** Its address, for messages. */
  box: string
  /** Absolute; holds `NAME.img` for each LUN. */
  folder: string
  /** tgt's control number; 0 is the service of a distribution. */
  control?: number
  /** Where tgt reads at its start what it is to show; `/etc/tgt/conf.d` by default. */
  config?: string
  /** Runs a script by sh as root on the box. `looks`: it only reads, and may be done again on a new line. */
  run(script: string, looks: boolean): Promise<{ code: number; stdout: string; stderr: string }>
}

/** What a Linux box is not known to do, whichever it is. */
const alwaysLacks = [
  'tgt lets any number of machines in to one target at a time, and forgets that a target was switched off when it is started again',
  'no CSI driver mounts its LUNs through volumes that recover writes',
]

/** A Linux box as two handles; the reader sends one fixed script that only reads. */
export function connectLinux(access: LinuxAccess): { reader: NasReader; writer: NasWriter } {
  const { box, folder, control = 0, config = '/etc/tgt/conf.d' } = access
  const look = async (): Promise<LinuxLook> => {
    const { code, stdout, stderr } = await access.run(scriptOf({ folder, control }, lookScript), true)
    if (code !== 0) throw refused(box, 'to be looked at', stderr)
    return parseLook(stdout, folder, box)
  }
  const change = async (what: string, script: string, values: Record<string, string | number>) => {
    const { code, stderr } = await access.run(scriptOf({ folder, control, config, ...values }, script), false)
    if (code !== 0) throw refused(box, what, stderr)
  }
  const reader = readerOf(look)
  return { reader, writer: { ...reader, ...changesOf(look, change, access) } }
}

function readerOf(look: () => Promise<LinuxLook>): NasReader {
  return {
    async describe() {
      return describe(await look())
    },
    luns: async () => (await look()).luns.map(({ path: _, ...lun }) => lun),
    targets: async () => (await look()).targets.map(({ connections: _, ...target }) => target),
    shares: async () => [],
    shareSnapshots: async () => [],
    snapshots: async uuid =>
      (await look()).snapshots.filter(s => s.lun === uuid).map(({ path: _, ...snapshot }) => snapshot),
  }
}

function describe(found: LinuxLook): NasDescription {
  const { reflink, fileSystem } = found
  return {
    model: found.system,
    hostname: found.hostname,
    volumes: [
      {
        path: found.luns[0]?.location ?? '',
        fileSystem,
        status: 'normal',
        sizeBytes: found.sizeBytes,
        freeBytes: found.freeBytes,
      },
    ],
    limits: { luns: 0, targets: 0, snapshotsPerLun: 0 },
    can: {
      snapshots: reflink,
      clones: reflink,
      driver: undefined,
      lacks: [
        ...(reflink
          ? []
          : [
              `files on ${fileSystem} cannot share blocks, so that it has neither snapshots nor clones; btrfs and xfs with reflink can`,
            ]),
        ...alwaysLacks,
      ],
    },
  }
}

type Change = (what: string, script: string, values: Record<string, string | number>) => Promise<void>

function changesOf(
  look: () => Promise<LinuxLook>,
  change: Change,
  { box, folder }: LinuxAccess,
): Omit<NasWriter, keyof NasReader> {
  const shared = (from: LinuxLun, { reflink, fileSystem }: LinuxLook) => {
    if (reflink && from.status === 'normal') return
    throw new Fault({
      code: 'nas-cannot',
      blame: 'operator',
      message: `${box} cannot take a snapshot or make a clone of ${from.name}: ${reflink ? `it lies outside ${folder}` : `files on ${fileSystem} cannot share blocks`}`,
      remedy: 'Put the LUN’s file into a folder on btrfs or xfs, or copy its files by hand',
    })
  }
  const lunOf = (found: LinuxLook, uuid: string) => {
    const lun = found.luns.find(l => l.uuid === uuid)
    if (lun === undefined) throw notMade(box, `the LUN ${uuid}`)
    return lun
  }
  /** Gives a file a target of its own. */
  const shown = async (name: string, file: LinuxLun) => {
    await change(`the target ${name}`, makeTarget, {
      name,
      iqn: `iqn.2026-01.dev.recover:${name}`,
      file: file.path,
      uuid: file.uuid,
    })
    const found = await look()
    const leads = found.targets.find(t => t.name === name)?.mappings.some(m => m.lun === file.uuid)
    if (!leads) throw notMade(box, `the mapped LUN ${name}`)
    const { path: _, ...lun } = lunOf(found, file.uuid)
    return lun
  }
  const dropTarget = async (name: string) => {
    const target = (await look()).targets.find(t => t.name === name)
    if (target && (target.mappings.length > 0 || target.sessions.length > 0)) return
    await change(`to delete the target ${name}`, removeTarget, { tid: target?.id ?? '', name })
  }
  const remove = async (lun: LinuxLun, found: LinuxLook) => {
    const target = found.targets.find(t => t.mappings.some(m => m.lun === lun.uuid))
    await change(`to delete ${lun.name}`, removeLun, {
      tid: target?.id ?? '',
      unit: target?.mappings.find(m => m.lun === lun.uuid)?.index ?? '',
      uuid: lun.uuid,
      file: lun.path,
    })
  }

  /** It has LUNs alone. */
  const noShares = async (): Promise<never> => {
    throw new Fault({
      code: 'nas-cannot',
      blame: 'operator',
      message: `${box} has no shared folders that a recovery could use`,
      remedy: 'Bring what is on its shared folders back by hand',
    })
  }
  return {
    snapshotShare: noShares,
    closeShare: noShares,
    cloneShare: noShares,
    describeShare: noShares,
    deleteShare: noShares,
    deleteShareSnapshot: noShares,
    dropOwnShareClone: noShares,
    async takeSnapshot(uuid, name, description) {
      const of = (found: LinuxLook) => found.snapshots.find(s => s.lun === uuid && s.name === name)
      const found = await look()
      const there = of(found)
      if (!there) {
        const lun = lunOf(found, uuid)
        shared(lun, found)
        await change(`the snapshot ${name}`, shareBlocks, {
          from: lun.path,
          to: `${folder}/.snapshots/${uuid}/${asFileName(name)}.img`,
          mode: '0400',
          uuid: randomUUID(),
          parent: uuid,
          description: oneLine(description),
        })
      }
      const taken = there ?? of(await look())
      if (!taken) throw notMade(box, `the snapshot ${name}`)
      const { path: _, ...snapshot } = taken
      return snapshot
    },

    async setTargetEnabled(id, enabled) {
      const of = (found: LinuxLook) => {
        const target = found.targets.find(t => t.id === id)
        if (!target) throw notMade(box, `target ${id}`)
        return target
      }
      const before = of(await look())
      if (before.enabled !== enabled || (!enabled && before.sessions.length > 0))
        await change(`to switch ${before.name} ${enabled ? 'on' : 'off'}`, setTargetState, {
          tid: id,
          state: enabled ? 'ready' : 'offline',
          connections: enabled ? '' : before.connections.map(c => `${c.session}:${c.connection}`).join(' '),
        })
      const { connections: _, ...after } = of(await look())
      if (after.enabled !== enabled)
        throw notMade(box, `${enabled ? 'an enabled' : 'a disabled'} target ${after.name}`)
      return after
    },

    async clone(source, as) {
      const name = asFileName(as.name)
      const named = (found: LinuxLook) => found.luns.find(l => l.name === name && l.location === folder)
      const found = await look()
      const original = lunOf(found, source.lun)
      const there = named(found)
      if (there) mustBeCloneOf(there, original)
      else {
        shared(original, found)
        const snapshot = found.snapshots.find(s => s.uuid === source.snapshot)
        if (source.snapshot !== undefined && !snapshot) throw notMade(box, `the snapshot ${source.snapshot}`)
        await change(`the clone ${name}`, shareBlocks, {
          from: snapshot?.path ?? original.path,
          to: `${folder}/${name}.img`,
          mode: '0600',
          uuid: randomUUID(),
          parent: source.lun,
          description: oneLine(as.description),
        })
      }
      const clone = there ?? named(await look())
      if (!clone) throw notMade(box, `the clone ${name}`)
      return shown(name, clone)
    },

    async createLun(wanted) {
      const name = asFileName(wanted.name)
      const named = (found: LinuxLook) => found.luns.find(l => l.name === name && l.location === folder)
      const there = named(await look())
      if (there) mustBeNew(there, wanted)
      else
        await change(`the LUN ${name}`, makeEmpty, {
          to: `${folder}/${name}.img`,
          bytes: wanted.sizeBytes,
          uuid: randomUUID(),
          description: oneLine(wanted.description),
        })
      const made = there ?? named(await look())
      if (!made) throw notMade(box, `the LUN ${name}`)
      return shown(name, made)
    },

    async describeLun(uuid, description) {
      const text = oneLine(description)
      const lun = lunOf(await look(), uuid)
      if (lun.description === text) return
      if (lun.status !== 'normal') throw notAFile(box, 'say anything of', lun.name, folder)
      await change(`to describe ${lun.name}`, describeFile, {
        to: lun.path,
        uuid,
        parent: lun.parent ?? '',
        description: text,
      })
      if (lunOf(await look(), uuid).description !== text) throw notMade(box, `the description of ${lun.name}`)
    },

    async deleteLun(agreed) {
      const found = await look()
      const lun = found.luns.find(l => l.uuid === agreed.uuid)
      if (lun) {
        mustBeAgreed(lun, agreed)
        mustBeIdle(
          agreed,
          found.targets.filter(t => t.mappings.some(m => m.lun === lun.uuid)),
        )
        if (lun.status !== 'normal') throw notAFile(box, 'delete', lun.name, folder)
        await remove(lun, found)
      }
      if ((await look()).luns.some(l => l.uuid === agreed.uuid))
        throw stillThere(box, `the LUN ${agreed.name}`)
      await dropTarget(agreed.name)
    },

    async deleteSnapshot(agreed) {
      const of = (found: LinuxLook) =>
        found.snapshots.find(s => s.uuid === agreed.uuid && s.lun === agreed.lun)
      const found = of(await look())
      if (!found) return
      mustBeOwnSnapshot(found, agreed)
      await change(`to delete the snapshot ${agreed.name}`, removeSnapshot, { file: found.path })
      if (of(await look())) throw stillThere(box, `the snapshot ${agreed.name}`)
    },

    async dropOwnClone(clone) {
      const found = await look()
      const lun = found.luns.find(l => l.uuid === clone.uuid)
      if (lun) {
        mustBeOwnClone(lun, clone)
        await remove(lun, found)
      }
      if (clone.name.startsWith(cloneName(clone.run, ''))) await dropTarget(clone.name)
      if ((await look()).luns.some(l => l.uuid === clone.uuid))
        throw stillThere(box, `the clone ${clone.uuid}`)
    },
  }
}

/** Values reach the script as quoted assignments, never as code. */
function scriptOf(values: Record<string, string | number>, script: string): string {
  const assignments = Object.entries(values).map(
    ([name, value]) => `${name}='${String(value).replaceAll("'", "'\\''")}'`,
  )
  return `set -eu\nexport LC_ALL=C\n${assignments.join('\n')}\n${script}`
}

/** Names become names of files and parts of an IQN. */
function asFileName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9.:-]{0,200}$/.test(name)) return name
  throw new Fault({
    code: 'nas-name-unfit',
    blame: 'bug',
    message: `${JSON.stringify(name)} cannot be the name of a LUN or a snapshot`,
    remedy: 'Report it; nothing was changed',
  })
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ')
}

function notAFile(box: string, what: string, name: string, folder: string): Fault {
  return new Fault({
    code: 'nas-cannot',
    blame: 'operator',
    message: `${box} does not ${what} ${name}: it lies outside ${folder}`,
    remedy: 'Look after it there by hand',
  })
}

function refused(box: string, what: string, stderr: string): Fault {
  const full = /No space left on device|Disk quota exceeded/.test(stderr)
  const said = stderr.trim().split('\n').at(-1) ?? ''
  return full
    ? new Fault({
        code: 'nas-full',
        blame: 'operator',
        message: `${box} refused ${what}: its file system is full (${said})`,
        remedy: 'Free space there, then run `recover resume`',
      })
    : new Fault({
        code: 'nas-refused',
        blame: 'host',
        message: `${box} refused ${what}: ${said || 'it does not say why'}`,
        remedy: 'Look at it there; when it is mended, run `recover resume`',
      })
}
