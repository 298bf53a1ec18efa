import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './program.ts'

const golden = join(root, 'test/hosts/butane/golden')

function hostsIgnition(folder: string, args: string[], input: string) {
  const ran = spawnSync(process.execPath, [join(root, 'bin/run.js'), 'hosts', 'ignition', ...args], {
    cwd: join(golden, folder),
    input,
    encoding: 'utf8',
  })
  return { exit: ran.status, stdout: ran.stdout, stderr: ran.stderr }
}

const readGolden = (name: string) => readFileSync(join(golden, name), 'utf8')

test('prints the config to stdout and the words of butane to stderr, byte for byte', () => {
  const name = 'keys-that-only-others-have'
  const ran = hostsIgnition(name, ['-', '--files-dir', 'files'], readGolden(`${name}/in.bu`))
  const said = readGolden(`${name}/err.txt`).replaceAll(' in.bu:', ' <stdin>:')
  expect(ran).toEqual({ exit: 0, stdout: readGolden(`${name}/out.ign`), stderr: said })
})

test('as JSON: config, messages, and what butane passes over; warnings fail with --strict', () => {
  const text = 'variant: flatcar\nversion: 1.1.0\ngrub: {}\n'
  const ran = hostsIgnition('binary-contents', ['--json', '--strict'], text)
  expect(JSON.parse(ran.stdout)).toEqual({
    exit: 1,
    config: null,
    messages: [{ severity: 'warning', path: '$.grub', line: 3, column: 1, text: 'unused key grub' }],
    dangers: [expect.objectContaining({ kind: 'ignored-key', file: '<stdin>', line: 3, column: 1 })],
    localFiles: [],
    sources: [],
  })
  expect(ran).toMatchObject({ exit: 1, stderr: '' })
})
