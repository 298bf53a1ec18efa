import { expect, test } from 'vitest'
import { mapVolumes, person, type Testimony } from '../../src/volumes/map.ts'

const claims = [{ id: 'grafana/data', sizeBytes: 1, storageClass: 'nas', strategy: 'copy' as const }]
const luns = ['old', 'new'].map(uuid => ({ uuid, name: `k8s-csi-pvc-${uuid}`, sizeBytes: 1, targets: [1] }))
const says = (source: string, lun: string): Testimony => ({ source, claim: 'grafana/data', lun })

test('sources that agree make a map; a disk that nobody names is nobody’s', () => {
  const map = mapVolumes(claims, [says('git', 'old'), says('nas', 'old')], luns)
  expect(map.volumes).toMatchObject([{ lun: { uuid: 'old' }, sources: ['git', 'nas'] }])
  expect(map.ownerless).toMatchObject([{ uuid: 'new' }])
})

test('two disks of one claim are never chosen between, whatever Git says', () => {
  const testimonies = [says('git', 'old'), says('nas', 'old'), says('nas', 'new')]
  const map = mapVolumes(claims, testimonies, luns)
  expect(map.volumes).toEqual([])
  expect(map.contradictions).toMatchObject([{ claim: 'grafana/data', says: [{}, {}, {}] }])
})

test('the person settles it; the other disk is left to nobody, and told', () => {
  for (const right of ['old', 'new']) {
    const testimonies = [says('git', 'old'), says('nas', 'old'), says('nas', 'new'), says(person, right)]
    const map = mapVolumes(claims, testimonies, luns)
    expect(map.contradictions).toEqual([])
    expect(map.volumes).toMatchObject([{ lun: { uuid: right } }])
    expect(map.volumes[0]?.sources).toContain(person)
    expect(map.ownerless.map(l => l.uuid)).toEqual([right === 'old' ? 'new' : 'old'])
  }
})
