import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runPart } from './harness.ts'
import { pottery, WorkshopReader, WorkshopWriter } from './workshop.ts'

/**
 * One process's part of the pottery run, for the crash test: `node workshop-child.js WORLD JOURNAL POINT`.
 * Ends itself with SIGKILL at the POINT-th point where a crash could matter: before and after every journal write,
 * before and after every effect, before and after every single change of the world. With POINT 0 it runs to the end
 * and writes how many points it met.
 */
const [dir = '', journal = '', wanted = '0'] = process.argv.slice(2)
const last = Number(wanted)
let met = 0
const point = () => {
  met += 1
  if (met === last) process.kill(process.pid, 'SIGKILL')
}
const result = await runPart(
  journal,
  pottery,
  { workshop: new WorkshopReader(dir) },
  { workshop: new WorkshopWriter(dir, point) },
  { journalOptions: { onPoint: point }, onPoint: point },
)
writeFileSync(join(journal, '..', 'points'), String(met))
for (const event of result.events)
  appendFileSync(join(journal, '..', 'events.ndjson'), `${JSON.stringify(event)}\n`)
process.exitCode = result.state === 'finished' ? 0 : 4
