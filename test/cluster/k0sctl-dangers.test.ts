import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { k0sctlDangers } from '../../src/cluster/k0sctl-dangers.ts'
import { readK0sctl } from '../../src/cluster/k0sctl-file.ts'
import { scratch } from '../runbook/harness.ts'

test('what goes badly with a recovery is found where it stands', () => {
  const folder = scratch('k0sctl-file')
  const file = join(folder, 'k0sctl.yaml')
  writeFileSync(
    file,
    `apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
spec:
  hosts:
    - role: controller
      ssh: { address: lithium.home }
      k0sBinaryPath: ./k0s
      files:
        - { src: ./there.txt, dst: /a }
        - src: https://example.net/x
          dst: /b
    - role: worker
      ssh: { address: hydrogen.home }
      reset: true
      k0sDownloadURL: https://example.net/k0s-%v
    - role: worker
      localhost: { enabled: true }
      hostname: helium
      useExistingK0s: true
  k0s: { version: 1.34.2+k0s.0 }
`,
  )
  const found = () =>
    k0sctlDangers(readK0sctl(file, {}, 'k0sctl.yaml'), folder).map(d => `${d.at} ${d.refused} ${d.message}`)
  expect(found()).toEqual([
    'k0sctl.yaml:7:7 true there is no file ./k0s, which is to be k0s on lithium',
    'k0sctl.yaml:9:13 true there is no file ./there.txt, which is to be put on lithium',
    'k0sctl.yaml:10:11 true https://example.net/x is a file from the network: for it k0sctl drains and restarts lithium at every apply, and it must answer in the outage',
    'k0sctl.yaml:14:7 true hydrogen would be reset, not installed',
    'k0sctl.yaml:15:7 false hydrogen fetches k0s from https://example.net/k0s-%v, which must answer in the outage',
    'k0sctl.yaml:17:7 true helium is the computer that k0sctl runs on, which a recovery cannot write anew',
    'k0sctl.yaml:19:7 true helium is to have its k0s already, and a disk that was written anew has none',
  ])
  for (const name of ['k0s', 'there.txt']) writeFileSync(join(folder, name), '')
  expect(found()).toHaveLength(5)
})

test('a jump host is told, unless one’s own ssh is to know it', () => {
  const folder = scratch('k0sctl-file')
  const file = join(folder, 'k0sctl.yaml')
  writeFileSync(
    file,
    `apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
spec:
  hosts:
    - role: single
      ssh:
        address: 10.0.0.2
        bastion: { address: gate.example.net }
  k0s: { version: 1.34.2+k0s.0 }
`,
  )
  const found = (ownSsh: boolean) => k0sctlDangers(readK0sctl(file, {}, 'k0sctl.yaml'), folder, ownSsh)
  expect(found(false)).toMatchObject([
    {
      at: 'k0sctl.yaml:8:9',
      refused: false,
      message: expect.stringContaining('is reached by way of gate.example.net, and neither recover nor'),
    },
  ])
  expect(found(true)).toEqual([])
})

test('what further documents say of k0s’s configuration counts where the first says nothing, and all are handed on', () => {
  const file = join(scratch('k0sctl-file'), 'k0sctl.yaml')
  writeFileSync(
    file,
    `apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
spec:
  hosts: [{ role: controller, ssh: { address: lithium.home } }]
  k0s: { version: 1.34.2+k0s.0, config: { spec: { api: { address: 192.0.2.11 } } } }
---
apiVersion: k0s.k0sproject.io/v1beta1
kind: ClusterConfig
spec: { api: { address: 192.0.2.99, externalAddress: api.home }, storage: { type: kine } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: x }
`,
  )
  const { apiAddress, apiExternalAddress, config, further } = readK0sctl(file, {}, 'k0sctl.yaml')
  expect({ apiAddress, apiExternalAddress, storage: config.storage }).toEqual({
    apiAddress: '192.0.2.11',
    apiExternalAddress: 'api.home',
    storage: { type: 'kine' },
  })
  expect(further.map(d => (d as { kind: string }).kind)).toEqual(['ClusterConfig', 'ConfigMap'])
})
