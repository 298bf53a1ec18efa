import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { breakLock, readLock, takeLock } from '../../src/runbook/lock.ts'
import { scratch } from './harness.ts'

const never = new AbortController().signal
const options = (over: object = {}) => ({
  run: 'r1',
  doing: 'test',
  timeoutMs: 0,
  stop: never,
  notice: () => {},
  ...over,
})

test('a second operator is told who holds it; after the release it is theirs', async () => {
  const path = join(scratch('lock'), 'lock')
  const held = await takeLock(path, options())
  await expect(takeLock(path, options({ run: 'r2' }))).rejects.toMatchObject({
    code: 'locked',
    message: expect.stringContaining(`@${hostname()}`),
  })
  held.release()
  const second = await takeLock(path, options({ run: 'r2' }))
  // The first one's second release must not take away what is not its own any more.
  held.release()
  expect(readLock(path)?.holder.run).toBe('r2')
  second.release()
  expect(readLock(path)).toBeUndefined()
})

test('waiting for a lock ends when it is given back', async () => {
  const path = join(scratch('lock'), 'lock')
  const held = await takeLock(path, options())
  const told: string[] = []
  const waiting = takeLock(
    path,
    options({
      run: 'r2',
      timeoutMs: 45_000,
      notice: (t: string) => {
        told.push(t)
        held.release()
      },
    }),
  )
  expect((await waiting).path).toBe(path)
  expect(told[0]).toContain('run r1')
})

test('the lock of a process that was killed is taken over, with a word', async () => {
  const path = join(scratch('lock'), 'lock')
  const child = spawn('sleep', ['60'])
  const mine = await takeLock(path, options())
  const text = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  mine.release()
  writeFileSync(path, JSON.stringify({ ...text, run: 'dead', pid: child.pid, processStart: start }))
  await expect(takeLock(path, options())).rejects.toMatchObject({ code: 'locked' })
  child.kill('SIGKILL')
  await new Promise(resolve => child.on('exit', resolve))
  const told: string[] = []
  await takeLock(path, options({ notice: (t: string) => told.push(t) }))
  expect(told.join()).toContain('Took over the lock of run dead')
})

test('the lock of another machine is never taken over, only broken on purpose', async () => {
  const path = join(scratch('lock'), 'lock')
  const mine = await takeLock(path, options())
  const text = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  mine.release()
  writeFileSync(path, JSON.stringify({ ...text, host: 'elsewhere', pid: 1, run: 'theirs' }))
  await expect(takeLock(path, options())).rejects.toMatchObject({ code: 'locked' })
  expect(breakLock(path)?.run).toBe('theirs')
  await takeLock(path, options())
})

test('of many who want it at once, one gets it', async () => {
  const path = join(scratch('lock'), 'lock')
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => takeLock(path, options({ run: `r${i}` }))),
  )
  expect(results.filter(r => r.status === 'fulfilled')).toHaveLength(1)
})

test('where no lock can be written, nothing begins, and the reason is told', async () => {
  const folder = scratch('lock')
  // A file stands where the folder would have to be: it stops root as well as anybody.
  writeFileSync(join(folder, 'locks'), '')
  await expect(takeLock(join(folder, 'locks', 'home'), options())).rejects.toMatchObject({
    code: 'state-unwritable',
    message: expect.stringContaining('nothing was changed'),
  })
})
