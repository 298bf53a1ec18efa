import { expect, test } from 'vitest'
import { ageInDays, type FormerRun, oldDisks } from '../../src/volumes/old-disks.ts'

const lun = (uuid: string) => ({ uuid, name: `k8s-csi-${uuid}`, sizeBytes: 1 })
const run = (id: string, volumes: FormerRun['volumes']): FormerRun => ({
  run: id,
  ended: `2026-11-0${id}T00:00:00.000Z`,
  volumes,
})
const nothing = { luns: [], targets: [], snapshots: [], shares: [], shareSnapshots: [] }
const nas = (uuids: string[]) => ({ ...nothing, luns: uuids.map(lun) })
const named = (found: { uuid: string }[]) => found.map(f => f.uuid)

test('a LUN in whose place another was put is old; one that was adopted is not', () => {
  const runs = [
    run('1', [
      { claim: 'a/a', disk: 'a-1', replacedBy: 'a-2' },
      { claim: 'b/b', disk: 'b-1' },
    ]),
  ]
  expect(oldDisks(runs, nas(['a-1', 'a-2', 'b-1', 'foreign']))).toMatchObject([
    { kind: 'lun', uuid: 'a-1', claim: 'a/a', replacedBy: 'a-2', run: '1' },
  ])
  expect(oldDisks(runs, nas(['a-2', 'b-1']))).toEqual([])
})

test('of several runs the newest says what holds the data: a disk that came back is none', () => {
  const there = nas(['a-1', 'a-2', 'a-3'])
  const first = run('1', [{ claim: 'a/a', disk: 'a-1', replacedBy: 'a-2' }])
  expect(
    named(oldDisks([first, run('2', [{ claim: 'a/a', disk: 'a-2', replacedBy: 'a-3' }])], there)),
  ).toEqual(['a-1', 'a-2'])
  // The person went back to the first one and adopted it.
  expect(oldDisks([first, run('2', [{ claim: 'a/a', disk: 'a-1' }])], there)).toEqual([])
})

test('snapshots that a run took are listed with their LUN, others’ are not', () => {
  const snapshots = [
    { uuid: 's-1', name: 'recover-1', lun: 'b-1', sizeBytes: 1 },
    { uuid: 's-2', name: 'SnapShot-7', lun: 'b-1', sizeBytes: 1 },
  ]
  const targets = [{ mappings: [{ lun: 'b-1' }], sessions: [{ initiator: 'iqn.node', ip: '192.0.2.11' }] }]
  const found = oldDisks([run('1', [{ claim: 'b/b', disk: 'b-1' }])], {
    ...nothing,
    luns: [lun('b-1')],
    targets,
    snapshots,
  })
  expect(found).toMatchObject([
    { kind: 'snapshot', uuid: 's-1', of: 'b-1', sessions: ['iqn.node (192.0.2.11)'] },
  ])
  expect(ageInDays(found[0]!, new Date('2026-11-09T12:00:00Z'))).toBe(8)
})

test('a share in whose place another is, and its snapshot, are listed with whom its rules let in', () => {
  const shares = ['c-1', 'c-2'].map(uuid => ({
    uuid,
    name: `k8s-csi-${uuid}`,
    sizeBytes: 2,
    clients: [
      { client: '192.0.2.11', may: 'write' as const },
      { client: '192.0.2.12', may: 'nothing' as const },
    ],
  }))
  const shareSnapshots = [
    { share: 'c-1', time: 'GMT+00-2026.11.01-00.00.00', description: 'recover-1' },
    { share: 'c-1', time: 'GMT+00-2026.11.01-00.00.01', description: 'of somebody else' },
  ]
  const found = oldDisks([run('1', [{ claim: 'c/c', disk: 'c-1', replacedBy: 'c-2' }])], {
    ...nothing,
    shares,
    shareSnapshots,
  })
  expect(found).toMatchObject([
    { kind: 'share', uuid: 'c-1', replacedBy: 'c-2', sessions: ['192.0.2.11 (let in)'] },
    {
      kind: 'share-snapshot',
      uuid: 'c-1@GMT+00-2026.11.01-00.00.00',
      name: 'recover-1',
      of: 'c-1',
      time: 'GMT+00-2026.11.01-00.00.00',
    },
  ])
})
