import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hostReader } from '../../src/hosts/host.ts'
import { keepLines } from '../../src/hosts/line.ts'
import type { SshAccess } from '../../src/hosts/ssh.ts'

// Started by hosts.ts: looks at every machine twice over kept lines, and says how long it took and what it found.
const [folder = '', user = '', ports = ''] = process.argv.slice(2)
const began = performance.now()
const never = new AbortController().signal
const privateKey = readFileSync(join(folder, 'id'), 'utf8')
const pin = readFileSync(join(folder, 'host_key.pub'), 'utf8').trim()
const lines = keepLines()
const machines = ports.split(',').map(
  (port, i): SshAccess => ({
    name: `h${i}`,
    address: '127.0.0.1',
    port: Number(port),
    user,
    privateKey,
    pins: [pin],
    connectTimeoutMs: 60_000,
  }),
)
/** So many handshakes at once that a computer with few cores still answers each in time. */
const atOnce = 16

async function look(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  const waiting = [...machines]
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let access = waiting.shift(); access; access = waiting.shift()) {
        const to = access
        const facts = await lines.use(to, never, ssh => hostReader(to, ssh).facts(), true)
        if (facts.bootId === '') throw new Error(`${to.name} told nothing`)
        least = Math.min(least, countOf(facts))
      }
    }),
  )
  return least
}

/** How many single facts there are: every leaf that has a value. */
function countOf(value: unknown): number {
  if (value === undefined || value === null || value === '') return 0
  if (typeof value !== 'object') return 1
  return Object.values(value).reduce((sum: number, part) => sum + countOf(part), 0)
}

const beforeMs = performance.now() - began
const facts = await look()
const cold = performance.now()
await look()
const warmMs = performance.now() - cold
await lines.close()
process.stdout.write(
  JSON.stringify({ hosts: machines.length, facts, coldMs: cold - began, warmMs, beforeMs }),
)
