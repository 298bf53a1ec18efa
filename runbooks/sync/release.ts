import { z } from 'zod'
import { statedVolume } from '../../src/cluster/stated.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done, due } from '../../src/runbook/step.ts'
import { isUp, startPatch } from '../../src/volumes/workloads.ts'
import { lookAt, untilWell } from '../applications/well.ts'
import { type Readers, step } from '../kit.ts'
import { heldByUs, letGo } from './hold.ts'
import { eachOwners, lookAtClaims } from './look-at-claims.ts'
import type { Owners } from './moves.ts'
import { sameCluster } from './same-cluster.ts'
import { refTo, workloadsOf } from './stop-owners.ts'
import { swapDisk } from './swap.ts'

/** All claims of these owners have their new disks: they start again, as many as there were, and Git may have them. */
export const releaseOwners = step({
  id: 'release/owners',
  title: group => `Start what uses ${group.claims.join(', ')}`,
  byHand: 'kubectl scale to the replicas that you wrote down, then take the annotation off (flux resume).',
  each: eachOwners,
  needs: [lookAtClaims, swapDisk],
  needsOf: group => group.claims,
  danger: 'changes',
  bounds: { expected: '1m', limit: '30m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['api'],
  output: z.strictObject({}),
  async observe(look) {
    sameCluster(look)
    const { owners, kubernetes, run, outputOf } = look
    const names = owners.workloads.map(w => `${w.kind} ${w.namespace}/${w.name}`)
    if (owners.claims.some(claim => !outputOf(swapDisk, claim)))
      return due(
        ...owners.applications.map(a => `let go ${a.name}`),
        ...names.map(name => `start ${name}, as it is now`),
      )
    const workloads = await workloadsOf(owners, kubernetes)
    const stopped = workloads.filter(w => startPatch(w, run.id) !== undefined)
    const held = await heldByUs(owners.applications, kubernetes, run.id)
    const waiting = workloads.filter(w => !isUp(w))
    const unwell: string[] = []
    for (const application of owners.applications) {
      const seen = await lookAt(application, kubernetes)
      if (seen.state === 'unwell') unwell.push(seen.why)
    }
    if (stopped.length + held.length + waiting.length + unwell.length === 0)
      return done(
        {},
        names.length > 0
          ? `${names.join(', ')} runs on the new ${owners.claims.length > 1 ? 'disks' : 'disk'}`
          : `nothing uses ${owners.claims.join(', ')}`,
      )
    return due(
      ...stopped.map(w => `start ${w.kind} ${w.metadata.namespace}/${w.metadata.name}`),
      ...held.map(a => `let go ${a.name}`),
      ...(stopped.length + held.length === 0
        ? [...waiting.map(w => `wait for ${w.kind} ${w.metadata.namespace}/${w.metadata.name}`), ...unwell]
        : []),
    )
  },
  async apply(act) {
    const { owners, cluster, kubernetes, run, wait, note } = act
    gitMustAgree(owners, cluster, act)
    for (const workload of await workloadsOf(owners, kubernetes)) {
      const patch = startPatch(workload, run.id)
      if (patch) await kubernetes.patch(refTo(workload), patch)
    }
    await letGo(owners.applications, kubernetes, run.id)
    await wait(`the pods that use ${owners.claims.join(', ')} to be ready`, async () =>
      (await workloadsOf(owners, kubernetes)).every(isUp) ? true : undefined,
    )
    for (const application of owners.applications)
      if ((await lookAt(application, kubernetes)).state !== 'held')
        await untilWell(application, kubernetes, { wait, note })
  },
})

/** Whoever lets Git have a claim whose volume it still describes as the old one gets the old one back, or a quarrel. */
function gitMustAgree(
  { claims }: Owners,
  { inventory }: Readers['cluster'],
  {
    outputOf,
  }: { outputOf: (step: typeof swapDisk, key: string) => { pv: string; handle: string } | undefined },
): void {
  for (const claim of claims) {
    const now = outputOf(swapDisk, claim)
    const stated = statedVolume(inventory, claim)
    if (!now || !stated || stated.handle === now.handle) continue
    throw new Fault({
      code: 'git-names-old-disk',
      blame: 'operator',
      message: `${claim} is on ${now.handle} (PersistentVolume ${now.pv}) now, and Git still says ${stated.handle} (${stated.at}); its application was not started`,
      remedy: `Change the PersistentVolume in Git (name ${now.pv}, volumeHandle ${now.handle}) and the claim’s volumeName, push it, and run \`recover resume --accept cluster-file\``,
    })
  }
}
