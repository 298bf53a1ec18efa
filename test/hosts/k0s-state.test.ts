import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { k0sScript } from '../../src/hosts/k0s-script.ts'
import { parseK0s } from '../../src/hosts/k0s-state.ts'
import { scratch } from '../runbook/harness.ts'

test.skipIf(!existsSync('/proc/self/cmdline'))(
  'the script itself, on this computer, with a k0s of the test’s own',
  () => {
    const folder = scratch('k0s')
    const data = join(folder, 'data')
    mkdirSync(join(data, 'pki'), { recursive: true })
    writeFileSync(join(data, 'pki', 'ca.key'), '')
    const k0s = join(folder, 'k0s')
    writeFileSync(
      k0s,
      `#!/bin/sh
case "$*" in
version) echo v1.34.2+k0s.0;;
*readyz*) printf 'Error from server (InternalError): an error on the server ("[+]ping ok\\n[-]etcd failed: reason withheld\\nreadyz check failed")\\n' >&2; exit 1;;
*namespace*) printf 0f5a7c64;;
'status -o json') echo '{"Role":"controller"}';;
esac
`,
    )
    chmodSync(k0s, 0o755)
    // Where k0s is on a machine, nobody may write here.
    const script = k0sScript.replaceAll('/opt/bin/k0s ', `${k0s} `)
    const text = execFileSync('sh', ['-s', '--', data, 'http://127.0.0.1:1'], { input: script }).toString()
    expect(parseK0s(text, 'here', true)).toEqual({
      clock: expect.closeTo(Date.now() / 1000, -1),
      version: 'v1.34.2+k0s.0',
      service: undefined,
      processes: [],
      answersAs: 'controller',
      ready: false,
      failing: ['etcd'],
      clusterUid: '0f5a7c64',
      data: [join(data, 'pki/ca.key')],
      begunBy: undefined,
      leftovers: [],
      reachesApi: false,
    })
  },
)

test('what it printed is read whole or not at all', () => {
  const text = [
    '=== clock\n1795425095',
    '=== version\nv1.34.2+k0s.0',
    '=== leftovers\n/opt/bin/.upload-a1B2c3',
    '=== units\nk0sworker inactive',
    '=== processes\n12 /opt/bin/k0s worker --data-dir=/var/lib/k0s ',
    '=== data',
    '=== mark\n20260101-aaaa',
    '=== status\nError: status: k0s is not running',
    '=== readyz\n[+]ping ok\nreadyz check passed',
    '=== uid',
    '=== api\n401',
  ].join('\n')
  expect(() => parseK0s(text, 'lithium', true)).toThrow(
    expect.objectContaining({ code: 'host-facts-incomplete', transient: true }),
  )
  expect(parseK0s(`${text}\n=== end`, 'lithium', true)).toEqual({
    clock: 1795425095,
    version: 'v1.34.2+k0s.0',
    service: { unit: 'k0sworker', active: 'inactive' },
    processes: ['12 /opt/bin/k0s worker --data-dir=/var/lib/k0s'],
    answersAs: undefined,
    ready: true,
    failing: [],
    clusterUid: undefined,
    data: [],
    begunBy: '20260101-aaaa',
    leftovers: ['/opt/bin/.upload-a1B2c3'],
    reachesApi: true,
  })
})
