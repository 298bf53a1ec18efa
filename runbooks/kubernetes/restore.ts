import { z } from 'zod'
import { blocked, done, due } from '../../src/runbook/step.ts'
import { readK0sArchive } from '../../src/volumes/sources/k0s-backup.ts'
import { type HostsWriter, step } from '../kit.ts'
import { checkArchive } from '../preflight/check-archive.ts'
import { untilApiReady } from './api-ready.ts'
import { applyK0s } from './apply-k0s.ts'
import { checkHosts } from './check-hosts.ts'
import { eachArchive, fileOf } from './each-archive.ts'
import { refuseTroubles, type Seen } from './k0s-troubles.ts'
import { hostsIn, lookAtK0s } from './look-at-k0s.ts'

/**
 * The control plane as `k0s backup` had kept it, in the place of an empty one. k0sctl restores on its first controller, and
 * only where no k0s runs: elsewhere it leaves the archive aside without a word. So the UID of kube-system decides.
 */
export const restoreControlPlane = step({
  id: 'kubernetes/restore',
  title: archive => `Restore the control plane from ${archive.file}`,
  byHand:
    '`k0sctl apply --no-wait --restore-from ARCHIVE` with the controllers alone in k0sctl.yaml; `sudo k0s kubectl get namespace kube-system -o jsonpath={.metadata.uid}` must show the old UID.',
  each: eachArchive,
  needs: [checkHosts, checkArchive],
  // What was in the cluster comes back whole, and with it whatever starts by itself there.
  danger: 'destroys',
  bounds: { expected: '1m', limit: '60m' },
  uses: () => ['k0sctl'],
  output: z.strictObject({ clusterUid: z.string() }),
  async observe(look) {
    const { archive, cluster, hosts, output, signal } = look
    const { clusterUid } = output(checkArchive)
    const controllers = hostsIn(cluster, 'controllers')
    const wanted = due(
      `restore the control plane of the cluster ${clusterUid} on ${controllers[0]?.name} from ${archive.file}`,
    )
    for (const { name } of controllers)
      if ((await hosts.probe(name, signal)).state !== 'answers') return wanted
    const seen = await lookAtK0s(look, controllers)
    refuseTroubles(seen, look.run.id)
    const another = seen.find(s => s.k0s.clusterUid !== undefined && s.k0s.clusterUid !== clusterUid)
    if (another)
      return blocked(
        'restore-too-late',
        `on ${another.host.name} runs the cluster whose kube-system has the UID ${another.k0s.clusterUid}, and ${archive.file} holds ${clusterUid}: k0sctl restores only where no k0s runs; nothing was changed`,
        `To keep what runs, take restore out of recover.yaml. To restore, run \`sudo k0s stop\` and \`sudo k0s reset\` on ${another.host.name} and reboot it; then run \`recover resume\``,
      )
    if (!seen[0]?.k0s.ready || seen[0].k0s.clusterUid === undefined) return wanted
    return done(
      { clusterUid },
      `the API on ${seen[0].host.name} is ready, and its kube-system has the UID ${clusterUid}, as in ${archive.file}`,
    )
  },
  async victims({ archive, cluster, output }) {
    const { clusterUid, nodes, volumes } = output(checkArchive)
    // Hashed now: an archive that was exchanged since is another victim.
    const { sha256 } = await readK0sArchive(fileOf(archive, cluster))
    const strays = nodes.filter(n => !cluster.k0sctl.hosts.some(h => h.name === n.split('.')[0]))
    return [
      {
        kind: 'control plane',
        name: hostsIn(cluster, 'controllers')[0]?.name ?? '',
        identity: { archive: archive.file, sha256, cluster: clusterUid },
        content: ['nothing: its machine is installed anew before'],
        remarks: [
          `what comes in its place is the old cluster, with its ${nodes.length} nodes, ${volumes} volumes and all of its applications, as they were when the archive was made; what happened later is not in it`,
          'its applications start by themselves as soon as their nodes have a network; what keeps them from their disks until then is that the targets on the NAS are off',
          ...(strays.length > 0
            ? [`${strays.join(' and ')} come back as nodes without a machine: k0sctl.yaml does not name them`]
            : []),
        ],
      },
    ]
  },
  async apply(act) {
    const controllers = hostsIn(act.cluster, 'controllers')
    const seen = await lookAtK0s(act, controllers)
    refuseTroubles(seen, act.run.id)
    for (const each of seen) await dropHalfRestored(each, act)
    // k0sctl installs the service once it has restored: then the data is there, and k0s would not restore over it.
    const restored = seen[0]?.k0s.service !== undefined
    await applyK0s('controllers', act, restored ? {} : { restoreFrom: fileOf(act.archive, act.cluster) })
    await untilApiReady(controllers.slice(0, 1), act)
  },
})

/**
 * Removes data that was restored and never served: a k0sctl that was killed may have left half of it, which nobody can tell
 * from all of it, and k0s does not restore over any. Where its service is installed, the restoring was through.
 */
async function dropHalfRestored(
  { host, k0s }: Seen,
  { hosts, signal, note }: { hosts: HostsWriter; signal: AbortSignal; note(text: string): void },
): Promise<void> {
  if (k0s.data.length === 0 || k0s.service !== undefined) return
  await hosts.changeOurs(host.name, signal, h => h.dropControlPlaneData(host.dataDir, signal))
  note(`removed from ${host.name} what an interrupted attempt had restored and never started`)
}
