import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import {
  failuresOf,
  faultsOf,
  homeOf,
  recordsNow,
  rehearseAt,
  resumeAt,
  settleVolumes,
} from '../recovery/home.ts'
import { archivedUid } from '../volumes/k0s-archive.ts'

const fixture = new URL('../volumes/datastore/fixtures/kine-state-backup.db.gz', import.meta.url)

/** Puts the database of a cluster of that UID beside recover.yaml, as one that was saved from a dead controller. */
function saveDatabase(home: { file: string }, uid: string): void {
  const database = gunzipSync(readFileSync(fixture))
  database.write(uid, database.indexOf(archivedUid))
  writeFileSync(join(home.file, '..', 'state.db'), database)
}

const outputOf = (step: string) => recordsNow().find(r => r.kind === 'checkpoint' && r.step === step)

test('the old cluster is known by its saved database, and a control plane that turns out to be it is not gone on with', async context => {
  const home = homeOf(context)
  // Its volumes are those of the lab.
  settleVolumes(home)
  appendFileSync(home.file, 'evidence: [kine:./state.db]\n')
  saveDatabase(home, archivedUid)
  // The run stops right after its control plane runs.
  const first = await rehearseAt(home, { faults: [{ name: 'other-cluster-answers', target: 'lithium' }] })
  expect(failuresOf(first)).toEqual({ 'kubernetes/kubeconfig': 'other-cluster-answers' })
  expect(outputOf('evidence/former-cluster')).toMatchObject({
    output: { clusters: [{ uid: archivedUid, sources: ['kine:./state.db'] }] },
    evidence: `the old cluster’s namespace kube-system had the UID ${archivedUid} (kine:./state.db)`,
  })
  const { message } = faultsOf(first)[0]!
  const [, found = '', ours = ''] = /has the UID (\S+), this run’s has (\S+);/.exec(message) ?? []
  // One database says that this is the old cluster, with the UID that the machine really has.
  const real = message.includes('the old cluster') ? ours : found
  saveDatabase(home, real)
  const second = await resumeAt(home, { accept: ['cluster-file'] })
  expect(failuresOf(second)).toEqual({ 'kubernetes/controllers': 'old-cluster-returned' })
  expect(faultsOf(second)[0]?.message).toContain(`the UID ${real}, as kine:./state.db knew it`)
})
