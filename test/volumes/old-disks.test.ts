import { expect, test } from 'vitest'
import { ageInDays, type FormerRun, oldDisks } from '../../src/volumes/old-disks.ts'

const lun = (uuid: string) => ({ uuid, name: `k8s-csi-${uuid}`, sizeBytes: 1 })
const run = (id: string, volumes: FormerRun['volumes']): FormerRun => ({
  run: id,
  ended: `2026-11-0${id}T00:00:00.000Z`,
  volumes,
})
const nas = (uuids: string[]) => ({ luns: uuids.map(lun), targets: [], snapshots: [] })
const named = (found: { uuid: string }[]) => found.map(f => f.uuid)

test('a LUN in whose place another was put is old; one that was adopted is not', () => {
  const runs = [
    run('1', [
      { claim: 'a/a', lun: 'a-1', replacedBy: 'a-2' },
      { claim: 'b/b', lun: 'b-1' },
    ]),
  ]
  expect(oldDisks(runs, nas(['a-1', 'a-2', 'b-1', 'foreign']))).toMatchObject([
    { kind: 'lun', uuid: 'a-1', claim: 'a/a', replacedBy: 'a-2', run: '1' },
  ])
  expect(oldDisks(runs, nas(['a-2', 'b-1']))).toEqual([])
})

test('of several runs the newest says what holds the data: a disk that came back is none', () => {
  const there = nas(['a-1', 'a-2', 'a-3'])
  const first = run('1', [{ claim: 'a/a', lun: 'a-1', replacedBy: 'a-2' }])
  expect(
    named(oldDisks([first, run('2', [{ claim: 'a/a', lun: 'a-2', replacedBy: 'a-3' }])], there)),
  ).toEqual(['a-1', 'a-2'])
  // The person went back to the first one and adopted it.
  expect(oldDisks([first, run('2', [{ claim: 'a/a', lun: 'a-1' }])], there)).toEqual([])
})

test('snapshots that a run took are listed with their LUN, others’ are not', () => {
  const snapshots = [
    { uuid: 's-1', name: 'recover-1', lun: 'b-1', sizeBytes: 1 },
    { uuid: 's-2', name: 'SnapShot-7', lun: 'b-1', sizeBytes: 1 },
  ]
  const targets = [{ mappings: [{ lun: 'b-1' }], sessions: [{ initiator: 'iqn.node', ip: '192.0.2.11' }] }]
  const found = oldDisks([run('1', [{ claim: 'b/b', lun: 'b-1' }])], {
    luns: [lun('b-1')],
    targets,
    snapshots,
  })
  expect(found).toMatchObject([
    { kind: 'snapshot', uuid: 's-1', lun: 'b-1', sessions: ['iqn.node (192.0.2.11)'] },
  ])
  expect(ageInDays(found[0]!, new Date('2026-11-09T12:00:00Z'))).toBe(8)
})
