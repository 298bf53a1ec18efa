import { join } from 'node:path'
import { z } from 'zod'
import { claims, readJournal } from '../src/runbook/replay.ts'
import { listRunFolders, stateFolder } from '../src/runbook/run-folder.ts'
import { mappedVolume } from '../src/volumes/map.ts'
import type { FormerRun } from '../src/volumes/old-disks.ts'
import { heardOfVolumes, readFormerRun } from '../src/volumes/sources/former-run.ts'
import type { VolumeSource } from '../src/volumes/sources/volume-source.ts'

const mapped = z.object({ volumes: z.array(z.object(mappedVolume.shape)) })
const disk = z.object({ handle: z.string() })
const heard = z.object({ heard: heardOfVolumes })
const bound = z.object({ pv: z.string(), handle: z.string() })

/** A former run's folder as a source of the volume map. Throws what reading a damaged journal throws. */
export function readRun(name: string, folder: string): VolumeSource {
  const journal = join(folder, 'journal.ndjson')
  const { steps } = claims(readJournal(journal), journal)
  const found = heard.safeParse(steps.get('evidence/map-volumes')?.checkpoint?.output)
  if (!found.success)
    return { name, testimonies: [], remarks: ['not read: that run did not come as far as to ask anybody'] }
  const back = [...steps].flatMap(([step, { checkpoint }]) => {
    const [, claim] = /^volumes\/(?:adopt|clone|copy|host-copy|restore)\[(.+)\]$/.exec(step) ?? []
    const output = bound.safeParse(checkpoint?.output)
    return claim !== undefined && output.success ? [{ claim, ...output.data }] : []
  })
  return readFormerRun(name, found.data.heard, back)
}

/** Runs on this cluster file that came to their end, oldest first, with the folder of each. One that cannot be read is left out. */
export function formerRuns(input: string, mode: string): (FormerRun & { folder: string })[] {
  return listRunFolders(stateFolder()).flatMap(folder => {
    try {
      const { began, ended, steps } = claims(readJournal(folder.journal), folder.journal)
      const found = mapped.safeParse(steps.get('evidence/map-volumes')?.checkpoint?.output)
      if (began.input !== input || began.mode !== mode || ended?.state !== 'finished' || !found.success)
        return []
      const volumes = found.data.volumes.flatMap(({ claim, lun, share }) => {
        const held = (lun ?? share)?.uuid
        if (held === undefined) return []
        const made = ['clone', 'copy', 'host-copy'].flatMap(way => {
          const output = disk.safeParse(steps.get(`volumes/${way}[${claim}]`)?.checkpoint?.output)
          return output.success ? [output.data.handle] : []
        })
        return [{ claim, disk: held, ...(made[0] === undefined ? {} : { replacedBy: made[0] }) }]
      })
      return [{ run: folder.run, ended: ended.at, volumes, folder: folder.path }]
    } catch {
      return []
    }
  })
}
