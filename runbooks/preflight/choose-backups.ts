import { z } from 'zod'
import { done } from '../../src/runbook/step.ts'
import { chooseSnapshot } from '../../src/volumes/restic.ts'
import { step } from '../kit.ts'

const chosenBackup = z.strictObject({
  claim: z.string(),
  snapshot: z.string(),
  /** When it was made, ISO 8601; empty where recover.yaml names it whole and nobody was asked. */
  time: z.string(),
  host: z.string(),
  path: z.string(),
})

/** Which snapshot each claim that is to be restored gets: chosen once, so that nobody restores a newer one than was shown. */
export const chooseBackups = step({
  id: 'preflight/choose-backups',
  title: 'Choose the backups that are restored',
  byHand: '`restic snapshots`: write down the id of the newest whole one of each volume.',
  danger: 'reads',
  bounds: { expected: '5s', limit: '5m' },
  retry: { times: 2, delay: '5s' },
  holdsUntil: 'volumes/restore',
  output: z.strictObject({ chosen: z.array(chosenBackup) }),
  async observe({ cluster, backups, signal }) {
    const claims = cluster.inventory.claims.filter(c => cluster.strategy(c.id) === 'restore')
    const chosen: z.infer<typeof chosenBackup>[] = []
    for (const { id: claim } of claims) {
      const place = cluster.entry.backups?.[claim]
      if (!place) throw new Error(`no backup of ${claim}`)
      const { snapshot, path, host = '' } = place
      // Whoever names a snapshot whole needs no restic on this computer.
      if (snapshot?.length === 64) chosen.push({ claim, snapshot, time: '', host, path })
      else {
        const found = chooseSnapshot(claim, place, await backups(claim, signal))
        chosen.push({ claim, snapshot: found.id, time: found.time, host: found.hostname, path })
      }
    }
    return done(
      { chosen },
      chosen.length === 0
        ? 'no claim is restored from a backup'
        : chosen
            .map(c => `${c.claim} gets ${c.snapshot.slice(0, 8)}${c.time === '' ? '' : ` of ${c.time}`}`)
            .join('; '),
      chosen.length === 0
        ? {}
        : {
            table: {
              columns: ['CLAIM', 'SNAPSHOT', 'MADE', 'OF HOST', 'FOLDER'],
              rows: chosen.map(c => [c.claim, c.snapshot.slice(0, 8), c.time || 'not asked', c.host, c.path]),
            },
          },
    )
  },
})
