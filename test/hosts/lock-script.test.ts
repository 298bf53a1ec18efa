import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { lockShell } from '../../src/hosts/lock-script.ts'

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'recover-lock-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

test('a lock is there whole, is not taken twice, and leaves nothing beside it', () => {
  const at = folder()
  const lock = join(at, 'lock')
  const place = (text: string) => execFileSync('sh', ['-c', lockShell, 'sh', text, lock], { stdio: 'ignore' })
  place('recover run one\n')
  place('recover run two\n')
  expect(readFileSync(lock, 'utf8')).toBe('recover run one\n')
  expect(readdirSync(at)).toEqual(['lock'])
})

test('of many who try at the same time one has it, and nobody reads half of a name', async () => {
  const at = folder()
  const lock = join(at, 'lock')
  const names = Array.from({ length: 12 }, (_, i) => `recover run ${i}\n`)
  await Promise.all(
    names.map(
      name =>
        new Promise(resolve => {
          spawn('sh', ['-c', `${lockShell}; cat "$2"`, 'sh', name, lock], {
            stdio: ['ignore', 'pipe', 'ignore'],
          })
            .once('close', resolve)
            .stdout.on('data', (seen: Buffer) => expect(names).toContain(seen.toString()))
        }),
    ),
  )
  expect(names).toContain(readFileSync(lock, 'utf8'))
  expect(readdirSync(at)).toEqual(['lock'])
})
