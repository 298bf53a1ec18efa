import { z } from 'zod'
import { Fault } from '../../src/runbook/fault.ts'
import { type Acting, done, due, type Observation } from '../../src/runbook/step.ts'
import { jobState, runJob } from '../../src/volumes/jobs.ts'
import { diskHolding, type MappedVolume } from '../../src/volumes/map.ts'
import { measureJob } from '../../src/volumes/objects.ts'
import { parseMeasurement } from '../../src/volumes/programs.ts'
import { eachVolume } from '../evidence/map-volumes.ts'
import { type Readers, step, type Writers } from '../kit.ts'
import { fenced } from '../protect/fenced.ts'
import { waysBack } from './expected.ts'
import { type measuredClone, measurement, measureVolume } from './measure.ts'
import { sourceOf } from './source.ts'
import { twinsApart } from './twins-apart.ts'

/** What was hashed before anybody wrote, and what is there now. */
export const comparison = z.strictObject({ before: measurement, after: measurement })

/** What the claim holds now, hashed through the very volume that its application will mount, is what it held before. */
export const verifyVolume = step({
  id: 'volumes/verify',
  title: volume => `Prove the content of ${volume.claim}`,
  byHand: 'Hash the claim’s files as before; the two hashes must be equal.',
  each: eachVolume,
  only: volume => diskHolding(volume) !== undefined,
  needs: [measureVolume, ...waysBack],
  danger: 'changes',
  bounds: { expected: '1m', limit: '12h' },
  retry: { times: 4, delay: '5s' },
  // Its Job is dropped with the clone; by then the proof is in the journal.
  holdsUntil: 'volumes/drop-clone',
  uses: () => ['nas'],
  output: comparison,
  observe: look => lookAtContent(look.volume, look.output(measureVolume), look),
  async apply(act) {
    const { volume } = act
    await fenced(volume, act)
    await measureAgain(volume, volume.claim, act.output(measureVolume).fsType, act)
  },
})

/** Whether what was hashed again is what was hashed before. Throws Fault `content-differs`. */
export async function lookAtContent(
  volume: MappedVolume,
  { clone: _, ...before }: z.infer<typeof measuredClone>,
  { kubernetes, run }: Pick<Readers, 'kubernetes' | 'run'>,
): Promise<Observation<z.infer<typeof comparison>>> {
  const { namespace, jobs } = sourceOf(volume, run)
  const job = await jobState(kubernetes, namespace, jobs.after)
  const after = job.state === 'complete' ? parseMeasurement(job.message) : undefined
  if (!after) return due(`hash every file of ${volume.claim} in the Job ${namespace}/${jobs.after}`)
  if (after.sha256 !== before.sha256 || after.files !== before.files)
    throw new Fault({
      code: 'content-differs',
      blame: 'host',
      message: `${volume.claim} does not hold what it held: before ${before.files} files, ${before.bytes} bytes, sha256 ${before.sha256}; now ${after.files} files, ${after.bytes} bytes, sha256 ${after.sha256}. Its application was not started`,
      remedy: `Compare the claim with its snapshot recover-${run.id} on the NAS; after mending it, delete the Job ${namespace}/${jobs.after} and run \`recover resume\``,
    })
  return done(
    { before, after },
    `${volume.claim} holds the same ${after.files} files as before, sha256 ${after.sha256.slice(0, 12)}…`,
  )
}

/** Hashes every file of a claim that has a volume's new disk, its own claim or one that stands in for it. */
export async function measureAgain(
  volume: MappedVolume,
  mounted: string,
  /** File system of the old disk, as far as it is known. */
  fsType: string | undefined,
  act: Writers & Pick<Acting, 'note' | 'wait'>,
): Promise<void> {
  const { cluster, kubernetes, run, wait } = act
  const { namespace, jobs, labels } = sourceOf(volume, run)
  const awayFrom = await twinsApart(volume, fsType, act)
  await runJob(
    kubernetes,
    measureJob(
      jobs.after,
      { namespace, name: mounted.slice(namespace.length + 1) },
      labels,
      cluster.jobImage,
      awayFrom,
    ),
    (what, probe) => wait(what, probe, { every: '2s' }),
    `the files of ${volume.claim} to be hashed again`,
  )
}
