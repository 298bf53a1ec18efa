import { z } from 'zod'
import { claimsOutOfNowhere } from '../../src/cluster/application-claims.ts'
import { statedClass } from '../../src/cluster/stated.ts'
import { lunOf } from '../../src/nas/lists.ts'
import { mayWrite, type NasReader } from '../../src/nas/nas.ts'
import { blocked, done } from '../../src/runbook/step.ts'
import type { ListedVolume } from '../../src/volumes/listing.ts'
import { diskHolding, mappedVolume, mapVolumes } from '../../src/volumes/map.ts'
import { heardOfVolumes } from '../../src/volumes/sources/former-run.ts'
import type { VolumeSource } from '../../src/volumes/sources/volume-source.ts'
import { fanOutFrom, step } from '../kit.ts'
import { findRoom } from '../preflight/find-room.ts'
import { reachNas } from '../preflight/reach-nas.ts'
import {
  fromGit,
  fromNas,
  furtherSources,
  type NasNow,
  nasNow,
  resolved,
  settled,
} from '../volume-sources.ts'
import { fromHosts } from './host-sources.ts'
import { surveyHost } from './survey-hosts.ts'

/** What a person can do about a claim that is on a shared folder from which it cannot come back as told. */
export const shareRemedy =
  'Shared folders of NFS come back by adopt, clone or copy; those of SMB can be neither fenced nor mounted from here. Its files stay where they are: say another strategy for it in recover.yaml (volumes), or put a PersistentVolume that leads to that share into Git (Retain, with a claimRef to the claim) and say `new` for the claim in recover.yaml (volumes), so that nothing is done with it; without that PersistentVolume it would begin empty'

