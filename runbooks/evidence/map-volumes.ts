import { z } from 'zod'
import type { Lun, NasReader } from '../../src/nas/nas.ts'
import { blocked, done } from '../../src/runbook/step.ts'
import { mappedVolume, mapVolumes, person, type Testimony, type VolumeMap } from '../../src/volumes/map.ts'
import { fanOutFrom, step } from '../kit.ts'
import { reachNas } from '../preflight/reach-nas.ts'

/** Which claim was which disk, from every source that still lives. Once hosts are wiped there are fewer. */
export const mapTheVolumes = step({
  id: 'evidence/map-volumes',
  title: 'Find out which disk was whose',
  byHand:
    'In SAN Manager write down which LUN was which claim: its description says NAMESPACE/CLAIM, its name k8s-csi-<PersistentVolume>; compare with PersistentVolumes in Git. Do this before any disk is wiped.',
  needs: [reachNas],
  danger: 'reads',
  bounds: { expected: '3s', limit: '5m' },
  retry: { times: 3, delay: '2s' },
  holdsUntil: 'hosts/install-flatcar',
  uses: () => ['nas'],
  output: z.strictObject({ volumes: z.array(mappedVolume), ownerless: z.array(z.string()) }),
  async observe({ cluster, nas }) {
    const luns = await nas.luns()
    const targets = await nas.targets()
    const settled = Object.entries(cluster.entry.luns ?? {})
    const absent = settled.filter(([, uuid]) => !luns.some(l => l.uuid === uuid))
    if (absent.length > 0)
      return blocked(
        'lun-not-found',
        `recover.yaml says which LUN is whose (luns), and the NAS has none with the uuid of ${absent.map(([claim, uuid]) => `${claim}: ${uuid}`).join(', ')}`,
        'Correct it; the uuid of a LUN is on its page in SAN Manager',
      )
    const testimonies: Testimony[] = [
      ...settled.map(([claim, lun]) => ({ source: person, claim, lun })),
      ...cluster.inventory.volumes.flatMap(v =>
        v.claim === undefined || v.path !== undefined
          ? []
          : [{ source: 'git', claim: v.claim, lun: v.handle }],
      ),
      // The CSI driver writes the claim's name here when it is told to; clones and restored LUNs have none.
      ...luns.map(l => ({ source: 'nas', claim: l.description, lun: l.uuid })),
    ]
    const map = mapVolumes(
      cluster.inventory.claims.map(c => ({
        id: c.id,
        sizeBytes: c.sizeBytes,
        storageClass: c.storageClass,
        strategy: cluster.strategy(c.id),
      })),
      testimonies,
      luns.map(l => ({
        uuid: l.uuid,
        name: l.name,
        sizeBytes: l.sizeBytes,
        targets: targets.filter(t => t.mappings.some(m => m.lun === l.uuid)).map(t => t.id),
      })),
    )
    if (map.contradictions.length > 0) return contradicted(map.contradictions, luns, nas)
    if (map.homeless.length > 0)
      return blocked(
        'volume-without-disk',
        `no source says which disk holds ${map.homeless.join(', ')}`,
        'Add a PersistentVolume for it to Git (volumeHandle = the LUN’s uuid), or say `new` for it in recover.yaml (volumes) if it may begin empty',
      )
    return done(
      { volumes: map.volumes, ownerless: map.ownerless.map(l => l.name) },
      map.volumes
        .map(v =>
          v.lun ? `${v.claim} is on ${v.lun.name} (${v.sources.join(', ')})` : `${v.claim} begins empty`,
        )
        .join('; '),
    )
  },
})

/**
 * What a person needs to settle it. A run marks the disks that it takes for the sources with a snapshot of its name
 * before it copies anything: the other disk of that claim is that run's copy, if the run was never finished. Which holds
 * the newer data nobody but the person can know, since a finished run's copy is what was worked on ever after.
 */
async function contradicted(contradictions: VolumeMap['contradictions'], luns: Lun[], nas: NasReader) {
  const runs = new Set<string>()
  const told: string[] = []
  for (const { claim, says } of contradictions) {
    const disks: string[] = []
    for (const uuid of new Set(says.map(s => s.lun))) {
      const sources = says.filter(s => s.lun === uuid).map(s => s.source)
      const marks = (await nas.snapshots(uuid)).flatMap(s => /^recover-(\d{8}-.+)$/.exec(s.name)?.[1] ?? [])
      for (const run of marks) runs.add(run)
      const source = marks.length > 0 ? `, which run ${marks.join(' and ')} took for the source` : ''
      disks.push(
        `${uuid} (${luns.find(l => l.uuid === uuid)?.name}) according to ${sources.join(' and ')}${source}`,
      )
    }
    told.push(`${claim} is ${disks.join(', and ')}`)
  }
  const [claim = ''] = contradictions.map(c => c.claim)
  const settle = `say which LUN holds the data in recover.yaml: \`luns: { ${claim}: UUID }\``
  return blocked(
    'volume-map-contradiction',
    told.join('; '),
    runs.size === 0
      ? `Find out which is right, and ${settle}; or correct the description of the other on the NAS`
      : `If that run was not finished, \`recover resume ${[...runs].join('` or `recover resume ')}\` goes on with it: its journal knows its own copies. Otherwise find out which is right (a finished run’s copy is the newer one), and ${settle}`,
  )
}

/** Every claim that comes back. */
export const eachVolume = fanOutFrom(mapTheVolumes, {
  name: 'volume',
  schema: mappedVolume,
  key: volume => volume.claim,
  subjects: found => found.volumes,
})
