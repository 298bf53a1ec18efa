import { describe, expect, test } from 'vitest'
import { cloneName, type NasReader, type NasWriter } from '../../src/nas/nas.ts'

/** A NAS with one LUN on it, behind one target, and what stands beside our client. */
export interface ContractNas {
  reader: NasReader
  writer: NasWriter
  lun: { uuid: string; name: string; sizeBytes: number }
  /** Whether an initiator gets in to the target of a LUN; it stays logged in until it is put out or leaves. */
  login(lun: string, initiator: string): Promise<boolean>
  logout(lun: string, initiator: string): Promise<void>
  /** A few bytes at the beginning of what a LUN holds. */
  write(lun: string, text: string): void
  read(lun: string): string
}

const run = '20261128-1'
const name = cloneName(run, 'photos')
const description = `recover run ${run}`

/** What every NAS must do behind the same interface. `open` gives a fresh one for each test. */
export function nasContract(title: string, open: () => Promise<ContractNas>): void {
  describe(`${title} as a NAS`, () => {
    test('lists its LUN with the target that leads to it, and says what it can do', async () => {
      const { reader, lun } = await open()
      expect(await reader.luns()).toEqual([
        expect.objectContaining({ ...lun, status: 'normal', locked: false }),
      ])
      expect(await reader.targets()).toEqual([
        expect.objectContaining({
          name: lun.name,
          enabled: true,
          authenticated: false,
          sessions: [],
          mappings: [{ lun: lun.uuid, index: 1 }],
        }),
      ])
      expect([await reader.snapshots(lun.uuid), await reader.shares()]).toEqual([[], []])
      const about = await reader.describe()
      expect(about.can).toMatchObject({ snapshots: true, clones: true })
      expect(about.can.driver === undefined ? about.can.lacks.length : 1).toBeGreaterThan(0)
      expect(about.volumes[0]).toMatchObject({ status: 'normal' })
      expect(about.volumes[0]!.freeBytes).toBeLessThanOrEqual(about.volumes[0]!.sizeBytes)
      expect([about.model, about.hostname].every(text => text.length > 0)).toBe(true)
    })

    test('takes a snapshot once, whatever is repeated', async () => {
      const { writer, lun } = await open()
      const first = await writer.takeSnapshot(lun.uuid, `recover-${run}`, 'before the run')
      expect(first).toMatchObject({ lun: lun.uuid, name: `recover-${run}`, sizeBytes: lun.sizeBytes })
      expect(await writer.takeSnapshot(lun.uuid, `recover-${run}`, 'before the run')).toEqual(first)
      expect(await writer.snapshots(lun.uuid)).toEqual([first])
      expect(await writer.luns()).toHaveLength(1)
    })

    test('clones what the snapshot held, with a target of its own, once', async () => {
      const nas = await open()
      const { writer, lun } = nas
      nas.write(lun.uuid, 'two people')
      const snapshot = await writer.takeSnapshot(lun.uuid, `recover-${run}`, '')
      nas.write(lun.uuid, 'overwritten')
      const clone = await writer.clone({ lun: lun.uuid, snapshot: snapshot.uuid }, { name, description })
      expect(clone).toMatchObject({
        name,
        description,
        parent: lun.uuid,
        sizeBytes: lun.sizeBytes,
        status: 'normal',
      })
      expect(await writer.clone({ lun: lun.uuid, snapshot: snapshot.uuid }, { name, description })).toEqual(
        clone,
      )
      expect(nas.read(clone.uuid)).toBe('two people')
      expect(nas.read(lun.uuid)).toBe('overwritten')
      nas.write(clone.uuid, 'the clone’s own')
      expect(nas.read(lun.uuid)).toBe('overwritten')
      const [, own] = await writer.targets()
      expect(own).toMatchObject({ name, enabled: true, mappings: [{ lun: clone.uuid, index: 1 }] })
      expect((await writer.luns()).map(l => l.uuid).sort()).toEqual([lun.uuid, clone.uuid].sort())
      expect(await nas.login(clone.uuid, 'iqn.2026-01.test:new')).toBe(true)
      await nas.logout(clone.uuid, 'iqn.2026-01.test:new')
    })

    test('leaves a LUN alone that has the clone’s name and is none', async () => {
      const { writer, lun } = await open()
      await expect(writer.clone({ lun: lun.uuid }, { name: lun.name, description })).rejects.toMatchObject({
        code: 'nas-name-taken',
      })
      expect(await writer.luns()).toHaveLength(1)
    })

    test('makes an empty LUN with a target of its own once, and takes none for it that is smaller or a clone', async () => {
      const nas = await open()
      const { writer, lun } = nas
      const wanted = {
        name: 'k8s-csi-copy-photos',
        description: 'photos/library',
        sizeBytes: lun.sizeBytes,
        beside: lun.uuid,
      }
      const made = await writer.createLun(wanted)
      const { name, description, sizeBytes } = wanted
      expect(made).toMatchObject({ name, description, sizeBytes, status: 'normal', locked: false })
      expect(made.parent).toBeUndefined()
      for (const again of [wanted, { ...wanted, sizeBytes: sizeBytes / 2 }])
        expect(await writer.createLun(again)).toEqual(made)
      await writer.clone({ lun: lun.uuid }, { name: cloneName(run, 'photos'), description: '' })
      for (const taken of [{ sizeBytes: sizeBytes + 1 }, { name: cloneName(run, 'photos') }])
        await expect(writer.createLun({ ...wanted, ...taken })).rejects.toMatchObject({
          code: 'nas-name-taken',
        })
      expect((await writer.targets()).find(t => t.name === name)).toMatchObject({
        enabled: true,
        mappings: [{ lun: made.uuid, index: 1 }],
      })
      expect(await writer.luns()).toHaveLength(3)
      expect(await nas.login(made.uuid, 'iqn.2026-01.test:new')).toBe(true)
      await nas.logout(made.uuid, 'iqn.2026-01.test:new')
    })

    test('drops a clone of this run, and no other LUN', async () => {
      const { writer, lun } = await open()
      const refused = { code: 'not-our-clone' }
      await expect(
        writer.dropOwnClone({ uuid: lun.uuid, name: lun.name, parent: '', run }),
      ).rejects.toMatchObject(refused)
      const { uuid } = await writer.clone({ lun: lun.uuid }, { name, description })
      for (const other of [{ run: '20261128-2' }, { parent: uuid }, { name: cloneName(run, 'other') }])
        await expect(
          writer.dropOwnClone({ uuid, name, parent: lun.uuid, run, ...other }),
        ).rejects.toMatchObject(refused)
      for (const _ of [1, 2]) await writer.dropOwnClone({ uuid, name, parent: lun.uuid, run })
      expect((await writer.luns()).map(l => l.uuid)).toEqual([lun.uuid])
      expect(await writer.targets()).toHaveLength(1)
    })

    test('a target that is switched off puts out who is in and lets nobody in', async () => {
      const nas = await open()
      const { writer, lun } = nas
      expect(await nas.login(lun.uuid, 'iqn.2026-01.test:old')).toBe(true)
      const [target] = await writer.targets()
      expect(target!.sessions).toEqual([{ initiator: 'iqn.2026-01.test:old', ip: '127.0.0.1' }])
      for (const _ of [1, 2])
        expect(await writer.setTargetEnabled(target!.id, false)).toMatchObject({
          enabled: false,
          sessions: [],
        })
      expect(await nas.login(lun.uuid, 'iqn.2026-01.test:old')).toBe(false)
      expect((await writer.targets())[0]!.sessions).toEqual([])
      expect(await writer.setTargetEnabled(target!.id, true)).toMatchObject({ enabled: true })
      expect(await nas.login(lun.uuid, 'iqn.2026-01.test:new')).toBe(true)
      await nas.logout(lun.uuid, 'iqn.2026-01.test:new')
    })

    test('a target lets in as many machines as it says, and the next one when there is room', async () => {
      const nas = await open()
      const { reader, lun } = nas
      const inside = async () => (await reader.targets())[0]!.sessions.map(s => s.initiator)
      expect(await nas.login(lun.uuid, 'iqn.2026-01.test:one')).toBe(true)
      expect(await inside()).toEqual(['iqn.2026-01.test:one'])
      const { maxSessions } = (await reader.targets())[0]!
      expect([0, 1]).toContain(maxSessions)
      expect(await nas.login(lun.uuid, 'iqn.2026-01.test:two')).toBe(maxSessions === 0)
      expect(await inside()).toContain('iqn.2026-01.test:one')
      if (maxSessions === 0) await nas.logout(lun.uuid, 'iqn.2026-01.test:two')
      await nas.logout(lun.uuid, 'iqn.2026-01.test:one')
      expect(await nas.login(lun.uuid, 'iqn.2026-01.test:two')).toBe(true)
      expect(await inside()).toEqual(['iqn.2026-01.test:two'])
      await nas.logout(lun.uuid, 'iqn.2026-01.test:two')
      const both = ['iqn.2026-01.test:one', 'iqn.2026-01.test:two']
      await Promise.all(both.map(initiator => nas.login(lun.uuid, initiator)))
      expect(await inside()).toHaveLength(maxSessions === 0 ? 2 : 1)
      for (const initiator of both) await nas.logout(lun.uuid, initiator)
    })

    test('deletes the LUN that was agreed to with all that belongs to it, and no other', async () => {
      const nas = await open()
      const { writer, lun } = nas
      await writer.takeSnapshot(lun.uuid, `recover-${run}`, '')
      for (const other of [{ name: 'k8s-csi-other' }, { sizeBytes: lun.sizeBytes + 1 }])
        await expect(writer.deleteLun({ ...lun, ...other })).rejects.toMatchObject({ code: 'lun-differs' })
      await nas.login(lun.uuid, 'iqn.2026-01.test:somebody')
      await expect(writer.deleteLun(lun)).rejects.toMatchObject({ code: 'lun-in-use' })
      expect(await writer.luns()).toHaveLength(1)
      await nas.logout(lun.uuid, 'iqn.2026-01.test:somebody')
      for (const _ of [1, 2]) await writer.deleteLun(lun)
      expect([await writer.luns(), await writer.targets()]).toEqual([[], []])
    })

    test('says in a LUN’s description whose it is, and changes nothing else of it', async () => {
      const { writer, lun } = await open()
      const [before] = await writer.luns()
      for (const _ of [1, 2]) await writer.describeLun(lun.uuid, 'photos/it’s the library')
      expect(await writer.luns()).toEqual([{ ...before, description: 'photos/it’s the library' }])
    })

    test('deletes a run’s snapshot by uuid and name, and no other', async () => {
      const { writer, lun } = await open()
      const ours = await writer.takeSnapshot(lun.uuid, `recover-${run}`, '')
      const daily = await writer.takeSnapshot(lun.uuid, 'daily', '')
      for (const other of [daily, { ...ours, name: 'recover-other' }])
        await expect(
          writer.deleteSnapshot({ uuid: other.uuid, lun: lun.uuid, name: other.name }),
        ).rejects.toMatchObject({ code: 'lun-differs' })
      for (const _ of [1, 2]) await writer.deleteSnapshot({ uuid: ours.uuid, lun: lun.uuid, name: ours.name })
      expect((await writer.snapshots(lun.uuid)).map(s => s.name)).toEqual(['daily'])
    })
  })
}
