import { z } from 'zod'
import { showSize } from '../../src/cluster/size.ts'
import { statedClass } from '../../src/cluster/stated.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { lunOf, shareOf, targetOf } from '../../src/nas/lists.ts'
import type { Lun, Share, Target } from '../../src/nas/nas.ts'
import { blocked, done } from '../../src/runbook/step.ts'
import {
  attributesOf,
  handleOf,
  heritage,
  judgeMove,
  livingClaim,
  together,
  type Verdict,
} from '../../src/volumes/moves.ts'
import { isShare, protocolOf } from '../../src/volumes/protocol.ts'
import type { StoppableKind } from '../../src/volumes/workloads.ts'
import { fanOutFrom, type Readers, step } from '../kit.ts'
import { reachNas } from '../preflight/reach-nas.ts'
import { type Making, roomFor, tooLittleRoom } from '../preflight/room-on-nas.ts'
import { addressesOf } from '../protect/fenced.ts'
import { nasNow } from '../volume-sources.ts'
import { bringersOf, madeBySets, parentsOf } from './bringers.ts'
import { mustBeOnlyNodes } from './clients.ts'
import { findCluster } from './find-cluster.ts'
import { bringer, type Move, move, type Owners, oldDisk, owners } from './moves.ts'
import { usersOf } from './users.ts'

const found = z.strictObject({
  clusterUid: z.string(),
  volumes: z.array(move),
  groups: z.array(owners),
  parents: z.array(bringer),
})

/** Which claims differ from Git or were named, whose disks they are on, and who must stop while they are moved. */
export const lookAtClaims = step({
  id: 'evidence/map-volumes',
  title: 'Compare the cluster’s claims with Git',
  byHand:
    '`kubectl get pvc,pv -A`: compare class, size and access modes with Git; `kubectl describe pvc` says who uses each.',
  needs: [findCluster, reachNas],
  danger: 'reads',
  bounds: { expected: '3s', limit: '5m' },
  retry: { times: 3, delay: '2s' },
  // From then on the claims are not what they were, and what was seen here is what the run goes by.
  holdsUntil: 'protect/keep-disk',
  uses: () => ['api', 'nas'],
  output: found,
  async observe(look) {
    const { asked, cluster, kubernetes, nas, output } = look
    const claims = cluster.inventory.claims
    const unknown = asked.chosen.filter(id => !claims.some(c => c.id === id))
    if (unknown.length > 0)
      return blocked(
        'claim-unknown',
        `Git has no claim ${unknown.join(', ')}`,
        `Name claims as NAMESPACE/CLAIM; Git has ${claims.map(c => c.id).join(', ')}`,
      )
    const { luns, targets, shares } = await nasNow(nas)
    const listed = await kubernetes.list({ apiVersion: 'v1', kind: 'PersistentVolume' })
    const pvs = new Map(listed.map(pv => [pv.metadata.name, pv]))
    const live = new Map<string, KubernetesObject>(
      (await kubernetes.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' })).map(object => [
        `${object.metadata.namespace}/${object.metadata.name}`,
        object,
      ]),
    )
    const rows: Row[] = claims.map(claim => {
      const object = live.get(claim.id)
      const strategy = cluster.strategy(claim.id)
      const now = object && livingClaim(object, pvs)
      const handle = handleOf(now?.pv)
      const disk = {
        lun: lunOf(luns, handle),
        share: shareOf(shares, handle),
      }
      const made = statedClass(cluster.inventory, claim.storageClass)
      const onShare = made && isShare(protocolOf(made.parameters))
      const verdict = judgeMove({ ...claim, strategy, onShare }, now, {
        named: asked.chosen.includes(claim.id),
        any: asked.chosen.length > 0,
        disk,
      })
      return { claim, strategy, object, now, ...disk, onShare, verdict }
    })
    const stuck = rows.filter(r => asked.chosen.includes(r.claim.id) && !r.verdict.move)
    if (stuck.length > 0)
      return blocked(
        'claim-not-movable',
        stuck.map(r => `${r.claim.id} ${r.verdict.obstacle ?? r.verdict.says}`).join('; '),
        'Leave it out; or mend what stands in its way, and where it is to stay, say `copy` or `clone` for it in recover.yaml (volumes)',
      )
    const moving = rows.flatMap(row => moveOf(row, targets))
    const nodes = addressesOf(await kubernetes.list({ apiVersion: 'v1', kind: 'Node' }))
    for (const { claim, share } of rows.filter(r => r.verdict.move && r.share))
      if (share) mustBeOnlyNodes(claim.id, share, nodes)
    const table = { columns: ['CLAIM', 'DISK', 'CLASS', 'NOW', 'WHAT'], rows: rows.map(cells) }
    const room = await roomFor(
      nas,
      (await nas.describe()).limits,
      rows.filter(r => r.verdict.move).map(makingOf),
      look.run.id,
    )
    if (room.lacks.length > 0)
      return blocked(
        'nas-limit-reached',
        tooLittleRoom(room),
        'Delete LUNs and targets that nobody needs (`recover volumes finalize` lists what former runs left behind), or move fewer claims at a time',
      )
    const { clusterUid } = output(findCluster)
    const { workloads, others } = await usersOf(kubernetes)
    const foreign = moving.filter(m => others.has(m.claim))
    if (foreign.length > 0)
      return blocked(
        'claim-in-use',
        foreign.map(m => `${m.claim} is used by ${others.get(m.claim)?.join(' and ')}`).join('; '),
        'Only Deployments, StatefulSets and CronJobs are stopped and started again from here: stop it yourself as its operator wants it (and start it afterwards), or wait for it to end',
      )
    const groups: Owners[] = []
    const users = new Map(moving.map(m => [m.claim, (workloads.get(m.claim) ?? []).map(nameOf)] as const))
    for (const sharing of together(users)) {
      const own = [...new Set(sharing.flatMap(claim => workloads.get(claim) ?? []))]
      groups.push({
        key: sharing[0] ?? '',
        claims: sharing,
        workloads: own.map(({ kind, metadata }) => ({
          kind: kind as StoppableKind,
          namespace: metadata.namespace ?? '',
          name: metadata.name ?? '',
        })),
        applications: await bringersOf(sharing, own, look),
      })
    }
    const applications = groups.flatMap(g => g.applications)
    const parents = await parentsOf(applications, look)
    const bySets = await madeBySets([...applications, ...parents], look)
    if (bySets.length > 0)
      return blocked(
        'application-of-a-set',
        `an ApplicationSet makes ${bySets.join(', ')}, and its controller would take the mark off by which it is held`,
        'Stop that controller while volumes are moved: kubectl -n argocd scale deployment argocd-applicationset-controller --replicas=0; start it again afterwards',
      )
    const groupOf = new Map(groups.flatMap(({ key, claims }) => claims.map(claim => [claim, key] as const)))
    const volumes = moving.map(m => ({ ...m, group: groupOf.get(m.claim) ?? m.claim }))
    return done({ clusterUid, volumes, groups, parents }, evidenceOf(volumes), { table })
  },
})

