import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { cpioArchive } from '../../../src/hosts/netboot/cpio.ts'
import { configInInitrd } from '../../../src/lab/hosts/firmware.ts'

const archive = cpioArchive([
  { path: 'usr/share/oem/config.ign', content: '{"odd":1}', mode: 0o600 },
  { path: 'usr/share/other', content: Buffer.from([1, 2, 3]), mode: 0o644 },
])

test('an archive behind another initrd is found by whoever unpacks them one after another', () => {
  const initrd = Buffer.concat([gzipSync('some other archive'), archive])
  expect(configInInitrd(initrd.toString('base64'))).toBe('{"odd":1}')
})

const cpio = existsSync('/usr/bin/cpio') || existsSync('/bin/cpio')
if (!cpio) process.stdout.write('skipped: cpio reads our archives: the program cpio is not installed\n')
test.skipIf(!cpio)('the program cpio reads it', () => {
  const listed = spawnSync('cpio', ['-itv'], { input: gunzipSync(archive), encoding: 'utf8' })
  expect(
    listed.stdout
      .split('\n')
      .filter(Boolean)
      .map(l => `${l.split(/\s+/)[0]} ${l.split(/\s+/).at(-1)}`),
  ).toEqual([
    'drwxr-xr-x usr',
    'drwxr-xr-x usr/share',
    'drwxr-xr-x usr/share/oem',
    '-rw------- usr/share/oem/config.ign',
    '-rw-r--r-- usr/share/other',
  ])
})
