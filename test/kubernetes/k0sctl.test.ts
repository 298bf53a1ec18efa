import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { applyK0sctl, fetchKubeconfig, type K0sctlRoute, routed } from '../../src/kubernetes/k0sctl.ts'
import { scratch } from '../runbook/harness.ts'

const document = {
  apiVersion: 'k0sctl.k0sproject.io/v1beta1',
  kind: 'Cluster',
  metadata: { name: 'home' },
  spec: {
    hosts: [
      { role: 'controller+worker', openSSH: { address: 'lithium.home' }, privateAddress: '192.0.2.11' },
      { role: 'worker', ssh: { address: 'hydrogen.home', user: 'core', bastion: { address: 'gate' } } },
    ],
    k0s: { version: 'v1.34.2+k0s.0' },
  },
}

const routes: K0sctlRoute[] = [
  { address: '192.0.2.11', port: 22, user: 'core', knownHost: '192.0.2.11 ssh-ed25519 AAAA\n' },
  {
    address: '192.0.2.12',
    port: 2222,
    user: 'core',
    keyFile: '/k',
    knownHost: '[192.0.2.12]:2222 ssh-ed25519 BBBB\n',
  },
]

/** A program that stands for k0sctl: a script of the test's own behind the real process boundary. */
function program(script: string) {
  const folder = scratch('k0sctl')
  const path = join(folder, 'program')
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  const phases: string[] = []
  return {
    folder: join(folder, 'own'),
    phases,
    k0sctl: { command: [path], folder: join(folder, 'own') },
    options: { signal: new AbortController().signal, pace: 1, onPhase: (p: string) => phases.push(p) },
  }
}

test('hosts stand where they really are, and nothing else of the person’s document changes', () => {
  const made = routed(document, routes, () => true) as typeof document
  expect(made.spec.hosts).toEqual([
    {
      role: 'controller+worker',
      privateAddress: '192.0.2.11',
      ssh: { address: '192.0.2.11', port: 22, user: 'core' },
    },
    { role: 'worker', ssh: { address: '192.0.2.12', port: 2222, user: 'core', keyPath: '/k' } },
  ])
  expect(made.spec.k0s).toEqual(document.spec.k0s)
  expect((routed(document, routes, i => i === 0) as typeof document).spec.hosts).toHaveLength(1)
})

test('with the transport openssh, k0sctl goes the person’s own way, and trusts this run’s host keys alone', () => {
  const openssh = { name: 'hydrogen', config: '/c', knownHosts: '/run/known_hosts' }
  const made = routed(document, [routes[0]!, { ...routes[1]!, openssh }], i => i === 1) as typeof document
  expect(made.spec.hosts).toEqual([
    {
      role: 'worker',
      openSSH: {
        address: 'hydrogen',
        port: 2222,
        user: 'core',
        keyPath: '/k',
        configPath: '/c',
        options: {
          HostName: '192.0.2.12',
          HostKeyAlias: '[192.0.2.12]:2222',
          UserKnownHostsFile: '/run/known_hosts',
          GlobalKnownHostsFile: 'none',
          StrictHostKeyChecking: 'yes',
        },
      },
    },
  ])
})

test('it gets its own home, its own known hosts, no terminal and no secrets; its phases are heard', async () => {
  const { k0sctl, options, folder, phases } = program(
    `echo 'time=x level=info msg="==> Running phase: Connect to hosts"'; cd "$HOME"; env > env; echo "$@" > args; cat "$SSH_KNOWN_HOSTS" > hosts`,
  )
  process.env.RECOVER_SECRET_NAS_PASSWORD = 'open sesame'
  try {
    await applyK0sctl(k0sctl, document, routes, options)
  } finally {
    delete process.env.RECOVER_SECRET_NAS_PASSWORD
  }
  expect(phases).toEqual(['Connect to hosts'])
  expect(readFileSync(join(folder, 'args'), 'utf8').trim()).toBe(
    `apply --config ${join(folder, 'k0sctl.yaml')} --no-wait`,
  )
  expect(parse(readFileSync(join(folder, 'k0sctl.yaml'), 'utf8'))).toEqual(document)
  expect(readFileSync(join(folder, 'hosts'), 'utf8')).toBe(routes.map(r => r.knownHost).join(''))
  const environment = readFileSync(join(folder, 'env'), 'utf8')
  expect(environment).toContain(`HOME=${folder}\n`)
  expect(environment).not.toContain('open sesame')
})

test('what an interrupted k0sctl left is installed over, once; any other failure is told in its own words', async () => {
  const again = program(
    `case "$*" in *--force*) exit 0;; esac; printf '%s' 'level=fatal msg="apply failed - log file saved to /x: failed on 1 hosts:\\n - 192.0.2.11:22: k0s has been installed as a service at /etc/systemd/system/k0scontroller.service - please remove it or start the service"'; exit 1`,
  )
  await applyK0sctl(again.k0sctl, document, routes, again.options)
  const broken = program(
    `printf '%s' 'level=fatal msg="apply failed - log file saved to /x: failed on 1 hosts:\\n - 192.0.2.12:2222: no space left on device"'; exit 1`,
  )
  await expect(applyK0sctl(broken.k0sctl, document, routes, broken.options)).rejects.toMatchObject({
    code: 'k0sctl-failed',
    message: 'k0sctl: failed on 1 hosts: - 192.0.2.12:2222: no space left on device',
    transient: false,
  })
  const missing = { command: ['/nowhere/k0sctl'], folder: broken.folder }
  await expect(fetchKubeconfig(missing, document, routes, broken.options)).rejects.toMatchObject({
    code: 'k0sctl-missing',
  })
})

test('a k0sctl that a killed run left behind is ended before another one begins, and nobody else’s process is', async () => {
  const { k0sctl, options, folder } = program('exit 0')
  mkdirSync(folder, { recursive: true })
  const left = (config: string) => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)', '--', '--config', config])
    return {
      pid: child.pid,
      ended: new Promise<string | null>(resolve => child.on('exit', (_, s) => resolve(s))),
      child,
    }
  }
  const ours = left(join(folder, 'k0sctl.yaml'))
  writeFileSync(join(folder, 'pid'), String(ours.pid))
  await applyK0sctl(k0sctl, document, routes, options)
  expect(await ours.ended).toBe('SIGTERM')
  const stranger = left('/home/somebody/k0sctl.yaml')
  writeFileSync(join(folder, 'pid'), String(stranger.pid))
  await applyK0sctl(k0sctl, document, routes, options)
  expect(stranger.child.exitCode).toBe(null)
  stranger.child.kill('SIGKILL')
  expect(await stranger.ended).toBe('SIGKILL')
})
