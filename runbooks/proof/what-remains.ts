import { z } from 'zod'
import { done } from '../../src/runbook/step.ts'
import { diskHolding } from '../../src/volumes/map.ts'
import { heldSnapshot } from '../../src/volumes/old-disks.ts'
import { withoutLogin } from '../bootstrap/each-mirror.ts'
import { serveRepository } from '../bootstrap/serve-repository.ts'
import { mapTheVolumes } from '../evidence/map-volumes.ts'
import { step } from '../kit.ts'
import { hostOfNode } from '../kubernetes/host-of-node.ts'
import { disarm } from './disarm.ts'
import { resumeOsUpdates } from './resume-os-updates.ts'
import { stopServing } from './stop-serving.ts'
import { storedPasswords } from './stored-passwords.ts'
import { tidyUp } from './tidy-up.ts'

/** What only a person can or should do now, said while they still sit here. */
export const whatRemains = step({
  id: 'proof/what-remains',
  title: 'Say what remains to be done',
  byHand: 'Write down which old LUNs and snapshots may be deleted, and when.',
  needs: [mapTheVolumes, serveRepository, disarm, tidyUp, resumeOsUpdates, stopServing],
  danger: 'reads',
  bounds: { expected: '2s', limit: '2m' },
  retry: { times: 4, delay: '3s' },
  uses: () => ['nas'],
  output: z.strictObject({ remains: z.array(z.string()) }),
  async observe({ cluster, kubernetes, nas, run, output, outputOf }) {
    const { volumes, ownerless } = output(mapTheVolumes)
    const url = withoutLogin(cluster.entry.gitops.remote ?? '')
    const snapshots: string[] = []
    for (const volume of volumes)
      if (volume.lun && (await nas.snapshots(volume.lun.uuid)).some(s => s.name === `recover-${run.id}`))
        snapshots.push(volume.lun.name)
    const shares = volumes.filter(v => v.share)
    const ofShares: string[] = []
    for (const { uuid, name } of shares.map(v => v.share!))
      for (const { description } of await nas.shareSnapshots(uuid))
        if ([`recover-${run.id}`, heldSnapshot(run.id)].includes(description))
          ofShares.push(`${description} of ${name}`)
    const replaced = volumes.filter(v => v.strategy !== 'adopt' && v.strategy !== 'new' && v.lun)
    const nodes = await kubernetes.list({ apiVersion: 'v1', kind: 'Node' })
    const strays = nodes.filter(n => !hostOfNode(cluster, n)).map(n => n.metadata.name ?? '')
    const remains = [
      ...replaced.map(
        v =>
          `The old disk of ${v.claim}, ${v.lun!.name}, is kept with its target off: \`recover volumes finalize\` deletes it when you are sure of the new one`,
      ),
      ...(snapshots.length > 0
        ? [
            `The snapshots recover-${run.id} of ${snapshots.length} LUNs are kept as the way back: delete them when all is well`,
          ]
        : []),
      ...shares
        .filter(v => v.strategy !== 'adopt')
        .map(
          v =>
            `The old share of ${v.claim}, ${v.share!.name}, is kept, and its NFS rules let nobody in: \`recover volumes finalize\` deletes it when you are sure of the new one`,
        ),
      ...(ofShares.length > 0
        ? [`The snapshots ${ofShares.join(', ')} are kept as the way back: delete them when all is well`]
        : []),
      ...storedPasswords(
        cluster.inventory.claims,
        new Set(volumes.filter(v => diskHolding(v) !== undefined).map(v => v.claim)),
      ),
      ...strays.map(
        name => `The node ${name} has no machine in k0sctl.yaml: \`kubectl delete node ${name}\``,
      ),
      ...ownerless.map(name => `No claim in Git owns ${name} on the NAS: it was left alone`),
      ...volumes
        .filter(v => v.strategy === 'new')
        .map(v =>
          v.leftToGit
            ? `${v.claim} was left to Git, which leads it to the share ${v.leftToGit}: look at it yourself, nothing of it was compared`
            : `${v.claim} began empty, as recover.yaml says`,
        ),
      ...(outputOf(serveRepository, url)?.served
        ? [
            `${url} was served from the kit: until it is back, Argo CD calls what it brings from there Unknown, and leaves it as it is`,
          ]
        : []),
      ...((cluster.entry.checks ?? []).length === 0
        ? ['recover.yaml has no checks: open your applications and look at them yourself']
        : []),
    ]
    return done({ remains }, remains.length === 0 ? 'nothing remains to be done' : remains.join('; '))
  },
})
