import { expect, test } from 'vitest'
import { listVolumes } from '../../src/volumes/listing.ts'
import { readFormerRun } from '../../src/volumes/sources/former-run.ts'
import { readNasListing } from '../../src/volumes/sources/nas-listing.ts'

const name = 'run:20261128-030000-ab12'
const claim = 'photos/library'
const nas = (uuid: string) =>
  readNasListing('nas', { luns: [{ uuid, name: `k8s-csi-pvc-${uuid}`, description: claim, sizeBytes: 1 }] })
const verdict = (...sources: Parameters<typeof listVolumes>[0]) =>
  listVolumes(sources, new Set(['old', 'new'])).map(v => [v.claim, v.verdict, v.luns.map(l => l.lun).join()])

test('what a former run was told by Git is a second witness beside the NAS, and what the NAS told it is none', () => {
  const told = (source: string) =>
    readFormerRun(name, { testimonies: [{ source, claim, lun: 'old' }], nas: [] }, [])
  expect(verdict(told('git'), nas('old'))).toEqual([[claim, 'settled', 'old']])
  expect(verdict(told('kine:state.db'), nas('old'))).toEqual([[claim, 'settled', 'old']])
  expect(verdict(told('nas'), nas('old'))).toEqual([[claim, 'one-source', 'old']])
  // By another run that was told it: still only what the NAS said.
  const again = readFormerRun(
    'run:later',
    { testimonies: told('nas').testimonies.map(t => ({ ...t })), nas: [] },
    [],
  )
  expect(verdict(again, nas('old'))).toEqual([[claim, 'one-source', 'old']])
  expect(verdict(told('git'), nas('new'))).toEqual([[claim, 'contradiction', 'old,new']])
})

test('what a former run bound itself it knows, and what it was told of that claim is of the past', () => {
  const testimonies = [{ source: 'git', claim, lun: 'old' }]
  const run = readFormerRun(name, { testimonies, nas: [] }, [{ claim, pv: 'pvc-new', handle: 'new' }])
  expect(verdict(run, nas('new'))).toEqual([[claim, 'settled', 'new']])
  expect(listVolumes([run])).toMatchObject([
    { verdict: 'one-source', formerly: [{ lun: 'old', source: name }] },
  ])
})
