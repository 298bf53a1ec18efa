import { expect, test } from 'vitest'
import { fromScratch } from '../../runbooks/from-scratch.ts'
import { findRoom } from '../../runbooks/preflight/find-room.ts'
import { roomOnNas } from '../../runbooks/preflight/room-on-nas.ts'
import type { Cluster } from '../../src/cluster/load.ts'
import type { Strategy } from '../../src/cluster/schema.ts'
import { cloneName } from '../../src/nas/nas.ts'
import { Begun } from '../../src/runbook/hold.ts'
import type { Claim } from '../../src/runbook/replay.ts'
import { connectedNas } from './connected-nas.ts'

const clusterOf = (...strategies: Strategy[]) =>
  ({
    inventory: { claims: strategies.map((_, i) => ({ id: `ns/${i}` })), volumes: [], storageClasses: [] },
    entry: {},
    strategy: (claim: string) => strategies[Number(claim.slice(3))],
  }) as unknown as Cluster
const limits = (luns: number, targets: number) => ({ luns, targets, snapshotsPerLun: 256 })

test.each([
  [['adopt'], 2, 2, []],
  [['adopt'], 1, 2, ['1 of 1 LUNs are in use, and up to 1 more are made (0 for good, 1 for a while)']],
  [['adopt'], 2, 1, ['1 of 1 targets are in use, and up to 1 more are made (0 for good, 1 for a while)']],
  [['new'], 2, 2, []],
  [['copy'], 3, 3, []],
  [['copy', 'clone', 'new', 'adopt'], 7, 7, []],
  [['copy', 'clone', 'new', 'adopt'], 6, 7, [expect.stringContaining('(3 for good, 3 for a while)')]],
  // No more than four clones stand there at once, however many claims there are.
  [Array<Strategy>(40).fill('adopt'), 5, 5, []],
  // A NAS that does not say what it takes is not held to it.
  [['copy', 'copy'], 0, 0, []],
] as const)('%j fits into %i LUNs and %i targets: %j', async (strategies, luns, targets, lacks) => {
  const { reader } = await connectedNas()
  const room = await roomOnNas(reader, limits(luns, targets), clusterOf(...strategies), 'r1')
  expect(room.lacks).toEqual(lacks)
})

test('what the run made already needs no more room', async () => {
  const { writer, lun } = await connectedNas()
  const cluster = clusterOf('adopt', 'copy')
  const lacks = async (run: string, most: number) =>
    (await roomOnNas(writer, limits(most, most), cluster, run)).lacks
  await writer.clone({ lun: lun.uuid }, { name: cloneName('r1', 'x'), description: 'recover run r1' })
  expect(await lacks('r1', 4)).toEqual([])
  expect(await lacks('r2', 4)).toHaveLength(2)
})

test('a run that has disks made by the CSI driver is not stopped by them when it goes on', () => {
  const steps = (...ids: string[]) => ({ steps: new Map(ids.map(id => [id, { intents: 1 } as Claim])) })
  const isKept = (...ids: string[]) =>
    new Begun(fromScratch, steps(...ids)).endedClaimOf({ step: findRoom, key: undefined })
  expect(isKept('protect/snapshot[a/b]', 'hosts/install-flatcar[lithium]')).toBe(false)
  expect(isKept('volumes/let-through[synology-csi]')).toBe(true)
})

test('a claim on a share takes the place of no LUN, nor does one that gets a share', async () => {
  const { reader, lun } = await connectedNas(({ nas }) => {
    nas.shares = [
      {
        uuid: 'share',
        pv: 'pvc-share',
        claim: 'ns/0',
        sizeBytes: 2 ** 30,
        clients: ['192.0.2.11'],
        files: {},
      },
    ]
  })
  const wanted = async (strategy: Strategy, protocol: string, from?: string) => {
    const cluster = {
      inventory: {
        claims: [{ id: 'ns/0', storageClass: 'nas' }],
        storageClasses: [{ name: 'nas', parameters: { protocol } }],
        volumes: from === undefined ? [] : [{ name: 'pvc-0', claim: 'ns/0', handle: from }],
      },
      entry: {},
      strategy: () => strategy,
    } as unknown as Cluster
    return (await roomOnNas(reader, limits(9, 9), cluster, 'r1')).luns.wanted
  }
  for (const strategy of ['adopt', 'clone', 'copy', 'restore', 'new'] as const)
    expect([strategy, await wanted(strategy, 'nfs'), await wanted(strategy, 'nfs', 'share')]).toEqual([
      strategy,
      0,
      0,
    ])
  // From a share to a LUN: one for good; from a LUN to a share: one for as long as it is measured.
  expect([await wanted('copy', 'iscsi', 'share'), await wanted('copy', 'nfs', lun.uuid)]).toEqual([1, 1])
  expect([await wanted('clone', 'nfs', lun.uuid), await wanted('new', 'iscsi', 'share')]).toEqual([2, 0])
})
