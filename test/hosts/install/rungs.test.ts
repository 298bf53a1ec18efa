import { expect, test } from 'vitest'
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
