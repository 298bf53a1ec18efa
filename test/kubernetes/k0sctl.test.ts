import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { applyK0sctl, checkKubeconfig, fetchKubeconfig } from '../../src/kubernetes/k0sctl.ts'
import { type K0sctlRoute, routed, withWholePaths } from '../../src/kubernetes/k0sctl-document.ts'
import { k0sctlVersion, patienceAt } from '../../src/kubernetes/k0sctl-process.ts'
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
    options: {
      signal: new AbortController().signal,
      patience: patienceAt(1),
      onPhase: (p: string) => phases.push(p),
    },
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

test('files that it names are found from the folder of its own, and further documents stay behind it', async () => {
  const host = { role: 'controller', ssh: { address: 'lithium.home' } }
  const files = [
    { src: './a.txt', dst: '/a' },
    { src: 'https://example.net/x', dst: '/x' },
    { data: 'b', dst: '/b' },
  ]
  const own = {
    ...document,
    spec: {
      ...document.spec,
      hosts: [
        { ...host, k0sBinaryPath: '../bin/k0s', files },
        { ...host, files: [{ src: '/c' }] },
      ],
    },
  }
  const whole = withWholePaths(own, '/home/somebody/cluster') as typeof own
  expect(whole.spec.hosts).toEqual([
    {
      ...host,
      k0sBinaryPath: '/home/somebody/bin/k0s',
      files: [{ src: '/home/somebody/cluster/a.txt', dst: '/a' }, files[1], files[2]],
    },
    { ...host, files: [{ src: '/c' }] },
  ])
  const further = [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' } }]
  const { k0sctl, options, folder } = program('exit 0')
  await applyK0sctl({ ...k0sctl, further }, document, routes, {}, options)
  const written = parseAllDocuments(readFileSync(join(folder, 'k0sctl.yaml'), 'utf8')).map(d => d.toJS())
  expect(written).toEqual([document, ...further])
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
    await applyK0sctl(k0sctl, document, routes, {}, options)
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

const fatal = (text: string) =>
  `printf '%s' 'level=fatal msg="apply failed - log file saved to /x: ${text}"'; exit 1`

test.for([
  ['failed on 1 hosts:\\n - 192.0.2.12:2222: no space left on device', 'k0sctl-failed', false],
  [
    'failed on 1 hosts:\\n - 192.0.2.12:2222: remote command exited without exit status',
    'k0sctl-failed',
    true,
  ],
  ['spec.k0s.config validation failed: unknown field', 'k0s-config-invalid', false],
  [
    'failed on 1 hosts:\\n - 192.0.2.12:2222: connectivity check failed: context deadline exceeded\\nfailed to connect to kubernetes api using the join token - check networking: x',
    'worker-cannot-reach-api',
    false,
  ],
  [
    'failed on 1 hosts:\\n - 192.0.2.12:2222: clock skew of 45s exceeds the maximum of 30s',
    'clock-skew',
    false,
  ],
] as const)('what it says at its end: %s', async ([text, code, transient]) => {
  const { k0sctl, options } = program(fatal(text))
  const wrong = await applyK0sctl(k0sctl, document, routes, {}, options)
  expect(wrong).toMatchObject({
    code,
    transient,
    message: `k0sctl: ${text.replaceAll('\\n', ' ').replaceAll(/ {2,}/g, ' ')}`,
  })
})

test('a program that is not there, or is another one', async () => {
  const { k0sctl, options } = program('echo something else')
  const missing = { command: ['/nowhere/k0sctl'], folder: k0sctl.folder }
  await expect(fetchKubeconfig(missing, document, routes, undefined, options)).rejects.toMatchObject({
    code: 'k0sctl-missing',
  })
  await expect(k0sctlVersion(missing, options.signal)).rejects.toMatchObject({ code: 'k0sctl-missing' })
  await expect(k0sctlVersion(k0sctl, options.signal)).rejects.toMatchObject({ code: 'k0sctl-unusable' })
  const real = program(`[ "$*" = version ] && printf 'version: v0.32.2\ncommit: abc\n'`)
  expect(await k0sctlVersion(real.k0sctl, options.signal)).toBe('0.32.2')
})

test('one that says nothing more is ended with all that it has started, whatever it does with signals', async () => {
  const { k0sctl, options } = program(
    `trap '' TERM INT; echo 'level=info msg="==> Running phase: Install workers"'; cd "$HOME"; sh -c 'trap "" TERM; while :; do sleep 0.1; done' & while :; do sleep 0.1; done`,
  )
  const wrong = await applyK0sctl(
    k0sctl,
    document,
    routes,
    {},
    { ...options, patience: { silence: 400, whole: 60_000, orderly: 100 } },
  )
  expect(wrong).toMatchObject({
    code: 'k0sctl-hung',
    message: 'k0sctl was ended in its phase “Install workers”: it said nothing for 0 s',
  })
  // What it had started held its output open: that it is over here means that both are.
})

test('one that somebody else ends is told from one that failed', async () => {
  const { k0sctl, options } = program(`echo 'level=info msg="==> Running phase: Configure k0s"'; kill -9 $$`)
  expect(await applyK0sctl(k0sctl, document, routes, {}, options)).toMatchObject({
    code: 'k0sctl-killed',
    message: 'k0sctl was ended by SIGKILL in its phase “Configure k0s”, and not by recover',
  })
})

test('a person’s stop reaches it through us, and is thrown', async () => {
  const { k0sctl, options } = program(
    `echo 'level=info msg="==> Running phase: Configure k0s"'; exec sleep 60`,
  )
  const stop = new AbortController()
  const running = applyK0sctl(
    k0sctl,
    document,
    routes,
    {},
    { ...options, signal: stop.signal, onPhase: () => stop.abort(new Error('stop')) },
  )
  await expect(running).rejects.toThrow('stop')
})

test('a host key that it adds to those that it was given ends everything', async () => {
  const { k0sctl, options } = program(`echo '|1|c2FsdA==|aGFzaA== ssh-ed25519 CCCC' >> "$SSH_KNOWN_HOSTS"`)
  await expect(applyK0sctl(k0sctl, document, routes, {}, options)).rejects.toMatchObject({
    code: 'k0sctl-trusts-stranger',
    message: expect.stringContaining('accepted a host key that this run gave to no machine'),
  })
})

const kubeconfig = (
  // biome-ignore lint/suspicious/noExplicitAny: it is made wrong on purpose
  change: (config: any) => void = () => {},
) => {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'home',
    contexts: [{ name: 'home', context: { cluster: 'home', user: 'admin' } }],
    clusters: [
      { name: 'home', cluster: { server: 'https://192.0.2.11:6443', 'certificate-authority-data': 'Q0E=' } },
    ],
    users: [{ name: 'admin', user: { 'client-certificate-data': 'Q0U=', 'client-key-data': 'S0VZ' } }],
  }
  change(config)
  return JSON.stringify(config)
}

test('a kubeconfig is asked for the literal address, and is whole or not taken', async () => {
  const at = 'https://192.0.2.11:6443'
  const good = program(`cd "$HOME"; echo "$@" > args; echo '${kubeconfig()}'`)
  expect(await fetchKubeconfig(good.k0sctl, document, routes, at, good.options)).toContain(at)
  expect(readFileSync(join(good.folder, 'args'), 'utf8')).toContain(`--address ${at}`)
  for (const [text, why] of [
    ['{', 'it is no YAML'],
    ['', 'it is empty'],
    [kubeconfig(c => c.clusters.pop()), 'it names no cluster'],
    [
      kubeconfig(c => {
        c.clusters[0].cluster.server = 'https://cluster.home:6443'
      }),
      'it leads to https://cluster.home:6443 and not to https://192.0.2.11:6443',
    ],
    [
      kubeconfig(c => {
        delete c.users[0].user['client-key-data']
      }),
      'it has no credentials',
    ],
  ] as const)
    expect(() => checkKubeconfig(text, at)).toThrow(
      expect.objectContaining({ code: 'kubeconfig-unusable', message: expect.stringContaining(why) }),
    )
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
  await applyK0sctl(k0sctl, document, routes, {}, options)
  expect(await ours.ended).toBe('SIGTERM')
  const stranger = left('/home/somebody/k0sctl.yaml')
  writeFileSync(join(folder, 'pid'), String(stranger.pid))
  await applyK0sctl(k0sctl, document, routes, {}, options)
  expect(stranger.child.exitCode).toBe(null)
  stranger.child.kill('SIGKILL')
  expect(await stranger.ended).toBe('SIGKILL')
})
