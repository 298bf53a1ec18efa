import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { namedWhere } from '../../src/cluster/named-where.ts'
import { scratch } from '../runbook/harness.ts'

const host = 'api.home.example.net'
const entries = [{ name: 'KUBERNETES_SERVICE_HOST', value: host }, { k8sServiceHost: host }]

test('an entry is found where its own key stands, not where its text does', () => {
  const root = scratch('named-where')
  const place = join(root, 'cilium')
  mkdirSync(join(place, 'templates'), { recursive: true })
  writeFileSync(join(place, 'templates/agent.yaml'), `{{ if .Values.k8sServiceHost }}\nhost: ${host}\n`)
  writeFileSync(join(place, 'ingress.yaml'), `host: ${host}\nvalue: ${host}\n`)
  expect(namedWhere(entries, place, root)).toBeUndefined()
  writeFileSync(
    join(place, 'values.yaml'),
    `# k8sServiceHost: ${host}\nhubble: { ui: hubble.${host} }\nagent:\n  k8sServiceHost: '${host}'\n`,
  )
  expect(namedWhere(entries, place, root)).toBe('cilium/values.yaml:4:3')
  const rendered = join(root, 'rendered.yaml')
  writeFileSync(
    rendered,
    `kind: ConfigMap\ndata: { note: ${host} }\n---\nkind: DaemonSet\nspec:\n  env:\n    - name: OTHER\n      value: ${host}\n    - name: KUBERNETES_SERVICE_HOST\n      value: ${host}\n`,
  )
  expect(namedWhere(entries, rendered, root)).toBe('rendered.yaml:10:7')
  expect(namedWhere(entries, join(root, 'nowhere'), root)).toBeUndefined()
})
