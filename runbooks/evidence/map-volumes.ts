import { z } from 'zod'
import { blocked, done } from '../../src/runbook/step.ts'
import { mappedVolume, mapVolumes, type Testimony } from '../../src/volumes/map.ts'
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
    const testimonies: Testimony[] = [
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
    if (map.contradictions.length > 0)
      return blocked(
        'volume-map-contradiction',
        map.contradictions
          .map(c => `${c.claim} is ${c.says.map(s => `${s.lun} according to ${s.source}`).join(' and ')}`)
          .join('; '),
        'Find out which is right; state it with a PersistentVolume in Git, or correct the LUN’s description on the NAS',
      )
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

/** Every claim that comes back. */
export const eachVolume = fanOutFrom(mapTheVolumes, {
  name: 'volume',
  schema: mappedVolume,
  key: volume => volume.claim,
  subjects: found => found.volumes,
})
