import { spawnSync } from 'node:child_process'
import { readdirSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readJournal } from '../../src/runbook/replay.ts'
import { runPart, scratch } from './harness.ts'
import { furnish, pottery, WorkshopReader, WorkshopWriter, worldOf } from './workshop.ts'

const small = scratch('small-disk')
const mounted =
  process.getuid?.() === 0 &&
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small]).status === 0
if (!mounted) process.stdout.write('skipped: full disk: mounting a small disk needs root\n')

test.skipIf(!mounted)(
  'a full disk stops the run before the effect, and freeing space lets it finish',
  async () => {
    try {
      const dir = scratch('workshop')
      furnish(dir, ['north', 'south'])
      const journal = join(small, 'journal.ndjson')
      const part = (onPoint?: () => void) =>
        runPart(
          journal,
          pottery,
          { workshop: new WorkshopReader(dir) },
          { workshop: new WorkshopWriter(dir) },
          onPoint ? { journalOptions: { onPoint } } : {},
        )
      let effects = ''
      // The disk fills up once the shop is shut and the first shelf is about to be cleared.
      const fill = () => {
        if (worldOf(dir).sign !== 'shut' || readdirSync(small).includes('ballast')) return
        effects = JSON.stringify(worldOf(dir))
        try {
          writeFileSync(join(small, 'ballast'), Buffer.alloc(1_000_000))
        } catch {
          expect(statfsSync(small).bfree).toBe(0)
        }
        // What is left of the journal's own last block must not let records through for ever.
        for (let i = 0; i < 8; i += 1)
          try {
            writeFileSync(join(small, `b${i}`), Buffer.alloc(4096))
          } catch {
            break
          }
      }
      const records = () => readJournal(journal).records.length
      await expect(part(fill)).rejects.toMatchObject({ code: 'journal-unwritable' })
      const written = records()
      const world = JSON.stringify(worldOf(dir))
      // Every intent that got onto the disk may have had its effect; none that did not may have.
      const intents = readJournal(journal).records.flatMap(r => (r.kind === 'intent' ? [r.step] : []))
      if (!intents.includes('shelves/clear[north]')) expect(world).toBe(effects)
      expect(written).toBeGreaterThan(2)
      spawnSync('sh', ['-c', `rm -f ${small}/ballast ${small}/b*`])
      expect((await part()).state).toBe('finished')
      expect(worldOf(dir).sign).toBe('open, 2 pots')
    } finally {
      spawnSync('umount', ['-l', small])
    }
  },
)
