import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { goYaml } from '../../src/kubernetes/go-yaml.ts'
import { parseManifests, printManifests } from '../../src/kubernetes/render/manifests.ts'
import { scratch } from '../runbook/harness.ts'

/** As people and charts write them, each with what go-yaml makes of it. */
const scalars: Record<string, unknown> = {
  '0644': 420,
  '0o644': 420,
  '-0644': -420,
  '08': 8,
  '0x1F': 31,
  '0b11': 3,
  '1_000': 1000,
  '+12': 12,
  '1e3': 1000,
  '1.5e3': 1500,
  '.5': 0.5,
  '1.': 1,
  yes: true,
  no: false,
  on: true,
  Off: false,
  y: true,
  TRUE: true,
  '~': null,
  Null: null,
  '12:30': '12:30',
  '190:20:30': '190:20:30',
  '2001-01-01': '2001-01-01',
  '2001-01-01T00:00:00Z': '2001-01-01T00:00:00Z',
  '0.5.5': '0.5.5',
  '.': '.',
  '=': '=',
  _1: '_1',
  '"0644"': '0644',
  '!!str 12': '12',
}

const text = `apiVersion: example.org/v1\nkind: Thing\nmetadata: { name: thing }\nspec:\n${Object.keys(
  scalars,
)
  .map((scalar, i) => `  s${i}: ${scalar}\n`)
  .join('')}`
const meant = Object.fromEntries(Object.values(scalars).map((value, i) => [`s${i}`, value]))

test('a mode of a file is octal, and a word may be a truth, as kubectl takes them', () => {
  expect((parse(text, goYaml) as { spec: unknown }).spec).toEqual(meant)
  expect(parseManifests(text, 'a test')[0]).toMatchObject({ spec: meant })
})

test('what is printed is read as the same again, whatever it is', () => {
  const value = fc.oneof(
    fc.constantFrom(...Object.keys(scalars)),
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter(n => !Object.is(n, -0)),
  )
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), value), data => {
      expect(parse(stringify(data, goYaml), goYaml)).toEqual({ ...data })
    }),
  )
})

const kubectl = process.env.RECOVER_TEST_KUBECTL
describe.skipIf(!kubectl)('a real kubectl', () => {
  const read = (yaml: string): unknown => {
    const file = join(scratch('go-yaml'), 'thing.yaml')
    writeFileSync(file, yaml)
    return JSON.parse(
      execFileSync(kubectl!, ['label', '--local', '-f', file, 'a=b', '-o', 'json'], { encoding: 'utf8' }),
    )
  }

  test('takes each of them so', () => {
    expect(read(text)).toMatchObject({ spec: meant })
  })

  test('reads back what we print', () => {
    const [object] = parseManifests(text, 'a test')
    const words = Object.keys(scalars)
    const printed = printManifests([{ ...object!, spec: { ...meant, words } } as never])
    expect(read(printed)).toMatchObject({ spec: { ...meant, words } })
  })
})
