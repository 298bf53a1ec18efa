import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { hostReader, hostWriter } from '../../src/hosts/host.ts'
import { keepLines, type Lines } from '../../src/hosts/line.ts'
import type { SshAccess } from '../../src/hosts/ssh.ts'
import { until } from './harness/commands.ts'
import { type Container, startContainer } from './harness/container.ts'
import { type Login, makeLogin } from './harness/login.ts'
import { type Network, openNetwork } from './harness/network.ts'
import { describeReal } from './harness/place.ts'

const never = new AbortController().signal

describeReal('kept lines to a machine with systemd and sshd', () => {
  let network: Network
  let host: Container
  let key: Login
  const kept: Lines[] = []

  beforeAll(async () => {
    network = openNetwork()
    key = makeLogin()
    host = await startContainer(network, { name: 'helium', number: 12, key })
  })
  afterEach(async () => {
    await Promise.all(kept.splice(0).map(lines => lines.close()))
  })
  afterAll(async () => {
    await host?.stop()
    network?.close()
  })

  const lines = (options: Parameters<typeof keepLines>[0] = { pace: 0.1 }) => {
    const made = keepLines(options)
    kept.push(made)
    return made
  }
  /** By which transport, and how soon it gives up. */
  const ways = (): [string, SshAccess][] => {
    const { privateKey: _, ...access } = host.access()
    const quick = { connectTimeoutMs: 2_000, keepAlive: { everyMs: 1_000, times: 2 } }
    return [
      ['the built-in client', { ...host.access(), ...quick }],
      ['OpenSSH', { ...access, ...quick, openssh: { config: 'none', keyFile: key.file } }],
    ]
  }
  /** Sessions of sshd are cut from the machine's side. */
  const cutSessions = () => host.inside('sh', '-c', 'pkill -KILL -u core sshd; true')

  test.each([0, 1])(
    'transport %i: a reboot drops the line, and it is opened again to the next boot',
    async way => {
      const [, access] = ways()[way]!
      const own = lines()
      const bootId = () =>
        own.use(access, never, async ssh => (await hostReader(access, ssh).facts()).bootId, true)
      const before = await bootId()
      await own.use(access, never, ssh => hostWriter(access, ssh).reboot())
      const after = await until('the next boot', 180_000, async () => {
        const probe = await own.probe(access, never)
        expect(probe.state).not.toBe('other-key')
        if (probe.state !== 'answers') return undefined
        const now = await bootId()
        return now === before ? undefined : now
      })
      expect(after).not.toBe(before)
    },
  )

  test.each([0, 1])(
    'transport %i: power that is cut is noticed by the clock, and called what it is',
    async way => {
      const [, access] = ways()[way]!
      const own = lines()
      const running = own.use(access, never, ssh => ssh.run('sleep 60'))
      const outcome = expect(running).rejects.toMatchObject({ code: 'host-silent' })
      await until('the command to run', 180_000, () => host.inside('ps', '-e').includes('sleep') || undefined)
      const began = Date.now()
      await host.cutPower()
      await outcome
      expect(await own.probe(access, never)).toMatchObject({ state: 'unreachable' })
      expect(Date.now() - began).toBeLessThan(30_000)
      await host.powerOn()
      await until(
        'the machine',
        180_000,
        async () => (await own.probe(access, never)).state === 'answers' || undefined,
      )
    },
  )

  test('a firewall that drops new connections in silence is throttling, not death', async () => {
    const [, access] = ways()[0]!
    // Nobody is gentle here: the firewall has to act. What counts as lately is half a minute.
    const own = lines({ gentleness: { burst: 50, perMinute: 600 }, pace: 0.5 })
    host.limitConnections(3, 'day')
    try {
      for (let i = 0; i < 3; i += 1)
        await own.use(access, never, async ssh => {
          await ssh.run('true')
          cutSessions()
          await ssh.closed
        })
      expect(await own.probe(access, never)).toEqual({ state: 'throttled' })
    } finally {
      host.limitConnections(undefined)
    }
    // What silence said is believed for some seconds; then it is asked anew.
    await until('it to answer', 180_000, async () =>
      (await own.probe(access, never)).state === 'answers' ? true : undefined,
    )
  })

  test('a day’s work stays below fifteen new connections a minute', async () => {
    const access = host.access()
    const own = lines({ pace: 1 })
    host.limitConnections(15)
    try {
      for (let i = 0; i < 60; i += 1) {
        expect((await own.probe(access, never)).state).toBe('answers')
        await own.use(access, never, ssh => hostReader(access, ssh).unit('sshd'))
        // Whatever cuts the line now and then.
        if (i % 20 === 10) cutSessions()
      }
      const counted = host.inside(
        'sh',
        '-c',
        'journalctl -b -u ssh -u sshd --since -60s | grep -c "Accepted publickey" || true',
      )
      expect(Number(counted.trim())).toBeLessThan(15)
    } finally {
      host.limitConnections(undefined)
    }
  })

  test('units are found by name as systemd really keeps them: at work, done, failed, stopped, collected', async () => {
    const access = host.access()
    const own = lines()
    const act = <T>(what: (h: ReturnType<typeof hostWriter>) => Promise<T>) =>
      own.use(access, never, ssh => what(hostWriter(access, ssh)))
    const ended = (unit: string) =>
      until(unit, 180_000, async () => {
        const state = await act(h => h.unit(unit))
        return state.active === 'activating' ? undefined : state
      })
    expect(await act(h => h.unit('recover-none'))).toMatchObject({ active: 'absent' })
    await act(h => h.forgetUnit('recover-none'))

    await act(h => h.startUnit('recover-good', 'exit 0'))
    expect(await ended('recover-good')).toEqual({ active: 'active', result: 'success', exitCode: 0 })
    await act(h => h.startUnit('recover-good', 'exit 9'))
    expect(await ended('recover-good')).toMatchObject({ active: 'active', exitCode: 0 })
    await act(h => h.forgetUnit('recover-good'))
    expect((await act(h => h.unit('recover-good'))).active).toBe('absent')

    await act(h => h.startUnit('recover-bad', 'exit 7'))
    expect(await ended('recover-bad')).toEqual({ active: 'failed', result: 'exit-code', exitCode: 7 })
    // A failure stays to be read until it is forgotten; only then may the name be used again.
    await act(h => h.startUnit('recover-bad', 'exit 0'))
    expect((await act(h => h.unit('recover-bad'))).active).toBe('failed')
    await act(h => h.forgetUnit('recover-bad'))
    expect((await act(h => h.unit('recover-bad'))).active).toBe('absent')
    await act(h => h.startUnit('recover-bad', 'exit 0'))
    expect(await ended('recover-bad')).toMatchObject({ active: 'active' })

    await act(h => h.startUnit('recover-long', 'sleep 600'))
    expect((await act(h => h.unit('recover-long'))).active).toBe('activating')
    cutSessions()
    expect((await act(h => h.unit('recover-long'))).active).toBe('activating')
    // What systemd was told to start and has not come to yet.
    await act(h => h.startUnit('recover-before', 'sleep 600'))
    host.put(
      '/etc/systemd/system/recover-waits.service',
      '[Unit]\nAfter=recover-before.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n',
    )
    host.inside('systemctl', 'start', '--no-block', 'recover-waits')
    expect((await act(h => h.unit('recover-waits'))).active).toBe('activating')
    await act(h => h.forgetUnit('recover-long'))
    expect((await act(h => h.unit('recover-long'))).active).toBe('absent')
    await act(h => h.forgetUnit('recover-before'))
    expect(await ended('recover-waits')).toEqual({ active: 'active', result: 'success', exitCode: 0 })

    await act(h =>
      h.startUnit('recover-words', `x=1; [ "\${x}$x$(echo 2)" = 112 ] && [ $$ -gt 1 ] && [ '%n' = '%'n ]`),
    )
    expect(await ended('recover-words')).toMatchObject({ active: 'active', exitCode: 0 })

    await act(h => h.startUnit('recover-killed', 'kill -9 $$'))
    expect(await ended('recover-killed')).toMatchObject({ active: 'failed', result: 'signal' })
    await act(h => h.forgetUnit('recover-killed'))
    expect((await act(h => h.unit('recover-killed'))).active).toBe('absent')
  })

  test('root by sudo, by login, and by neither', async () => {
    const access = host.access()
    const own = lines()
    const shadow = (to: SshAccess) =>
      own.use(to, never, ssh => hostReader(to, ssh).readFile('/etc/shadow'), true)
    expect(await shadow(access)).toContain('core:')
    host.put(`${host.inside('sh', '-c', 'echo ~root').trim()}/.ssh/authorized_keys`, `${key.public}\n`, 0o600)
    host.put('/etc/ssh/sshd_config.d/00-root.conf', 'PermitRootLogin prohibit-password\n')
    host.inside('systemctl', 'restart', 'ssh')
    const asRoot = { ...access, user: 'root' }
    await until(
      'sshd',
      180_000,
      async () => (await own.probe(asRoot, never)).state === 'answers' || undefined,
    )
    expect(await shadow(asRoot)).toContain('core:')
    host.inside('useradd', '--create-home', '--shell', '/bin/sh', 'guest')
    host.put('/home/guest/.ssh/authorized_keys', `${key.public}\n`)
    await expect(shadow({ ...access, user: 'guest' })).rejects.toMatchObject({ code: 'host-no-root' })
  })

  // The last: what both ends still try to send when the network is healed would count as new connections.
  test.each([0, 1])(
    'transport %i: a network that is cut in the middle of a step is noticed by the clock; the unit goes on, and is found again',
    async way => {
      const [, access] = ways()[way]!
      const own = lines()
      const unit = `recover-cut-${way}`
      const state = () => own.use(access, never, ssh => hostReader(access, ssh).unit(unit))
      const within = () => host.inside('systemctl', 'show', '--value', '-p', 'ActiveState', unit).trim()
      await own.use(access, never, ssh =>
        hostWriter(access, ssh).startUnit(unit, `until [ -e /run/go-${way} ]; do sleep 0.1; done`),
      )
      // What the test before this one began may still be there.
      const command = `sleep 6${way}`
      const waiting = own.use(access, never, ssh => ssh.run(command))
      const outcome = expect(waiting).rejects.toMatchObject({ code: 'host-silent', transient: true })
      await until(
        'the command to run',
        180_000,
        () => host.inside('ps', '-ef').includes(command) || undefined,
      )
      host.partition('cut')
      try {
        const began = Date.now()
        await outcome
        // Whoever tries again meanwhile is told within a bound, too.
        await expect(state()).rejects.toMatchObject({ code: 'host-unreachable', transient: true })
        expect(await own.probe(access, never)).toMatchObject({ state: 'unreachable' })
        expect(Date.now() - began).toBeLessThan(30_000)
        expect(within()).toBe('activating')
        host.inside('touch', `/run/go-${way}`)
        await until('the unit to end', 180_000, () => within() === 'active' || undefined)
      } finally {
        host.partition('healed')
      }
      const end = await until('the line', 180_000, state)
      expect(end).toEqual({ active: 'active', result: 'success', exitCode: 0 })
    },
  )
})
