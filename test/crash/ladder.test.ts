import { expect, test } from 'vitest'
import { groundFor } from '../hosts/install/ground.ts'
import { redfish } from '../hosts/install/ladder-at.ts'

test('kexec that hangs leaves the BMC to start it over the network', async context => {
  const ground = await groundFor(context, {
    install: ['kexec', 'pxe'],
    host: { power: redfish },
  })
  await ground.order('arm', { name: 'kexec-hangs', target: ground.host })
  ground.patience.ms = 1_500
  const climbing = ground.bringUp()
  expect(await climbing).toMatchObject({ state: 'done' })
  expect(ground.notes.join('\n')).toMatch(/kexec led nowhere .*nothing answers.*disks are as they were/)
  expect(ground.writes()).toEqual([0, 0])
})

test('a BMC without a license for its drive: the next way', async context => {
  const ground = await groundFor(context, {
    install: ['virtual-media', 'pxe'],
    host: { power: redfish },
  })
  await ground.order('arm', { name: 'media-refused', target: ground.host, times: '1000' })
  expect(await ground.bringUp()).toMatchObject({ state: 'done' })
  expect(ground.notes.join('\n')).toMatch(/virtual-media led nowhere/)
  expect(ground.model()).not.toHaveProperty('media')
})

test('a machine that tries the network first: once it is disarmed it boots its disk, with no loop', async context => {
  const ground = await groundFor(context, { install: ['pxe'], host: { power: redfish } })
  await ground.order('arm', { name: 'network-boots-first', target: ground.host, times: '1000' })
  expect(await ground.bringUp()).toMatchObject({ state: 'done' })
  expect(await ground.install()).toMatchObject({ state: 'done' })
  expect(ground.writes()).toEqual([1, 0])
})

test('a half-dead machine that is on and answers nobody is started over by its BMC', async context => {
  const ground = await groundFor(context, {
    install: ['ssh', 'kexec', 'pxe'],
    host: { power: redfish },
    blueprint: host => {
      host.begins = 'hung'
    },
  })
  expect(await ground.bringUp()).toMatchObject({ state: 'done' })
  expect(await ground.install()).toMatchObject({ state: 'done' })
})
