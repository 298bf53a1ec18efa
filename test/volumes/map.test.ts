import { describe, expect, test } from 'vitest'
import { listVolumes } from '../../src/volumes/listing.ts'
import { type MappedVolume, mapVolumes } from '../../src/volumes/map.ts'
import { person, type VolumeSource, type VolumeTestimony } from '../../src/volumes/sources/volume-source.ts'

const claims = [{ id: 'grafana/data', sizeBytes: 1, storageClass: 'nas', strategy: 'copy' as const }]
const luns = ['old', 'new'].map(uuid => ({ uuid, name: `k8s-csi-pvc-${uuid}`, sizeBytes: 1, targets: [1] }))
const source = (name: string, ...said: Partial<VolumeTestimony>[]): VolumeSource => ({
  name,
  remarks: [],
  testimonies: said.map(t => ({ source: name, claim: 'grafana/data', lun: 'old', ...t })),
})
const mapped = (...sources: VolumeSource[]) => mapVolumes(claims, sources, luns)

test('sources that agree make a map; a disk that nobody names is nobody’s', () => {
  const map = mapped(source('git', {}), source('nas', {}))
  expect(map.volumes).toMatchObject([{ lun: { uuid: 'old' }, sources: ['git', 'nas'] }])
  expect(map.ownerless).toMatchObject([{ uuid: 'new' }])
})

test('the file system of a disk is what its volume says, whichever source knows it, and no other disk’s', () => {
  const map = mapped(
    source('git', {}),
    source('nas', {}),
    source('kine:a', { fsType: 'btrfs' }),
    source('kine:b', { claim: 'photos/library', lun: 'new', fsType: 'xfs' }),
  )
  expect(map.volumes).toMatchObject([{ lun: { uuid: 'old' }, fsType: 'btrfs' }])
})

test('two disks of one claim are never chosen between, whatever Git says', () => {
  const map = mapped(source('git', {}), source('nas', {}, { lun: 'new' }), source('kine:a', {}))
  expect(map.volumes).toEqual([])
  expect(map.open).toMatchObject([
    {
      claim: 'grafana/data',
      verdict: 'contradiction',
      doubts: ['old according to git and nas and kine:a, and new according to nas'],
    },
  ])
})

test('the person settles it; the other disk is left to nobody, and told', () => {
  for (const right of ['old', 'new']) {
    const map = mapped(source('git', {}), source('nas', {}, { lun: 'new' }), source(person, { lun: right }))
    expect(map.open).toEqual([])
    expect(map.volumes).toMatchObject([{ lun: { uuid: right } }])
    expect(map.volumes[0]?.sources).toContain(person)
    expect(map.ownerless.map(l => l.uuid)).toEqual([right === 'old' ? 'new' : 'old'])
  }
})

describe('nothing is written on the word of one source', () => {
  const kubelet = { claim: '', volume: 'pvc-old' }
  test.each<[string, VolumeSource[]]>([
    ['the NAS alone', [source('nas', {})]],
    ['kine alone, whose LUN the NAS has under another name', [source('kine:a', {})]],
    ['two copies of one database', [source('kine:a', {}), source('kine:b', {})]],
    [
      'the NAS and an initiator’s record, which repeats it',
      [source('nas', { volume: 'pvc-old' }), source('iscsi:a', { ...kubelet, repeats: 'nas' })],
    ],
  ])('%s', (_, sources) => {
    expect(mapped(...sources)).toMatchObject({ volumes: [], open: [{ verdict: 'one-source' }] })
  })

  test.each<[string, VolumeSource[]]>([
    ['Git, and the NAS has that LUN', [source('git', {})]],
    [
      'the NAS and a kubelet that had its volume',
      [source('nas', { volume: 'pvc-old' }), source('kubelet:a', kubelet)],
    ],
    ['kine, and the name of the LUN', [source('kine:a', { volume: 'pvc-old' }), source('nas', kubelet)]],
    ['kine and the NAS', [source('kine:a', {}), source('nas', {})]],
    ['the person', [source(person, {})]],
  ])('%s is enough', (_, sources) => {
    expect(mapped(...sources)).toMatchObject({ volumes: [{ lun: { uuid: 'old' } }], open: [] })
  })

  test('two that know the volume and not whose it is are not enough', () => {
    expect(mapped(source('kubelet:a', kubelet), source('nas', kubelet))).toMatchObject({
      volumes: [],
      homeless: ['grafana/data'],
    })
  })
})

