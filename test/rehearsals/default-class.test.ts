import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { failuresOf, homeOf, rehearseAt } from '../recovery/home.ts'

test('claims that name no class are adopted and copied as the default class has it', async context => {
  const home = homeOf(context)
  const change = (file: string, from: string, to: string) => {
    const path = join(home.file, '../applications', file)
    const text = readFileSync(path, 'utf8')
    expect(text).toContain(from)
    writeFileSync(path, text.replace(from, to))
  }
  for (const application of ['grafana', 'photos'])
    change(`${application}/claim.yaml`, '  storageClassName: synology-iscsi\n', '')
  const standard = '{ storageclass.kubernetes.io/is-default-class: "true" }'
  const name = '  name: synology-iscsi\n'
  change('synology-csi/storage-class.yaml', name, `${name}  annotations: ${standard}\n`)
  const run = await rehearseAt(home)
  expect(failuresOf(run)).toEqual({})
  expect(run.result?.state).toBe('finished')
})
