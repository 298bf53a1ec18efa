import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type IgnitionConfig, inlineText } from '../../../src/hosts/ignition/config.ts'
import { largestConfig } from '../../../src/hosts/ignition/place-sources.ts'
import { keepSource } from '../../../src/hosts/ignition/source-kit.ts'
import { serverOf } from '../ignition/sources-at.ts'
import { groundFor } from './ground.ts'
import { redfish } from './ladder-at.ts'

test('flatcar-reset: the old Flatcar begins anew with our config; no installer, one disk', async context => {
  const ground = await groundFor(context, { install: ['flatcar-reset', 'by-hand'] })
  expect(await ground.bringUp()).toMatchObject({ state: 'done', output: { way: 'flatcar-reset' } })
  expect(await ground.install()).toMatchObject({
    state: 'done',
    evidence: expect.stringContaining('started from the disk'),
  })
  expect(ground.writes()).toEqual([1, 0])
  expect(ground.asked).toEqual([])
})

test('ssh: an installer that somebody booted is used', async context => {
  const ground = await groundFor(context, { install: ['ssh'] })
  expect(await ground.bringUp()).toMatchObject({ state: 'done', output: { way: 'installer' } })
  expect(await ground.install()).toMatchObject({ state: 'done' })
  expect(ground.writes()).toEqual([1, 0])
})

test('kexec: the running Linux goes over to our installer, which is proven to be ours', async context => {
  const ground = await groundFor(context, { install: ['kexec'] })
  expect(await ground.bringUp()).toMatchObject({
    state: 'done',
    evidence: expect.stringContaining('which this run gave it'),
  })
  expect(await ground.install()).toMatchObject({ state: 'done' })
  expect(ground.writes()).toEqual([1, 0])
})

test('pxe: a machine that is off is switched on by its BMC, boots our installer, then its disk', async context => {
  const ground = await groundFor(context, { install: ['pxe'], host: { power: redfish } })
  expect(ground.model().system).toBe('off')
  expect(await ground.bringUp()).toMatchObject({
    state: 'done',
    evidence: expect.stringContaining('which this run gave it'),
  })
  expect(ground.world.read('offers')).toEqual({})
  expect(ground.model().bootOverride).toBeUndefined()
  expect(await ground.install()).toMatchObject({ state: 'done' })
  expect(ground.writes()).toEqual([1, 0])
  expect(ground.hosts.leftovers(ground.host)).toEqual([])
})

test('virtual-media: the BMC fetches the CD from here and boots it once; it is ejected', async context => {
  const ground = await groundFor(context, { install: ['virtual-media'], host: { power: redfish } })
  expect(await ground.bringUp()).toMatchObject({
    state: 'done',
    evidence: expect.stringContaining('which this run gave it'),
  })
  expect(ground.model()).not.toHaveProperty('media')
  expect(await ground.install()).toMatchObject({ state: 'done' })
  expect(ground.writes()).toEqual([1, 0])
})

test('by-hand: says what to do, waits, and knows the machine when it appears', async context => {
  const ground = await groundFor(context, { install: ['by-hand'] })
  expect(await ground.bringUp()).toMatchObject({ state: 'done', output: { way: 'installer' } })
  expect(ground.asked).toEqual([expect.stringContaining('USB stick into hydrogen')])
  expect(await ground.install()).toMatchObject({ state: 'done' })
  expect(ground.writes()).toEqual([1, 0])
})

test('what its config takes from elsewhere comes from the kit: inside it, or from this computer until it is proven', async context => {
  const ground = await groundFor(context, { install: ['ssh'] })
  const kit = join(ground.cluster.file, '..', 'kit')
  ground.cluster.entry.kit = './kit'
  const large = Buffer.alloc(largestConfig, 'large')
  const base = await serverOf(context, { '/small': 'small', '/large': large })
  const source = (name: string) => ({ path: `/opt/${name}`, contents: { source: `${base}/${name}` } })
  const text = join(ground.cluster.file, '..', 'ignition', 'hydrogen.ign')
  const config = JSON.parse(readFileSync(text, 'utf8')) as IgnitionConfig
  config.storage!.files!.push(source('small'), source('large'))
  writeFileSync(text, JSON.stringify(config))
  for (const name of ['small', 'large']) await keepSource(kit, source(name).contents, name, ground.signal)

  expect(await ground.bringUp()).toMatchObject({ state: 'done' })
  let given: IgnitionConfig | undefined
  let meanwhile: Promise<Response> | undefined
  const of = (path: string) => given?.storage?.files?.find(f => f.path === path)?.contents
  ground.atLastMoment(() => {
    given = JSON.parse(ground.emulator(ground.host).state.files['/run/recover/config.ign']!.text!)
    meanwhile = fetch(of('/opt/large')!.source!, { method: 'HEAD' })
  })
  expect(await ground.install()).toMatchObject({ state: 'done' })
  expect(inlineText(of('/opt/small'))).toBe('small')
  expect(of('/opt/large')).toMatchObject({
    source: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/[0-9a-f]{64}$/),
    verification: { hash: expect.stringMatching(/^sha512-/) },
  })
  expect((await meanwhile)?.headers.get('content-length')).toBe(String(large.length))
  expect((await fetch(of('/opt/large')!.source!)).status).toBe(404)
})
