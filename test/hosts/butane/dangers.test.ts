import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { compileButane } from '../../../src/hosts/butane/compile.ts'
import { dangersOf, showDanger } from '../../../src/hosts/butane/dangers.ts'

const folder = mkdtempSync(join(tmpdir(), 'recover-dangers-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

function dangers(body: string, variant = 'flatcar', version = '1.1.0', filesDir = folder) {
  const text = `variant: ${variant}\nversion: ${version}\n${body}`
  const options = { source: 'host.bu', filesDir }
  return dangersOf(text, compileButane(text, options), options)
}

describe('keys that only others honour', () => {
  test('a copied boot_device means no encryption', () => {
    const found = dangers('boot_device:\n  luks: {tpm2: true}\ngrub: {users: []}\n')
    expect(found.map(d => [d.kind, d.line, d.column])).toEqual([
      ['ignored-key', 3, 1],
      ['ignored-key', 5, 1],
    ])
    expect(showDanger(found[0]!)).toMatch(/^host\.bu:3:1: boot_device .*neither encrypted nor mirrored/)
  })

  test('a key of a newer version, deep inside', () => {
    expect(dangers('storage:\n  luks:\n    - name: a\n      cex: {enabled: true}\n')).toMatchObject([
      { kind: 'ignored-key', line: 6, column: 7 },
    ])
  })

  test('a key that nobody knows is Butane’s own business', () => {
    expect(dangers('storage:\n  file: []\n')).toEqual([])
  })
})

test('a mode in decimal digits, with what it means', () => {
  expect(dangers('storage:\n  files:\n    - {path: /a, mode: 644}\n')).toMatchObject([
    { kind: 'decimal-mode', line: 5, column: 24, text: 'mode 644 is decimal and means 01204: write 0644' },
  ])
})

test('local files that a checkout elsewhere does not have', () => {
  execFileSync('git', ['init', '--quiet', folder])
  writeFileSync(join(folder, '.gitignore'), '*.key\n')
  writeFileSync(join(folder, 'there.key'), 'x')
  writeFileSync(join(folder, 'tracked.txt'), 'x')
  const found = dangers(`storage:
  files:
    - path: /a
      contents: {local: there.key}
    - path: /b
      contents: {local: tracked.txt}
    - path: /c
      contents: {local: missing.key}
    - path: /d
      contents: {local: missing.txt}
`)
  expect(found.map(d => [d.kind, d.line])).toEqual([
    ['local-not-in-git', 6],
    ['local-missing', 10],
    ['local-missing', 12],
  ])
  expect(found[1]?.text).toMatch(/because Git ignores it/)
  expect(found[2]?.text).not.toMatch(/Git/)
})

test('a folder of files named from here, and one that is missing whole, are looked for in Git as well', () => {
  execFileSync('git', ['init', '--quiet', folder])
  writeFileSync(join(folder, '.gitignore'), '/keys/there\n/gone/\n')
  mkdirSync(join(folder, 'keys'))
  writeFileSync(join(folder, 'keys', 'there'), 'x')
  const body = (name: string) => `storage:\n  files:\n    - path: /a\n      contents: {local: ${name}}\n`
  const fromHere = relative(process.cwd(), join(folder, 'keys'))
  expect(dangers(body('there'), 'flatcar', '1.1.0', fromHere)).toMatchObject([{ kind: 'local-not-in-git' }])
  const [missing] = dangers(body('gone/sub/key'), 'flatcar', '1.1.0', relative(process.cwd(), folder))
  expect(missing?.text).toMatch(/^gone\/sub\/key is not there, because Git ignores it/)
})

test('secrets in the text are told without being shown', () => {
  const token = `ghp_${'0123456789'.repeat(4)}`
  const found = dangers(`storage:
  luks:
    - name: data
      device: /dev/vdb
      key_file: {inline: tops3cret}
  files:
    - path: /a
      contents:
        inline: |
          [Service]
          Environment=TOKEN=${token}
    - path: /b
      contents:
        inline: password=\${PASSWORD}
    - path: /c
      contents:
        inline: "-----BEGIN OPENSSH PRIVATE KEY-----\\nabc"
`)
  expect(found.map(d => [d.kind, d.line])).toEqual([
    ['secret-inline', 7],
    ['secret-inline', 11],
    ['secret-inline', 19],
  ])
  expect(JSON.stringify(found)).not.toMatch(/tops3cret|ghp_|abc/)
})