describe('a contradiction is', () => {
  const doubts = (...sources: VolumeSource[]) =>
    listVolumes(sources, new Set(luns.map(l => l.uuid))).map(v => [v.claim, v.verdict, ...v.doubts])

  test('one LUN for two claims', () => {
    expect(doubts(source('git', {}), source('nas', { claim: 'photos/library' }))).toEqual([
      ['grafana/data', 'contradiction', 'old is said to be of photos/library according to nas, too'],
      ['photos/library', 'contradiction', 'old is said to be of grafana/data according to git, too'],
    ])
  })

  test('a LUN that the NAS does not have', () => {
    expect(doubts(source('git', { lun: 'gone' }), source('kine:a', { lun: 'gone' }))).toEqual([
      [
        'grafana/data',
        'contradiction',
        'gone according to git and kine:a, and the NAS has none of that uuid',
      ],
    ])
  })

  test('a pod of another namespace', () => {
    const kubelet = source('kubelet:a', { claim: '', volume: 'pvc-old', namespace: 'photos' })
    expect(doubts(source('nas', { volume: 'pvc-old' }), kubelet)).toEqual([
      ['grafana/data', 'contradiction', 'kubelet:a saw old mounted in the namespace photos'],
    ])
  })

  test('not what was deleted: that is told beside', () => {
    const git = source('git', { lun: 'gone', deleted: true, where: 'commit 1' }, {})
    expect(listVolumes([git], new Set(['old']))).toMatchObject([
      { verdict: 'settled', luns: [{ lun: 'old' }], formerly: [{ lun: 'gone', where: 'commit 1' }] },
    ])
    expect(mapped(source('git', { deleted: true }), source('kine:a', { deleted: true }))).toMatchObject({
      volumes: [],
      homeless: ['grafana/data'],
    })
  })
})

test('a share, whose name is cut off, is known by its uuid, and is no LUN', () => {
  const onNas = source('nas', { claim: '', lun: 'share', protocol: 'nfs', usedBytes: 7 })
  const sources = [source('git', { lun: 'share' }), onNas]
  expect(listVolumes(sources, new Set(['share']))).toMatchObject([
    { claim: 'grafana/data', verdict: 'settled', protocol: 'nfs', usedBytes: 7 },
  ])
  const place = { sizeBytes: 0, location: '/volume1' }
  const shares = ['share', 'nobodys'].map(uuid => ({ uuid, name: `k8s-csi-pvc-${uuid}`, ...place }))
  const others = { uuid: 'films', name: 'films', ...place }
  const by = (strategy: MappedVolume['strategy'], from = sources) =>
    mapVolumes([{ ...claims[0]!, strategy }], from, luns, [...shares, others])
  // One without a quota is as large as the claim wants it.
  const share = { uuid: 'share', name: 'k8s-csi-pvc-share', sizeBytes: 1, location: '/volume1' }
  for (const strategy of ['adopt', 'clone', 'copy'] as const)
    expect(by(strategy)).toMatchObject({ volumes: [{ strategy, share, sources: ['git'] }], onShares: [] })
  // A machine copies by iSCSI alone, and of SMB nobody can be kept out.
  const smb = [source('git', { lun: 'share', protocol: 'smb' })]
  for (const stuck of [by('host-copy'), by('adopt', smb), by('clone', smb), by('copy', smb)])
    expect(stuck).toMatchObject({
      volumes: [],
      open: [],
      homeless: [],
      onShares: [{ claim: 'grafana/data', share: { uuid: 'share', name: 'k8s-csi-pvc-share' } }],
    })
  // Told to leave it alone, or to take a backup: nothing is asked of what held its data.
  for (const strategy of ['new', 'restore'] as const)
    expect(by(strategy)).toMatchObject({ volumes: [{ strategy }], onShares: [] })
  expect([by('new').volumes[0]?.leftToGit, by('restore').volumes[0]?.leftToGit]).toEqual([
    'k8s-csi-pvc-share',
    undefined,
  ])
  // A share that is nobody's volume is nobody's business.
  expect(by('copy').ownerless.map(d => d.uuid)).toEqual(['old', 'new', 'nobodys'])
})

test('a share that is gone is a contradiction, and so is one that somebody calls a LUN', () => {
  const said = (...sources: VolumeSource[]) =>
    listVolumes(sources, new Set(['share'])).map(v => [v.claim, v.verdict, ...v.doubts])
  const git = (lun: string) => source('git', { lun, protocol: 'nfs' })
  expect(said(git('gone'), source('kine:a', { lun: 'gone', protocol: 'nfs' }))).toEqual([
    ['grafana/data', 'contradiction', 'gone according to git and kine:a, and the NAS has none of that uuid'],
  ])
  const nas = source('nas', { claim: '', lun: 'share', protocol: 'smb' })
  expect(said(git('share'), nas)).toEqual([['grafana/data', 'settled']])
  expect(said(source('git', { lun: 'share', protocol: 'iscsi' }), nas)).toEqual([
    ['grafana/data', 'contradiction', 'share is a LUN according to git, and a share according to nas'],
  ])
})

test('what is to begin empty is not bound by Git to a LUN with data', () => {
  const map = (...sources: VolumeSource[]) => mapVolumes([{ ...claims[0]!, strategy: 'new' }], sources, luns)
  expect(map(source('git', {}))).toMatchObject({
    volumes: [],
    boundByGit: [{ claim: 'grafana/data', lun: { uuid: 'old' } }],
  })
  // The NAS alone binds nothing, and neither does what Git has no more, or what is not there.
  for (const bindsNothing of [
    source('nas', {}),
    source('git', { deleted: true }),
    source('git', { lun: 'gone' }),
  ])
    expect(map(bindsNothing)).toMatchObject({ volumes: [{ strategy: 'new' }], boundByGit: [] })
})
