import { expect, test } from 'vitest'
import { lunNamed, lunOf, targetNamed, targetOf } from '../../src/nas/lists.ts'
import type { NasReader } from '../../src/nas/nas.ts'
import { oneLook } from '../../src/nas/one-look.ts'
import { connectedNas } from './connected-nas.ts'

/** A reader that notes what it is asked. */
function heard(reader: NasReader, asked: string[]): NasReader {
  return {
    describe: () => reader.describe(),
    luns: async () => {
      asked.push('luns')
      return reader.luns()
    },
    targets: async () => {
      asked.push('targets')
      return reader.targets()
    },
    shares: () => reader.shares(),
    shareSnapshots: share => reader.shareSnapshots(share),
    snapshots: async lun => {
      asked.push(`snapshots ${lun}`)
      return reader.snapshots(lun)
    },
  }
}

test('for a plan a NAS is asked for each list once, at the same time and later, and a run sees what changed since', async () => {
  const { writer, lun } = await connectedNas()
  const asked: string[] = []
  const plan = oneLook(heard(writer, asked))
  const [luns, same] = await Promise.all([plan.luns(), plan.luns()])
  expect(same).toBe(luns)
  const before = await plan.snapshots(lun.uuid)
  await writer.clone({ lun: lun.uuid }, { name: 'k8s-csi-later', description: '' })
  await writer.takeSnapshot(lun.uuid, 'recover-later', '')
  expect(await plan.luns()).toBe(luns)
  expect(await plan.snapshots(lun.uuid)).toBe(before)
  expect(asked).toEqual(['luns', `snapshots ${lun.uuid}`])
  // What writes is given the NAS itself.
  expect(lunNamed(await writer.luns(), 'k8s-csi-later')).toBeDefined()
  expect(lunNamed(luns, 'k8s-csi-later')).toBeUndefined()
})

test('a list that could not be read is asked for again', async () => {
  const { reader } = await connectedNas()
  const asked: string[] = []
  let away = true
  const plan = oneLook(
    heard({ ...reader, targets: () => (away ? Promise.reject(new Error('away')) : reader.targets()) }, asked),
  )
  await expect(plan.targets()).rejects.toThrow('away')
  away = false
  expect(await plan.targets()).toEqual(await reader.targets())
  expect(asked).toEqual(['targets', 'targets'])
})

test('what is found in a list is what looking through it finds: the first of several, nothing of none', async () => {
  const { writer, lun } = await connectedNas()
  await writer.clone({ lun: lun.uuid }, { name: 'k8s-csi-other', description: '' })
  const luns = await writer.luns()
  const targets = await writer.targets()
  for (const { uuid, name } of luns) {
    expect(lunOf(luns, uuid)).toBe(luns.find(l => l.uuid === uuid))
    expect(lunNamed(luns, name)).toBe(luns.find(l => l.name === name))
    expect(targetOf(targets, uuid)).toBe(targets.find(t => t.mappings.some(m => m.lun === uuid)))
  }
  for (const { name } of targets) expect(targetNamed(targets, name)).toBe(targets.find(t => t.name === name))
  const [first] = targets
  const twice = [first!, { ...first!, id: 99 }]
  expect(targetOf(twice, first!.mappings[0]!.lun)).toBe(first)
  expect(lunOf(luns, undefined)).toBeUndefined()
  expect(targetOf(targets, 'none')).toBeUndefined()
})
