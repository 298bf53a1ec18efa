import { randomBytes } from 'node:crypto'
import { type Cluster, loadCluster } from '../src/cluster/load.ts'
import { makePlan } from '../src/runbook/make-plan.ts'
import type { Plan } from '../src/runbook/plan.ts'
import { claims, readJournal } from '../src/runbook/replay.ts'
import { openRunFolder, stateFolder } from '../src/runbook/run-folder.ts'
import type { Runbook } from '../src/runbook/runbook.ts'
import { bookOf, limitsOf } from './books.ts'
import { connect } from './connect.ts'
import { fromScratch } from './from-scratch.ts'
import { aboutOf, secretOf } from './runs.ts'
import type { ConnectedRun, Reach, Whereabouts } from './whereabouts.ts'

/** Says what a run would do. Reads the world and the person's files, writes nothing at all. */
export async function planRun(
  cluster: Cluster,
  where: Whereabouts,
  now: AbortSignal,
  book: Runbook = fromScratch,
  waiting?: (titles: string[]) => void,
  about: Pick<ConnectedRun, 'asked' | 'mode'> = {},
): Promise<Plan> {
  limitsOf(cluster)
  const run = { id: 'plan', secret: randomBytes(32), onlyLooks: true, ...about }
  const connections = connect(cluster, run, where, now)
  try {
    return where.secrets.mask.json(
      await makePlan({ runbook: book, readers: connections.readers, now, waiting }),
    )
  } finally {
    await connections.close()
  }
}

/** Says what going on with a run would do now. Reads the world and the run's folder, writes nothing. */
export async function planResume(
  run: string | undefined,
  reach: (mode: string) => Reach,
  now: AbortSignal,
): Promise<Plan> {
  const folder = openRunFolder(stateFolder(), run)
  const claimed = claims(readJournal(folder.journal), folder.journal)
  const { began } = claimed
  const cluster = loadCluster(began.input)
  const where = await reach(began.mode)(cluster, folder)
  const secret = secretOf(folder)
  const connections = connect(
    cluster,
    { id: folder.run, secret, folder: folder.path, onlyLooks: true, ...aboutOf(began) },
    where,
    now,
  )
  try {
    return where.secrets.mask.json(
      await makePlan({
        runbook: bookOf(began.only, began.runbook),
        readers: connections.readers,
        claims: claimed,
        now,
      }),
    )
  } finally {
    await connections.close()
  }
}
