import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connect } from '../../../runbooks/connect.ts'
import { inEarnest, powerOf } from '../../../runbooks/in-earnest.ts'
import { blueprintOf } from '../../../runbooks/rehearsal/blueprint.ts'
import { whereaboutsOf } from '../../../runbooks/rehearse.ts'
import { loadCluster } from '../../../src/cluster/load.ts'
import { startLab } from '../../../src/lab/lab.ts'
import { World } from '../../../src/lab/world.ts'
import { root } from '../../cli/program.ts'
import { scratch } from '../../runbook/harness.ts'

const fingerprint = `sha256:${'0'.repeat(64)}`
const secrets = { field: async (secret: string, field: string) => `${secret}.${field}` }

/** The example, with power for its hosts. */
function cluster(powers: Record<string, string>) {
  const folder = scratch('powered')
  cpSync(join(root, 'examples/home'), folder, { recursive: true })
  const file = join(folder, 'recover.yaml')
  let text = readFileSync(file, 'utf8')
  for (const [host, power] of Object.entries(powers))
    text = text.replace(new RegExp(`^( +)${host}:$`, 'm'), `$&\n$1$1power: ${power}`)
  writeFileSync(file, text)
  return loadCluster(file)
}

test('what recover.yaml says is how it is reached', async () => {
  const mac = '52:54:00:00:00:01'
  const redfish = powerOf(
    'lithium',
    { mac, power: { redfish: 'https://192.0.2.111', fingerprint, credentials: 'bmc', machine: 'S-1' } },
    secrets,
  )
  expect(redfish).toMatchObject({
    kind: 'redfish',
    url: 'https://192.0.2.111',
    fingerprint,
    machine: 'S-1',
    mac,
  })
  expect(redfish?.kind === 'redfish' && (await redfish.password())).toBe('bmc.password')
  const places = [
    ['192.0.2.111', '192.0.2.111', 623],
    ['192.0.2.111:6230', '192.0.2.111', 6230],
    ['bmc.example.net', 'bmc.example.net', 623],
    ['[fd00::1]:6230', 'fd00::1', 6230],
    ['fd00::1', 'fd00::1', 623],
  ] as const
  for (const [ipmi, address, port] of places)
    expect(powerOf('lithium', { power: { ipmi, credentials: 'bmc' } }, secrets)).toMatchObject({
      kind: 'ipmi',
      address,
      port,
    })
  expect(powerOf('lithium', { power: { wakeOnLan: mac } }, secrets)).toMatchObject({
    kind: 'wake-on-lan',
    mac,
  })
  expect(powerOf('lithium', {}, secrets)).toBeUndefined()
})

test('preflight wants the password of every BMC, and each once', async () => {
  const bmc = `{ redfish: 'https://192.0.2.111', fingerprint: '${fingerprint}', credentials: bmc }`
  const home = cluster({ lithium: bmc, hydrogen: '{ ipmi: 192.0.2.112, credentials: bmc }' })
  const { wantedSecrets } = await inEarnest(home, undefined as never)
  expect(wantedSecrets.map(w => `${w.secret}.${w.field}`).filter(w => w.startsWith('bmc'))).toEqual([
    'bmc.username',
    'bmc.password',
  ])
})

test('a rehearsal has the same kinds of switches, looks through readers, and a look changes nothing', async () => {
  const machine = '7d3a0b2c-9e44-4fa7-8e91-f3527a1ef094'
  const home = cluster({
    lithium: `{ redfish: 'https://192.0.2.111', fingerprint: '${fingerprint}', credentials: bmc, machine: ${machine} }`,
    hydrogen: '{ wakeOnLan: "52:54:00:ab:cd:ef" }',
  })
  const world = World.create(scratch('lab'), blueprintOf(home))
  const lab = await startLab(world)
  const mutations = async () => ({ ...world.mutations, last: world.lastMutations })
  const kept = { endpoints: lab.endpoints, order: async () => {}, mutations }
  const signal = AbortSignal.timeout(30_000)
  const connections = connect(
    home,
    { id: 'plan', secret: Buffer.alloc(32) },
    whereaboutsOf(kept, home),
    signal,
  )
  try {
    const { power } = connections.readers.hosts
    expect(Object.keys(power('lithium')!).sort()).toEqual(['can', 'identity', 'kind', 'state', 'where'])
    expect(await power('lithium')!.identity(signal)).toMatchObject({ uuid: machine })
    expect(await power('lithium')!.state(signal)).toBe('on')
    expect(await power('hydrogen')!.identity(signal)).toEqual({ macs: ['52:54:00:ab:cd:ef'] })
    expect(world.mutations.hosts).toBe(0)
    await connections.writers.hosts.power('lithium')!.turnOff('now', signal)
    expect(await power('lithium')!.state(signal)).toBe('off')
    expect(world.mutations.hosts).toBeGreaterThan(0)
    expect(world.lastMutations.join()).toContain('BMC of lithium: POST')
  } finally {
    await connections.close()
    await lab.close()
  }
})