/** Which claim was which disk, from every source that still lives. Once hosts are wiped there are fewer. */
export const mapTheVolumes = step({
  id: 'evidence/map-volumes',
  title: 'Find out which disk was whose',
  byHand:
    'In SAN Manager write down which LUN was which claim: its description says NAMESPACE/CLAIM, its name k8s-csi-<PersistentVolume>; compare with PersistentVolumes in Git, with kine’s database and with vol_data.json in the kubelet directories of the machines. Two of them must agree. Do this before any disk is wiped.',
  needs: [reachNas, findRoom, surveyHost],
  danger: 'reads',
  bounds: { expected: '3s', limit: '5m' },
  retry: { times: 3, delay: '2s' },
  holdsUntil: 'hosts/install-flatcar',
  uses: () => ['nas'],
  output: z.strictObject({
    volumes: z.array(mappedVolume),
    ownerless: z.array(z.string()),
    // The journal keeps it: what Git and the NAS said at that moment nobody else does.
    heard: heardOfVolumes,
  }),
  async observe({ cluster, nas, hosts, evidence, outputs, signal }) {
    const now = await nasNow(nas)
    const absent = Object.entries(cluster.entry.luns ?? {}).filter(
      ([, uuid]) => ![...now.luns, ...now.shares].some(d => d.uuid === uuid),
    )
    if (absent.length > 0)
      return blocked(
        'lun-not-found',
        `recover.yaml says which LUN or share is whose (luns), and the NAS has none with the uuid of ${absent.map(([claim, uuid]) => `${claim}: ${uuid}`).join(', ')}`,
        'Correct it; the uuid of a LUN is on its page in SAN Manager',
      )
    const nowhere = claimsOutOfNowhere(cluster.inventory.claims, cluster.applications).filter(
      m => cluster.entry.volumes[m.claim] !== 'new',
    )
    if (nowhere.length > 0)
      return blocked(
        'claim-without-manifest',
        `${nowhere.map(m => `${m.by} mounts ${m.claim}`).join(', ')}, and no manifest in Git makes that claim: nobody can say which disk it needs`,
        'Add the claim to Git, or say `new` for it in recover.yaml (volumes) if it may begin empty',
      )
    const sources = resolved(
      [
        settled(cluster),
        await fromGit(cluster, signal),
        fromNas(now),
        ...(await furtherSources(cluster, signal)),
        ...(await fromHosts(outputs(surveyHost), evidence, hosts, signal)),
      ],
      now,
    )
    const leading = new Map<string, number[]>()
    for (const { id, mappings } of now.targets)
      for (const { lun } of mappings) leading.set(lun, [...(leading.get(lun) ?? []), id])
    const map = mapVolumes(
      cluster.inventory.claims.map(c => ({
        id: c.id,
        sizeBytes: c.sizeBytes,
        storageClass: c.storageClass ?? statedClass(cluster.inventory, undefined)?.name,
        strategy: cluster.strategy(c.id),
      })),
      sources,
      now.luns.map(l => ({
        uuid: l.uuid,
        name: l.name,
        sizeBytes: l.sizeBytes,
        targets: leading.get(l.uuid) ?? [],
      })),
      now.shares,
    )
    const contradictions = map.open.filter(v => v.verdict === 'contradiction')
    if (contradictions.length > 0) return contradicted(contradictions, now, nas)
    if (map.open.length > 0) return oneSource(map.open, sources, now, nas)
    if (map.onShares.length > 0)
      return blocked(
        'volume-on-share',
        map.onShares
          .map(
            ({ claim, strategy, protocol, share }) =>
              `${claim} is on the shared folder ${share.name} of the NAS${protocol === 'smb' ? ', by SMB,' : ''} and cannot come back by ${strategy}${writersOf(share.uuid, now)}`,
          )
          .join('; '),
        shareRemedy,
      )
    if (map.boundByGit.length > 0)
      return blocked(
        'git-names-old-disk',
        map.boundByGit
          .map(
            ({ claim, lun }) =>
              `recover.yaml says \`new\` for ${claim}, and a PersistentVolume in Git gives it the LUN ${lun.name} (${lun.uuid}): it would not begin empty, and nobody would keep an old machine from writing to that LUN`,
          )
          .join('; '),
        'Say `adopt` for it in recover.yaml (volumes) if that data is wanted; if it is not, take the PersistentVolume, and volumeName of the claim, out of Git',
      )
    if (map.homeless.length > 0)
      return blocked(
        'volume-without-disk',
        `no source says which LUN or share holds ${map.homeless.join(', ')}`,
        'Add a PersistentVolume for it to Git (volumeHandle = the uuid of the LUN or share), or say `new` for it in recover.yaml (volumes) if it may begin empty',
      )
    return done(
      { volumes: map.volumes, ownerless: map.ownerless.map(l => l.name), heard: heardFrom(sources, now) },
      map.volumes
        .map(v =>
          diskHolding(v)
            ? `${v.claim} is on ${v.share ? 'the share ' : ''}${diskHolding(v)?.name} (${v.sources.join(', ')})`
            : v.leftToGit
              ? `${v.claim} is left to Git, which leads it to the share ${v.leftToGit}`
              : `${v.claim} begins empty`,
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
async function contradicted(contradictions: ListedVolume[], { luns }: NasNow, nas: NasReader) {
  const runs = new Set<string>()
  const told: string[] = []
  for (const { claim, luns: named, doubts } of contradictions) {
    const disks: string[] = []
    for (const { lun, sources } of named) {
      const known = lunOf(luns, lun)
      const marks = known ? await marksOn(lun, nas) : []
      for (const run of marks) runs.add(run)
      const source = marks.length > 0 ? `, which run ${marks.join(' and ')} took for the source` : ''
      disks.push(`${lun} (${known?.name ?? 'not on the NAS'}) according to ${sources.join(' and ')}${source}`)
    }
    told.push(
      named.length > 1
        ? `${claim} is ${disks.join(', and ')}`
        : `${claim} is ${disks.join()}; ${doubts.join('; ')}`,
    )
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

/** Runs that took a LUN for the source of a volume: each begins with a snapshot of its name. */
async function marksOn(lun: string, nas: NasReader): Promise<string[]> {
  return (await nas.snapshots(lun)).flatMap(s => /^recover-(\d{8}-.+)$/.exec(s.name)?.[1] ?? [])
}

/**
 * One source alone may be wrong, and what is written to the wrong disk is lost: the person is the second. A run that was
 * broken off after it had wiped the machines has heard them, and knows.
 */
async function oneSource(open: ListedVolume[], sources: VolumeSource[], { luns }: NasNow, nas: NasReader) {
  const runs = new Set<string>()
  for (const lun of open.flatMap(v => v.luns.map(l => l.lun)))
    if (lunOf(luns, lun)) for (const run of await marksOn(lun, nas)) runs.add(run)
  const goOn =
    runs.size === 0
      ? ''
      : `If the run that took a snapshot there was not finished, \`recover resume ${[...runs].join('` or `recover resume ')}\` goes on with it: it knows. Otherwise: `
  const unread = sources.flatMap(s =>
    s.remarks.filter(r => r.startsWith('not read')).map(r => `${s.name}: ${r}`),
  )
  const answer = open.map(v => `${v.claim}: ${v.luns[0]?.lun}`).join(', ')
  return blocked(
    'volume-one-source',
    `two sources must agree before a disk is written to, or Git and the NAS, and there is one: ${open.map(v => `${v.claim}: ${v.doubts.join('; ')}`).join('; ')}${unread.length > 0 ? ` (${unread.join('; ')})` : ''}`,
    `${goOn}Is that right? Then say so in recover.yaml: \`luns: { ${answer} }\`. Or name a second source there: \`evidence: [kine:PATH]\`, a controller’s database, an archive of k0s backup, or what an earlier run kept of a machine (\`kubelet:\` in the folder evidence of its run)`,
  )
}

/** Whom a share's rules let write, by NFS, as the end of a sentence. */
function writersOf(uuid: string, { shares }: NasNow): string {
  const writers = mayWrite(shares.find(s => s.uuid === uuid))
  return writers.length === 0 ? '' : `; by its NFS rules ${writers.join(', ')} may write to it`
}

function heardFrom(
  sources: readonly VolumeSource[],
  { luns, shares }: NasNow,
): z.infer<typeof heardOfVolumes> {
  return {
    testimonies: sources.flatMap(s => s.testimonies),
    nas: [...luns, ...shares].map(({ uuid, name, sizeBytes, description }) => ({
      uuid,
      name,
      sizeBytes,
      description,
    })),
  }
}

/** Every claim that comes back. */
export const eachVolume = fanOutFrom(mapTheVolumes, {
  name: 'volume',
  schema: mappedVolume,
  key: volume => volume.claim,
  subjects: found => found.volumes,
})
