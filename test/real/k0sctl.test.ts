import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { type Connections, connect } from '../../runbooks/connect.ts'
import { inEarnest } from '../../runbooks/in-earnest.ts'
import { applyK0s } from '../../runbooks/kubernetes/apply-k0s.ts'
import { hostsIn, lookAtK0s } from '../../runbooks/kubernetes/look-at-k0s.ts'
import { loadCluster } from '../../src/cluster/load.ts'
import { mintMirrorCertificate } from '../../src/gitops/mirror-certificate.ts'
import { mintHostKeys } from '../../src/hosts/keys.ts'
import type { Fault } from '../../src/runbook/fault.ts'
import { root } from '../cli/program.ts'
import { until } from './harness/commands.ts'
import { type Container, startContainer } from './harness/container.ts'
import { makeLogin } from './harness/login.ts'
import { type Network, openNetwork } from './harness/network.ts'
import { describeReal, place } from './harness/place.ts'

const program = (() => {
  try {
    return execFileSync('sh', ['-c', 'command -v k0sctl']).toString().trim()
  } catch {
    return undefined
  }
})()

const names = ['lithium', 'hydrogen'] as const
const signal = new AbortController().signal

// Says itself as curl does how the server answered; the machines' Debian has none.
const curl = `#!/bin/bash
if wget -q -O /dev/null -T 8 -t 1 --no-check-certificate "\${!#}"; then printf 200; else printf 000; exit 7; fi
`

/** A home of two machines whose k0s is the stand-in of test/real/guest. */
function makeHome(network: Network, keyFile: string): string {
  const folder = mkdtempSync(join(place().folder, 'k0s-home-'))
  cpSync(join(root, 'examples/home'), folder, { recursive: true })
  copyFileSync(join(root, 'test/real/guest/k0s'), join(folder, 'k0s'))
  chmodSync(join(folder, 'k0s'), 0o755)
  const edit = (name: string, change: (text: string) => string) =>
    writeFileSync(join(folder, name), change(readFileSync(join(folder, name), 'utf8')))
  edit('recover.yaml', text =>
    text.replace('192.0.2.11', network.address(11)).replace('192.0.2.12', network.address(12)),
  )
  edit('k0sctl.yaml', text => {
    const document = parse(text)
    for (const host of document.spec.hosts) {
      delete host.privateAddress
      Object.assign(host.ssh, { keyPath: keyFile })
      Object.assign(host, { uploadBinary: true, k0sBinaryPath: './k0s' })
    }
    document.spec.k0s.config.spec.api.address = network.own
    return stringify(document)
  })
  return join(folder, 'recover.yaml')
}

