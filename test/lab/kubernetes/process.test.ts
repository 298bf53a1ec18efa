import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { keepLab } from '../../../src/lab/keeper.ts'
import { ownAddress, World } from '../../../src/lab/world.ts'
import { scratch } from '../../runbook/harness.ts'
import { smallBlueprint } from '../small-world.ts'
import { connectedTo, eventually, install, onMachine, startControlPlane } from './cluster.ts'

const keeper = new URL('../../../dist/src/lab/keeper.js', import.meta.url)

test('killed outright and started again, the lab is the same world at the same addresses', {
  timeout: 60_000,
}, async () => {
  expect(existsSync(fileURLToPath(keeper)), 'the test needs the build: npm run setup').toBe(true)
  const { keepLab: keep } = (await import(keeper.href)) as { keepLab: typeof keepLab }
  const world = World.create(scratch('kept'), { ...smallBlueprint(), address: ownAddress() })
  const first = await keep(world.dir)
  const { pid } = first.endpoints
  try {
    await install(first.endpoints)
    await startControlPlane(first.endpoints)
    const before = await connectedTo(first.endpoints, world.path('admin.kubeconfig'))
    const conf = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kept', namespace: 'default' },
      data: { a: '1' },
    }
    const told = await before.apply('tester', conf)
    expect(told.status).toBe(201)
    process.kill(pid, 'SIGKILL')
    await eventually('the process to be gone', async () => !(await before.api.reader.ready()).ready)
    await before.close()

    const second = await keep(world.dir)
    expect(second.endpoints.pid).not.toBe(pid)
    const { kubernetes, hosts, nas, ingress } = first.endpoints
    expect(second.endpoints).toMatchObject({ kubernetes, hosts, nas, ingress: { port: ingress.port } })
    // A person's kubeconfig from before goes on working: same address, same authority, same certificates.
    const after = await connectedTo(second.endpoints, world.path('admin.kubeconfig'))
    const found = await after.ask('GET', '/api/v1/namespaces/default/configmaps/kept')
    expect(found.body).toEqual(told.body)
    expect(
      await onMachine(second.endpoints, 'lithium', sudo => sudo('/opt/bin/k0s kubectl get --raw=/readyz')),
    ).toBe('ok')
    // The counts are of a process; a restart is no mutation.
    expect((await second.mutations()).kubernetes).toBe(0)
    await after.close()
    // Asked for again, it is found, not started twice.
    expect((await keep(world.dir)).endpoints.pid).toBe(second.endpoints.pid)
  } finally {
    await (await keep(world.dir)).order('down')
  }
})
