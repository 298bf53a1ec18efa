import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Fault } from '../../src/runbook/fault.ts'
import { fileSource } from '../../src/secrets/file.ts'
import { scratch } from '../runbook/harness.ts'

function written(text: string, mode = 0o600): string {
  const file = join(scratch('secrets'), 'secrets.yaml')
  writeFileSync(file, text)
  chmodSync(file, mode)
  return file
}

const ask = (file: string) => fileSource(file).find('nas', 'password')
const yaml = 'nas:\n  username: recover\n  password: hunter2!\n'

describe('the mode', () => {
  test.each([0o600, 0o400])('%o is private enough', async mode => {
    expect(await ask(written(yaml, mode))).toEqual({ value: 'hunter2!' })
  })

  test.each([0o601, 0o604, 0o620, 0o640, 0o660, 0o644, 0o700, 0o777])('%o is refused', async mode => {
    const file = written(yaml, mode)
    await expect(ask(file)).rejects.toMatchObject({
      code: 'secret-file-readable',
      blame: 'operator',
      remedy: expect.stringContaining(`chmod 600 ${file}`),
    })
  })

  test('a symbolic link has the mode of the file behind it', async () => {
    const file = written(yaml, 0o644)
    const link = join(scratch('secrets'), 'link')
    symlinkSync(file, link)
    await expect(ask(link)).rejects.toMatchObject({ code: 'secret-file-readable' })
    chmodSync(file, 0o600)
    expect(await ask(link)).toEqual({ value: 'hunter2!' })
  })

  test('a folder or a named pipe is refused at once', async () => {
    const dir = scratch('secrets')
    mkdirSync(join(dir, 'folder'), { mode: 0o700 })
    await expect(ask(join(dir, 'folder'))).rejects.toMatchObject({ code: 'secret-file-unreadable' })
    execFileSync('mkfifo', ['-m', '600', join(dir, 'pipe')])
    await expect(ask(join(dir, 'pipe'))).rejects.toMatchObject({ code: 'secret-file-unreadable' })
  })
})

describe('the content', () => {
  test('JSON does as well', async () => {
    expect(await ask(written('{"nas":\t{"password": "a\\"b\\ud83d\\udd11"}}'))).toEqual({ value: 'a"b🔑' })
  })

  test.each([
    ['0123', '0123'],
    ['1e5', '1e5'],
    ['true', 'true'],
    ['null', 'null'],
    ['2001-01-01', '2001-01-01'],
    ['"quoted # text"', 'quoted # text'],
    ['|\n    line one\n    line two', 'line one\nline two\n'],
  ])('in YAML %j is the text %j', async (scalar, value) => {
    expect(await ask(written(`nas:\n  password: ${scalar}\n`))).toEqual({ value })
  })

  test('what is not there is missing', async () => {
    expect(await ask(join(scratch('secrets'), 'none.yaml'))).toMatchObject({
      missing: { code: 'secret-file-absent' },
    })
    expect(await ask(written('bmc: { password: x }'))).toMatchObject({
      missing: { code: 'secret-not-in-file' },
    })
    expect(await ask(written('nas:\n  password:\n'))).toMatchObject({
      missing: { code: 'secret-not-in-file' },
    })
  })

  test.each([
    ['an unresolved alias', 'nas:\n  password: *hunter2\n'],
    ['a broken quote', 'nas:\n  password: "hunter2\n'],
    ['a tab', 'nas:\n\tpassword: hunter2\n'],
    ['a bad escape', 'nas:\n  password: "hunter2\\q"\n'],
    ['broken JSON', '{"nas": {"password": "hunter2" "x"}}'],
    ['a tag that nobody resolves', 'nas:\n  password: !vault hunter2\n'],
    ['two documents', 'nas: { password: hunter2 }\n---\nnas: { password: hunter2 }\n'],
    ['a map as a name', '? { password: hunter2 }\n: { password: hunter2 }\n'],
    ['no fields', 'nas: hunter2\n'],
    ['a number', '{"nas": {"password": 4711222}}'],
    ['a list', '- hunter2\n'],
    ['a name twice', 'nas: { password: hunter2 }\nnas: { password: x }\n'],
    ['nothing', ''],
  ])('%s: refused without quoting it', async (_name, text) => {
    const file = written(text)
    const warnings: Error[] = []
    const note = (warning: Error) => warnings.push(warning)
    process.on('warning', note)
    const thrown = await ask(file).then(
      answer => expect.fail(`answered ${JSON.stringify(answer)}`),
      (error: unknown) => error as Fault,
    )
    await new Promise(resolve => setImmediate(resolve))
    process.off('warning', note)
    expect(warnings).toEqual([])
    expect(thrown).toBeInstanceOf(Fault)
    expect(thrown.code).toBe('secret-file-invalid')
    expect(thrown.message).toContain(file)
    expect(`${JSON.stringify(thrown)}${thrown.stack}${String(thrown.cause)}`).not.toMatch(/hunter2|4711222/)
  })

  test('a syntax error names its line', async () => {
    await expect(ask(written('nas:\n  user: x\n  password: "hunter2\\q"\n'))).rejects.toMatchObject({
      at: expect.stringMatching(/secrets\.yaml:3:\d+$/),
    })
  })
})