describeReal('the phase kubernetes with a real k0sctl', () => {
  if (program === undefined) {
    test.skip('installs k0s on two machines (skipped: there is no k0sctl on PATH)', () => {})
    return
  }
  let network: Network
  let api: Server
  let connections: Connections
  const machines = new Map<string, Container>()
  const secret = Buffer.alloc(32, 7)
  const folder = () => join(place().folder, 'k0s-run')
  const said: string[] = []

  const serve = async () => {
    const { certificate: cert, key } = await mintMirrorCertificate(network.own)
    for (const machine of machines.values()) machine.put('/etc/k0s-stub/ca.pem', cert)
    api = createServer({ cert, key }, (_, response) => response.end('{}'))
    await new Promise<void>(resolve => api.listen(6443, network.own, resolve))
  }
  const away = async () => {
    api.closeAllConnections()
    await new Promise(resolve => api.close(resolve))
  }

  beforeAll(async () => {
    network = openNetwork()
    const login = makeLogin()
    for (const [i, name] of names.entries()) {
      const files = {
        '/etc/os-release': 'ID=flatcar\nNAME="Flatcar in the shape of Debian"\nVERSION_ID=4593.2.5\n',
        '/etc/k0s-stub/api': `https://${network.own}:6443`,
      }
      const machine = await startContainer(network, { name, number: 11 + i, key: login, files })
      machine.put('/usr/local/bin/curl', curl, 0o755)
      // As Ignition puts them there: what this run's machines are known by.
      for (const { privateKey, publicKey } of mintHostKeys(secret, name)) {
        const type = /^(?:ssh|ecdsa)-(ed25519|rsa|sha2)/.exec(publicKey)![1]!
        const file = `/etc/ssh/ssh_host_${type === 'sha2' ? 'ecdsa' : type}_key`
        machine.put(file, privateKey, 0o600)
        machine.put(`${file}.pub`, `${publicKey}\n`)
      }
      machine.inside('systemctl', 'restart', 'ssh')
      machines.set(name, machine)
    }
    await serve()
    const cluster = loadCluster(makeHome(network, login.file))
    const run = { run: 'k0s-run', path: folder(), journal: '' }
    cpSync(join(root, 'test/real/guest'), folder(), { recursive: true })
    const where = { ...(await inEarnest(cluster, run)), k0sctl: [program] }
    connections = connect(cluster, { id: '20261129-030000-aa11', secret, folder: folder() }, where, signal)
  }, 180_000)
  afterAll(async () => {
    await connections?.close()
    for (const machine of machines.values()) await machine.stop()
    if (api) await away()
    network?.close()
  })

  const act = () => ({
    ...connections.writers,
    signal,
    note: (text: string) => void said.push(text),
    wait: <T>(what: string, probe: () => Promise<T | undefined>) => until(what, 90_000, probe),
  })
  const look = () => lookAtK0s(act(), hostsIn(connections.writers.cluster, 'all'))
  const isUp = async () => {
    await until('both to do what they are there for', 180_000, async () =>
      (await look()).every(({ k0s }) => k0s.answersAs !== undefined) ? true : undefined,
    )
    return (await look()).map(({ host, k0s }) => [
      host.name,
      k0s.service?.unit,
      k0s.service?.active,
      k0s.begunBy,
    ])
  }
  const both = [
    ['lithium', 'k0scontroller', 'active', '20261129-030000-aa11'],
    ['hydrogen', 'k0sworker', 'active', '20261129-030000-aa11'],
  ]

  test('installs the controllers alone, then all; what it says is heard, and it trusts nobody else', async () => {
    expect(await connections.readers.k0sctl.version(signal)).toMatch(/^0\.\d+\.\d+/)
    await applyK0s('controllers', act())
    const ofControllers = said.splice(0)
    expect(ofControllers).toContain('k0sctl: Initialize the k0s cluster')
    expect(ofControllers).not.toContain('k0sctl: Install workers')
    expect((await look()).map(({ k0s }) => k0s.service?.unit)).toEqual(['k0scontroller', undefined])
    await applyK0s('all', act())
    expect(said.splice(0)).toContain('k0sctl: Install workers')
    expect(await isUp()).toEqual(both)
    await connections.writers.k0sctl.fetchKubeconfig(undefined, signal, () => {})
    expect(readFileSync(join(folder(), 'kubeconfig'), 'utf8')).toContain(
      `https://${network.address(11)}:6443`,
    )
  }, 180_000)

  test('is not run again for controllers that are there, and starts what was installed and never started', async () => {
    await applyK0s('controllers', act())
    expect(said.splice(0)).toEqual([expect.stringContaining('k0sctl, which would restart it, is not run')])
    const worker = machines.get('hydrogen')!
    // As one leaves it that was killed between two commands, and in the middle of an upload.
    worker.inside('systemctl', 'kill', '-s', 'KILL', 'k0sworker')
    worker.inside('systemctl', 'stop', 'k0sworker')
    worker.inside('sh', '-c', 'rm -f /run/k0s/ready; echo half >/opt/bin/.upload-abcdef')
    await applyK0s('all', act())
    expect(said.splice(0)).toEqual(
      expect.arrayContaining([
        expect.stringContaining('started k0sworker on hydrogen'),
        expect.stringContaining('/opt/bin/.upload-abcdef'),
      ]),
    )
    expect(await isUp()).toEqual(both)
    expect(worker.inside('sh', '-c', 'ls -A /opt/bin')).toBe('k0s\n')
  }, 180_000)

  test('is not begun for workers that cannot reach the API', async () => {
    await away()
    await expect(applyK0s('all', act())).rejects.toMatchObject({ code: 'worker-cannot-reach-api' })
    await serve()
    expect(said.splice(0)).toEqual([])
  }, 60_000)

  test('says by itself that a configuration is wrong, and nothing was changed', async () => {
    const controller = machines.get('lithium')!
    controller.put('/etc/k0s-stub/refuses', 'spec.network.provider: no such thing')
    const thrown = await applyK0s('all', act()).then(
      () => undefined,
      (fault: unknown) => fault as Fault,
    )
    controller.inside('rm', '/etc/k0s-stub/refuses')
    // The machines are well all the same, which counts; else it is told by its own code.
    if (thrown) expect(thrown).toMatchObject({ code: 'k0s-config-invalid' })
    else expect(said.join('\n')).toContain('config validation failed')
    said.splice(0)
    expect(await isUp()).toEqual(both)
  }, 120_000)
})
