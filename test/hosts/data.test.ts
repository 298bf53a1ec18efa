import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { evidenceIn } from '../../src/hosts/evidence.ts'
import { connectReader } from '../../src/hosts/host.ts'
import { mintHostKey } from '../../src/hosts/keys.ts'
import { MachinesEmulator } from '../../src/lab/hosts/emulator.ts'
import { World } from '../../src/lab/world.ts'
import { smallBlueprint } from '../lab/small-world.ts'
import { scratch } from '../runbook/harness.ts'

test('data of an old system is found, and its small files are kept as they are, for nobody else to read', async context => {
  const blueprint = smallBlueprint()
  Object.assign(blueprint.hosts[0]!, {
    begins: 'old-os',
    oldFiles: {
      '/var/lib/k0s/db/state.db': 'SQLite format 3',
      '/etc/k0s/k0s.yaml': 'kind: ClusterConfig\n',
      '/var/db/tang/sign.jwk': '{"d":"a secret"}',
      '/opt/local-path-provisioner/pvc-1_media_library/film': 'x'.repeat(5000),
      '/etc/exports': '/srv/photos 192.0.2.0/24(rw)\n',
      '/srv/photos/one.jpg': 'a photo',
    },
  })
  const person = mintHostKey(Buffer.from('the person'), 'operator')
  const world = World.create(scratch('data'), blueprint)
  const emulator = new MachinesEmulator(world, person.publicKey, () => undefined)
  context.onTestFinished(() => emulator.close())
  const { lithium } = await emulator.listen()
  const { host, close } = await connectReader({
    name: 'lithium',
    address: '127.0.0.1',
    port: lithium!,
    user: 'core',
    privateKey: person.privateKey,
    pins: 'first-use',
  })
  const facts = await host.facts()
  const { data, files } = await host.localData(['/srv/none'], facts)
  expect(data.map(d => [d.kind, d.path, d.disk, d.entries])).toEqual([
    ['local-path', '/opt/local-path-provisioner', 'S4EVNX0M123456', ['pvc-1_media_library']],
    ['kine', '/var/lib/k0s/db', 'S4EVNX0M123456', []],
    ['nfs', '/srv/photos', 'S4EVNX0M123456', []],
    ['tang', '/var/db/tang', 'S4EVNX0M123456', []],
  ])
  const fetched = await host.fetchFiles(files.map(f => f.path))
  close()
  const folder = scratch('evidence')
  const evidence = evidenceIn(folder)
  expect(evidence.kept('lithium')).toBeUndefined()
  evidence.keep('lithium', fetched)
  expect([...(evidence.kept('lithium') ?? [])].map(([path]) => path).sort()).toEqual(
    files.map(f => f.path).sort(),
  )
  const key = join(folder, 'evidence/lithium/var/db/tang/sign.jwk')
  expect(readFileSync(key, 'utf8')).toBe('{"d":"a secret"}')
  expect(statSync(key).mode & 0o777).toBe(0o600)
  expect(statSync(dirname(key)).mode & 0o777).toBe(0o700)
  expect(world.mutations.hosts).toBe(0)
})

test('a machine cannot have files kept outside its own folder; what was there stays', () => {
  const folder = scratch('evidence')
  const evidence = evidenceIn(folder)
  evidence.keep('lithium', new Map([['/etc/exports', Buffer.from('first')]]))
  for (const path of ['/../../../outside', 'relative', '/a/../../b'])
    expect(() => evidence.keep('lithium', new Map([[path, Buffer.from('evil')]]))).toThrow(
      /cannot be kept .*; lithium was not changed/,
    )
  expect(readFileSync(join(folder, 'evidence/lithium/etc/exports'), 'utf8')).toBe('first')
  // Where the folder cannot be made, nothing is half there.
  const blocked = scratch('blocked')
  mkdirSync(join(blocked, 'elsewhere'))
  symlinkSync('/nonexistent/place', join(blocked, 'evidence'))
  writeFileSync(join(blocked, 'other'), '')
  expect(() => evidenceIn(blocked).keep('lithium', new Map())).toThrow(/cannot be kept/)
})