interface Row {
  claim: Readers['cluster']['inventory']['claims'][number]
  strategy: Move['strategy']
  object: KubernetesObject | undefined
  now: ReturnType<typeof livingClaim> | undefined
  lun: Lun | undefined
  share: Share | undefined
  /** Whether its class makes shared folders; undefined where Git does not say. */
  onShare: boolean | undefined
  verdict: Verdict
}

function moveOf(
  { claim, strategy, object, now, lun, share, verdict }: Row,
  targets: readonly Target[],
): Move[] {
  if (!verdict.move || !object || !now?.pv || (!lun && !share)) return []
  const { csi, mountOptions = [] } = now.pv.spec as {
    csi: { driver: string; fsType?: string }
    mountOptions?: string[]
  }
  const inGit = heritage({ labels: claim.labels, annotations: claim.annotations })
  const lives = heritage(object.metadata)
  return [
    {
      claim: claim.id,
      strategy,
      sizeBytes: claim.sizeBytes,
      storageClass: claim.storageClass ?? now.storageClass,
      ...(lun
        ? {
            lun: {
              uuid: lun.uuid,
              name: lun.name,
              sizeBytes: lun.sizeBytes,
              target: targetOf(targets, lun.uuid)?.id ?? 0,
            },
            fsType: csi.fsType ?? 'ext4',
          }
        : {}),
      ...(share
        ? {
            share: {
              uuid: share.uuid,
              name: share.name,
              // One without a quota has room for whatever the claim asks for.
              sizeBytes: share.sizeBytes || now.sizeBytes,
              location: share.location,
            },
          }
        : {}),
      sources: ['cluster', 'nas'],
      claimUid: now.uid,
      pv: now.pv.metadata.name ?? '',
      accessModes: claim.accessModes.length > 0 ? claim.accessModes : now.accessModes,
      labels: { ...lives.labels, ...inGit.labels },
      annotations: { ...lives.annotations, ...inGit.annotations },
      driver: csi.driver,
      attributes: attributesOf(now.pv),
      mountOptions,
      group: '',
    },
  ]
}

/** What moving a claim has the NAS make, of LUNs: a clone is of the kind that its original is. */
function makingOf({ strategy, share, onShare }: Row): Making {
  return { lasting: strategy === 'clone' ? !share : onShare !== true, passing: !share }
}

function cells({ claim, now, lun, share, verdict }: Row): string[] {
  return [
    claim.id,
    (lun ?? share)?.name ?? handleOf(now?.pv) ?? '',
    now?.storageClass ?? '',
    now ? showSize(now.sizeBytes) : '',
    verdict.says,
  ]
}

function nameOf({ kind, metadata }: KubernetesObject): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`
}

function evidenceOf(volumes: readonly Move[]): string {
  if (volumes.length === 0) return 'no claim is to be moved'
  return volumes
    .map(
      v => `${v.claim} is on ${oldDisk(v).name} and gets ${v.strategy === 'copy' ? 'a new disk' : 'a clone'}`,
    )
    .join('; ')
}

/** Every claim that is moved. */
export const eachMove = fanOutFrom(lookAtClaims, {
  name: 'volume',
  schema: move,
  key: volume => volume.claim,
  subjects: seen => seen.volumes,
})

/** Everything that is stopped together. */
export const eachOwners = fanOutFrom(lookAtClaims, {
  name: 'owners',
  schema: owners,
  key: group => group.key,
  subjects: seen => seen.groups,
})
