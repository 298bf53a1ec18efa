import { z } from 'zod'
import type { SmallFile } from '../../src/hosts/local-data.ts'
import { done, due } from '../../src/runbook/step.ts'
import { eachHost } from '../hosts/each-host.ts'
import { step } from '../kit.ts'
import { withPods } from './host-sources.ts'
import { survey, surveyed } from './survey.ts'

/**
 * What lives on each machine's own disks, while there is still somebody to ask. A machine that does not answer is
 * surveyed, too: as one of which nothing is known, which the person is told before they agree to wiping it.
 */
export const surveyHost = step({
  id: 'evidence/survey-hosts',
  title: host => `Look for data on ${host.name}’s own disks`,
  byHand:
    'On each machine that still runs look for hostPath and local volumes, Longhorn, Rook, exports and Tang keys, and copy what you need; save /var/lib/k0s/db or /var/lib/k0s/etcd.',
  each: eachHost,
  danger: 'reads',
  bounds: { expected: '5s', limit: '3m' },
  retry: { times: 3, delay: '2s' },
  holdsUntil: 'hosts/bring-up-installer',
  uses: host => [`host:${host.name}`],
  output: survey,
  async observe({ host, hosts, cluster, signal }) {
    const { found, evidence, warnings } = await surveyed(cluster, hosts, host.name, signal)
    return done(found, evidence, { warnings })
  },
})

/** Keeps what is small: kine's database, the kubelet's volumes, Tang's keys, exports, iSCSI records, k0s's configuration. */
export const keepHostFiles = step({
  id: 'evidence/keep-host-files',
  title: host => `Keep ${host.name}’s small files`,
  byHand:
    'Copy /var/lib/k0s/db, every vol_data.json below /var/lib/k0s/kubelet/pods, /etc/k0s, /etc/exports, /var/db/tang and /etc/iscsi to another machine.',
  each: eachHost,
  needs: [surveyHost],
  danger: 'changes',
  serves: ['hosts'],
  bounds: { expected: '3s', limit: '10m' },
  retry: { times: 3, delay: '2s' },
  holdsUntil: 'hosts/bring-up-installer',
  uses: host => [`host:${host.name}`],
  output: z.strictObject({ files: z.number() }),
  async observe({ host, evidence, output }) {
    const { files } = output(surveyHost)
    if (files.length === 0) return done({ files: 0 }, `${host.name} has no small files to keep`)
    const kept = evidence.kept(host.name)
    if (kept === undefined)
      return due(
        `save ${files.length} small files of ${host.name} to the run’s folder on this computer: ${listed(files)}`,
      )
    const bytes = [...kept.values()].reduce((sum, n) => sum + n, 0)
    return done(
      { files: kept.size },
      `${kept.size} files (${bytes} bytes) of ${host.name} are in the run’s folder`,
    )
  },
  async apply({ host, hosts, evidence, output, signal, note }) {
    const { files, pods } = output(surveyHost)
    const fetched = await hosts.anyone(host.name, signal, h =>
      h.fetchFiles(
        files.map(f => f.path),
        signal,
      ),
    )
    if (files.some(f => f.kind === 'kine'))
      note(`kine’s database on ${host.name} was copied as it lay on the disk, with its write-ahead log`)
    evidence.keep(host.name, withPods(fetched, pods))
  },
})

function listed(files: SmallFile[]): string {
  const paths = files.map(f => f.path)
  return paths.length > 6 ? `${paths.slice(0, 6).join(', ')} and ${paths.length - 6} more` : paths.join(', ')
}
