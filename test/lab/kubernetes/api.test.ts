import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectApi } from '../../../src/kubernetes/api.ts'
import { startLab } from '../../../src/lab/lab.ts'
import { World } from '../../../src/lab/world.ts'
import { type Cluster, credentials, eventually, onMachine, openCluster, startCluster } from './cluster.ts'
import { config } from './contract/objects.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster.close())

test('what is only tried is not counted as a change', async () => {
  const path = '/api/v1/namespaces/default/configmaps'
  await cluster.apply('t', config('default', 'there', { a: '1' }))
  const count = cluster.world.mutations.kubernetes
  const dry = 'dryRun=All'
  await cluster.ask('POST', `${path}?${dry}`, config('default', 'new'))
  await cluster.apply('t', config('default', 'there', { a: '2' }), `&${dry}`)
  await cluster.ask('DELETE', `${path}/there?${dry}`)
  await cluster.ask('DELETE', `${path}/there`, { dryRun: ['All'] })
  expect(cluster.world.mutations.kubernetes).toBe(count)
  await cluster.ask('DELETE', `${path}/there`)
  expect(cluster.world.mutations.kubernetes).toBe(count + 1)
})

describe('who may, and when', () => {
  test('nobody without a certificate, except to ask whether it is well', async () => {
    const { server, ca } = credentials(await adminKubeconfig())
    const stranger = new Agent({ connect: { ca } })
    const status = async (path: string, headers = {}) => {
      const response = await request(`${server}${path}`, { dispatcher: stranger, headers })
      await response.body.dump()
      return response.statusCode
    }
    expect(await status('/readyz')).toBe(200)
    expect(await status('/version')).toBe(200)
    expect(await status('/api/v1/secrets')).toBe(401)
    expect(await status('/apis')).toBe(401)
    expect(await status('/api/v1/secrets', { authorization: 'Bearer made-up' })).toBe(401)
    await stranger.destroy()
  })

  test('a client that trusts another authority does not connect', async () => {
    const { server } = credentials(await adminKubeconfig())
    const stranger = new Agent()
    await expect(request(`${server}/readyz`, { dispatcher: stranger })).rejects.toThrow(/certificate/)
    await stranger.destroy()
  })

  function adminKubeconfig(): Promise<string> {
    return onMachine(cluster.endpoints, 'lithium', sudo => sudo('/opt/bin/k0s kubeconfig admin'))
  }
})

describe('the life of a control plane', () => {
  test('while it is down nobody answers, and watches end', async () => {
    const own = await startCluster()
    try {
      const watch = await own.watch('/api/v1/namespaces?watch=1')
      await eventually('the namespaces', () => watch.events.length >= 4 || undefined)
      await onMachine(own.endpoints, 'lithium', sudo => sudo('systemctl stop k0scontroller'))
      await watch.ended
      expect((await own.api.reader.ready()).ready).toBe(false)
      await expect(own.api.reader.list({ apiVersion: 'v1', kind: 'Namespace' })).rejects.toMatchObject({
        code: 'api-unreachable',
        transient: true,
      })
      await onMachine(own.endpoints, 'lithium', sudo => sudo('systemctl start k0scontroller'))
      expect(await own.api.reader.ready()).toEqual({ ready: true, why: 'ok' })
    } finally {
      await own.close()
    }
  })

  test('a control plane without its data is an empty cluster with another identity', async () => {
    const own = await startCluster()
    try {
      const system = { apiVersion: 'v1', kind: 'Namespace', name: 'kube-system' }
      const before = await own.api.reader.get(system)
      await own.apply('t', config('default', 'mine'))
      await onMachine(own.endpoints, 'lithium', async sudo => {
        await expect(sudo('/opt/bin/k0s reset')).rejects.toThrow('running')
        await sudo('systemctl stop k0scontroller')
        await sudo('/opt/bin/k0s reset')
        await expect(sudo('/opt/bin/k0s kubeconfig admin')).rejects.toThrow('no such file')
        await sudo('/opt/bin/k0s install controller --enable-worker=true')
        await sudo('systemctl start k0scontroller')
      })
      const after = await own.api.reader.get(system)
      expect(after?.metadata.uid).not.toBe(before?.metadata.uid)
      expect((await own.ask('GET', '/api/v1/namespaces/default/configmaps/mine')).status).toBe(404)
    } finally {
      await own.close()
    }
  })

  test('what was told is there after a restart, a torn last line is not', async () => {
    const own = await startCluster()
    await own.apply('t', config('default', 'kept', { a: '1' }))
    const { body } = await own.ask('GET', '/api/v1/namespaces/default/configmaps/kept')
    await own.close()
    const folder = join(own.world.dir, 'kubernetes')
    const [file = ''] = readdirSync(folder).filter(name => name.endsWith('.ndjson'))
    // As a kill in the middle of a write leaves it, with a brace at its end by bad luck.
    appendFileSync(join(folder, file), '{"key":"/configmaps/default/torn","version":99999,"object":{}')
    const world = World.open(own.world.dir)
    const again = await openCluster(world, await startLab(world))
    try {
      const kept = await again.ask('GET', '/api/v1/namespaces/default/configmaps/kept')
      expect(kept.body).toEqual(body)
      expect((await again.ask('GET', '/api/v1/namespaces/default/configmaps/torn')).status).toBe(404)
      const next = await again.apply('t', config('default', 'next'))
      expect(Number(next.body.metadata.resourceVersion)).toBeGreaterThan(
        Number(body.metadata.resourceVersion),
      )
      // Events from before the restart are forgotten: a watch from there has to begin anew, never silently miss some.
      const watch = await again.watch('/api/v1/configmaps?watch=1&resourceVersion=2')
      await watch.ended
      expect(watch.events[0]).toMatchObject({ type: 'ERROR', object: { code: 410 } })
    } finally {
      await again.close()
    }
  })

  test('our client waits for a kubeconfig and names one that is broken', async () => {
    const path = cluster.world.path('nobody.kubeconfig')
    const { reader, close } = connectApi({ kubeconfig: path })
    expect(await reader.ready()).toEqual({ ready: false, why: 'there is no kubeconfig yet' })
    writeFileSync(path, '{')
    // A person’s own is theirs to mend.
    await expect(reader.version()).rejects.toMatchObject({
      code: 'kubeconfig-unreadable',
      remedy: expect.stringContaining(`kubectl --kubeconfig ${path} config view`),
    })
    await close()
  })

  test('a kubeconfig of the run’s own that was cut off is fetched again', async () => {
    const path = cluster.world.path('cut-off.kubeconfig')
    for (const text of ['{', 'apiVersion: v1\nkind: Config\n']) {
      writeFileSync(path, text)
      const { reader, close } = connectApi({ kubeconfig: path, fetched: true })
      const why = `the kubeconfig ${path} cannot be read`
      expect(await reader.ready()).toEqual({ ready: false, why })
      await expect(reader.version()).rejects.toMatchObject({
        code: 'kubeconfig-unreadable',
        remedy: expect.stringContaining('recover resume'),
      })
      writeFileSync(path, readFileSync(cluster.kubeconfig))
      expect(await reader.ready()).toEqual({ ready: true, why: 'ok' })
      await close()
    }
  })
})
