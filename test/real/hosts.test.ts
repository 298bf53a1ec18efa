import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectReader, connectWriter } from '../../src/hosts/host.ts'
import { probeSsh } from '../../src/hosts/ssh.ts'
import { until } from './harness/commands.ts'
import { type Container, startContainer } from './harness/container.ts'
import { makeLogin } from './harness/login.ts'
import { type Network, openNetwork } from './harness/network.ts'
import { describeReal } from './harness/place.ts'

describeReal('a machine with systemd and sshd', () => {
  let network: Network
  let host: Container

  beforeAll(async () => {
    network = openNetwork()
    host = await startContainer(network, { name: 'lithium', number: 11, key: makeLogin() })
  })
  afterAll(async () => {
    await host?.stop()
    network?.close()
  })

  const facts = async () => {
    const line = await connectReader(host.access())
    try {
      return await line.host.facts()
    } finally {
      line.close()
    }
  }

  test('tells its facts in one look', async () => {
    const found = await facts()
    expect(found.hostname).toBe('lithium')
    expect(found.os).toMatchObject({ id: 'debian', version: '12' })
    expect(found.bootId).toBe(host.inside('cat', '/proc/sys/kernel/random/boot_id').trim())
    expect(found.macs).toContain(host.mac)
    expect(found.rootFileSystem).toBe('overlay')
    expect(found.initiator).toMatch(/^iqn\./)
  })

  test('a unit goes on when the line to it is cut, and is found again by its name', async () => {
    const line = await connectWriter(host.access())
    await line.host.startUnit('recover-long', 'sleep 3; echo done > /run/long')
    host.link('down')
    await expect(line.host.unit('recover-long', AbortSignal.timeout(500))).rejects.toThrow()
    line.close()
    expect(host.inside('systemctl', 'show', '-p', 'ActiveState', 'recover-long')).toContain('activating')
    host.link('up')
    const again = await connectWriter(host.access())
    // The same order again starts nothing new.
    await again.host.startUnit('recover-long', 'echo twice > /run/long')
    const end = await until('the unit to end', 20_000, async () => {
      const state = await again.host.unit('recover-long')
      return state.active === 'activating' ? undefined : state
    })
    expect(end).toMatchObject({ active: 'active', exitCode: 0 })
    expect(await again.host.readFile('/run/long')).toBe('done\n')
    await again.host.forgetUnit('recover-long')
    expect((await again.host.unit('recover-long')).active).toBe('absent')
    again.close()
  })

  test('comes back from a reboot with another boot id and nothing of what lay in memory', async () => {
    const before = (await facts()).bootId
    const line = await connectWriter(host.access())
    await line.host.putFile('/run/in-memory', 'x', 0o600)
    await line.host.putFile('/etc/on-disk', 'x', 0o600)
    await line.host.reboot()
    const after = await until('another boot id', 60_000, async () => {
      const found = await facts()
      return found.bootId === before ? undefined : found.bootId
    })
    expect(after).not.toBe(before)
    const again = await connectReader(host.access())
    expect(await again.host.readFile('/run/in-memory')).toBeUndefined()
    expect(await again.host.readFile('/etc/on-disk')).toBe('x')
    again.close()
  })

  test('a firewall that lets 15 new connections a minute through is silent to the next', async () => {
    const quick = { ...host.access(), connectTimeoutMs: 2000 }
    host.limitConnections(15)
    try {
      const states: string[] = []
      for (let i = 0; i < 16; i++) states.push((await probeSsh(quick)).state)
      expect(states.slice(0, 15)).toEqual(Array(15).fill('answers'))
      expect(states[15]).not.toBe('answers')
    } finally {
      host.limitConnections(undefined)
    }
    expect((await probeSsh(quick)).state).toBe('answers')
  })

  test('another system on it is told from the one that was expected', async () => {
    const expected = host.access()
    await host.cutPower()
    expect((await probeSsh({ ...expected, connectTimeoutMs: 2000 })).state).toBe('unreachable')
    await host.replaceSystem({ '/etc/os-release': 'ID=fedora\nVARIANT_ID=coreos\nVERSION_ID=41\n' })
    await host.powerOn()
    expect(await probeSsh(expected)).toMatchObject({ state: 'other-key', hostKey: host.hostKey() })
    await expect(connectReader(expected)).rejects.toMatchObject({ code: 'host-key-mismatch' })
    expect((await facts()).os).toMatchObject({ id: 'fedora', variant: 'coreos' })
  })
})
