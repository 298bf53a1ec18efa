import { describe, expect, test } from 'vitest'
import { textOfBytes } from '../../../src/hosts/butane/byte-text.ts'
import { compileButane } from '../../../src/hosts/butane/compile.ts'
import type { ButaneOptions } from '../../../src/hosts/butane/messages.ts'

const compile = (text: string, options: Partial<ButaneOptions> = {}) =>
  compileButane(text, { source: 'host.bu', ...options })

const experimental = `variant: flatcar
version: 1.2.0-experimental
storage:
  files:
    - path: /usr/local/bin/su
      mode: 04755
  luks:
    - name: data
      device: /dev/vdb
      clevis:
        custom: {pin: own, config: "{}"}
`

describe('the spec of an experimental version is that of the image', () => {
  test.each(['3.5.0-experimental', '3.6.0-experimental', '3.7.0-experimental'] as const)('%s', spec => {
    const text = experimental.replace('pin: own', 'pin: sss')
    expect(compile(text, { spec }).config).toMatchObject({ ignition: { version: spec } })
  })

  test('what that spec does not allow yet is an error, what it does not do is a warning', () => {
    const { messages, exitCode } = compile(experimental, { spec: '3.5.0-experimental' })
    expect(messages.map(m => [m.severity, m.path, m.line, m.column])).toEqual([
      ['warning', '$.storage.files.0.mode', 6, 13],
      ['error', '$.storage.luks.0.clevis.custom.pin', 11, 23],
    ])
    expect(exitCode).toBe(1)
    expect(compile(experimental, { spec: '3.6.0-experimental' }).messages).toEqual([])
  })

  test('what that spec has no field for is an error, never left out', () => {
    const text = experimental
      .replace('device: /dev/vdb', 'device: /dev/vdb\n      discard: true')
      .replace('own', 'sss')
    const { messages, exitCode, config } = compile(text, { spec: '3.3.0' })
    expect(messages.filter(m => m.severity === 'error')).toEqual([
      {
        severity: 'error',
        path: '$.storage.luks.0.discard',
        line: 10,
        column: 16,
        text: 'discard is not known to Ignition spec 3.3.0, which the image accepts',
      },
    ])
    expect([exitCode, config]).toEqual([1, undefined])
  })

  test('stable versions keep their own', () => {
    const stable = 'variant: flatcar\nversion: 1.1.0\n'
    expect(compile(stable, { spec: '3.6.0-experimental' }).text).toBe('{"ignition":{"version":"3.4.0"}}\n')
  })
})

test('every file that went into the config is named', () => {
  const text = `variant: flatcar
version: 1.1.0
storage:
  trees: [{local: files/tree}]
  files:
    - path: /a
      contents: {local: in.bu}
`
  const filesDir = new URL('golden/fcos-1.6-everything', import.meta.url).pathname
  expect(compile(text, { filesDir }).localFiles.map(f => f.slice(filesDir.length + 1))).toEqual([
    'in.bu',
    'files/tree/one',
    'files/tree/sub/two',
  ])
})

test('a text that is no YAML is a message with its line, too', () => {
  const { messages, report, exitCode, text } = compile(
    'variant: flatcar\nversion: 1.1.0\nstorage:\n\tfiles: []\n',
  )
  expect(messages).toEqual([
    {
      severity: 'error',
      path: '$',
      line: 4,
      text: 'Error unmarshaling yaml: yaml: line 4: found character that cannot start any token',
    },
  ])
  expect(report).toBe(`Error translating config: ${messages[0]!.text}`)
  expect([exitCode, text]).toEqual([1, ''])
})

describe('a text that is hardly one', () => {
  const flatcar = 'variant: flatcar\nversion: 1.1.0\n'

  test('is read in UTF-16, as Windows writes it, in either order', () => {
    const text = `\ufeff${flatcar}storage:\n  links:\n    - {path: /ü, target: /💥}\n`
    const little = Buffer.from(text, 'utf16le')
    const storage = { links: [{ path: '/ü', target: '/💥' }] }
    for (const bytes of [little, Buffer.from(little).swap16()])
      expect(compile(textOfBytes(bytes)).config).toMatchObject({ storage })
    const fault = (units: number[]) =>
      compile(textOfBytes(Buffer.from(new Uint16Array([0xfeff, ...units]).buffer))).report
    expect(fault([0xdc00])).toMatch(/unexpected low surrogate area$/)
    expect(fault([0xd800])).toMatch(/incomplete UTF-16 surrogate pair$/)
    expect(fault([0xd800, 0x41])).toMatch(/expected low surrogate area$/)
    expect(compile(textOfBytes(Buffer.concat([little, Buffer.from('x')]))).report).toMatch(
      /incomplete UTF-16 character$/,
    )
  })

  test('is refused where it is nested deeper than the library goes', () => {
    expect(compile(`${flatcar}storage: ${'['.repeat(10_001)}\n`).report).toBe(
      'Error translating config: Error unmarshaling yaml: yaml: line 3: exceeded max depth of 10000',
    )
  })

  test('has whole numbers of 64 bits that are made no fractions', () => {
    expect(
      compile(`${flatcar}storage:\n  files:\n    - {path: /a, mode: !!float 9223372036854775808}\n`).report,
    ).toBe('Error translating config: yaml: cannot decode !!int `9223372036854775808` as a !!float')
  })
})
