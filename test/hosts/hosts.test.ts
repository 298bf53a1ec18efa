import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { afterEach, describe, expect, test } from 'vitest'
import type { Disk } from '../../src/hosts/disks.ts'
import { factScript, factUnits } from '../../src/hosts/fact-script.ts'
import { parseFacts } from '../../src/hosts/facts.ts'
import { connectReader, connectWriter, quote } from '../../src/hosts/host.ts'
import { prepareIgnition } from '../../src/hosts/ignition/prepare.ts'
import { verifyArtifact } from '../../src/hosts/install/artifact.ts'
import type { Guidance } from '../../src/hosts/install/rung.ts'
import { installScript, writeDisk } from '../../src/hosts/install/write-disk.ts'
import { knownHostsLine, mintHostKey, mintHostKeys } from '../../src/hosts/keys.ts'
import { resolveDisk } from '../../src/hosts/resolve-disk.ts'
import { probeSsh, type SshAccess } from '../../src/hosts/ssh.ts'
import type { Blueprint } from '../../src/lab/blueprint.ts'
import { MachinesEmulator } from '../../src/lab/hosts/emulator.ts'
import { words } from '../../src/lab/hosts/shell.ts'
import { World } from '../../src/lab/world.ts'
import { smallBlueprint } from '../lab/small-world.ts'
import { scratch } from '../runbook/harness.ts'

const operator = mintHostKey(Buffer.from('the person'), 'operator')
const closing: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function lab(change: (blueprint: Blueprint) => void = () => {}, dir = scratch('hosts')) {
  const blueprint = smallBlueprint()
  change(blueprint)
  const world = World.exists(dir) ? World.open(dir) : World.create(dir, blueprint)
  const emulator = new MachinesEmulator(world, operator.publicKey, () => undefined)
  const ports = await emulator.listen()
  closing.push(() => emulator.close())
  const access = (pins: SshAccess['pins'] = 'first-use'): SshAccess => ({
    name: 'lithium',
    address: '127.0.0.1',
    port: ports.lithium!,
    user: 'core',
    privateKey: operator.privateKey,
    pins,
  })
  return { world, emulator, machine: emulator.machine('lithium'), access, dir, ports }
}

const secret = Buffer.alloc(32, 7)
const run = '20261123-020000-ab12'
const key = mintHostKey(secret, 'lithium')
const config = JSON.stringify({
  ignition: { version: '3.4.0' },
  passwd: { users: [{ name: 'core', sshAuthorizedKeys: [operator.publicKey] }] },
  storage: { files: [{ path: '/etc/hostname', mode: 0o644, contents: { source: 'data:,lithium' } }] },
})

function installation() {
  const file = join(scratch('image'), 'flatcar.bin')
  const bytes = randomBytes(5_000)
  writeFileSync(file, bytes.toString('hex'))
  const sha256 = createHash('sha256').update(bytes.toString('hex')).digest('hex')
  const image = { file, sha256 }
  return {
    run,
    disks: [],
    image,
    verify: () => verifyArtifact('system image', image, { file: undefined }),
    ignition: prepareIgnition(config, 'lithium.ign', { run, host: 'lithium', keys: [key] }),
  }
}

const guidance: Guidance = {
  signal: new AbortController().signal,
  note() {},
  askHand() {},
  async wait(what, probe) {
    const end = performance.now() + 5_000
    for (;;) {
      const found = await probe()
      if (found !== undefined) return found
      if (performance.now() > end) throw new Error(`waited too long for ${what}`)
    }
  },
}

describe('host keys', () => {
  test('the same run and host give the same key; OpenSSH and ssh2 read it', () => {
    expect(mintHostKey(secret, 'lithium')).toEqual(key)
    expect(mintHostKey(secret, 'hydrogen').publicKey).not.toBe(key.publicKey)
    const parsed = ssh2.utils.parseKey(key.privateKey)
    if (parsed instanceof Error) throw parsed
    expect(parsed.getPublicSSH().toString('base64')).toBe(key.publicKey.split(' ')[1])
    expect(knownHostsLine('192.0.2.11', 22, key.publicKey)).toBe(
      `192.0.2.11 ${key.publicKey.replace(' recover', '')}\n`,
    )
    expect(knownHostsLine('127.0.0.1', 2222, key.publicKey)).toMatch(/^\[127\.0\.0\.1\]:2222 ssh-ed25519 /)
  })

  const keygen = existsSync('/usr/bin/ssh-keygen')
  if (!keygen) process.stdout.write('skipped: ssh-keygen judges our keys: OpenSSH is not installed\n')
  test('there is an ecdsa key too, derived and read likewise, for many runs', () => {
    for (let i = 0; i < 40; i += 1) {
      const [first, second] = mintHostKeys(Buffer.alloc(32, i), 'lithium')
      expect(first).toEqual(mintHostKey(Buffer.alloc(32, i), 'lithium'))
      expect(second!.publicKey).toMatch(/^ecdsa-sha2-nistp256 /)
      const parsed = ssh2.utils.parseKey(second!.privateKey)
      if (parsed instanceof Error) throw parsed
      expect(parsed.getPublicSSH().toString('base64')).toBe(second!.publicKey.split(' ')[1])
      expect(parsed.verify('text', parsed.sign('text') as Buffer)).toBe(true)
    }
  })

  test.skipIf(!keygen)('ssh-keygen judges them', () => {
    for (const key of mintHostKeys(secret, 'lithium')) {
      const file = join(scratch('key'), 'id')
      writeFileSync(file, key.privateKey, { mode: 0o600 })
      const shown = spawnSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' })
      expect(shown.stderr).toBe('')
      expect(shown.stdout.trim()).toBe(key.publicKey)
      writeFileSync(`${file}.pub`, key.publicKey)
      expect(spawnSync('ssh-keygen', ['-l', '-f', `${file}.pub`], { encoding: 'utf8' }).stdout).toContain(
        key.fingerprint,
      )
    }
  })
})

describe('facts', () => {
  test('the script runs on a real Linux and its output is understood', () => {
    const { stdout } = spawnSync('sh', ['-s'], { input: factScript, encoding: 'utf8' })
    const facts = parseFacts(stdout, 'here')
    expect(facts.bootId).toMatch(/^[0-9a-f-]{36}$/)
    expect(facts.os.id).not.toBe('')
    expect(Object.keys(facts.units)).toEqual([...factUnits])
    expect(facts.disks.every(d => d.sizeBytes > 0 && d.name !== '')).toBe(true)
  })

  test('the end is missed when the line breaks', () => {
    expect(() => parseFacts('=== boot-id\nabc\n', 'lithium')).toThrow('in the middle')
  })

  test('a disk is found by serial or WWN, never guessed', async () => {
    const { access } = await lab()
    const { host, close } = await connectReader(access())
    const facts = await host.facts()
    close()
    expect(resolveDisk(facts, { serial: 'S4EVNX0M123456' }, 'lithium')).toMatchObject({
      name: 'nvme0n1',
      model: 'Samsung SSD 970 EVO 500GB',
      content: ['nvme0n1p9 ext4 ROOT'],
      mounted: false,
    })
    expect(() => resolveDisk(facts, { serial: 'X' }, 'lithium')).toThrow(
      /no disk with serial X; it has .*WD-PHOTOS/,
    )
    expect(() => resolveDisk(facts, {}, 'lithium')).toThrow('no disk')
  })
})

describe('a machine', () => {
  test('reading changes nothing', async () => {
    const { access, world } = await lab()
    const { host, close } = await connectReader(access())
    expect(await host.facts()).toMatchObject({
      os: { variant: 'installer' },
      machineSerial: 'M-LITHIUM',
      run: undefined,
    })
    expect(await host.readFile('/nowhere')).toBeUndefined()
    expect(await host.readTail('/nowhere', 10)).toBeUndefined()
    expect(await host.room('/run')).toBeGreaterThan(1e9)
    expect(await host.unit('k0scontroller')).toMatchObject({ active: 'absent' })
    expect(Object.keys(host).sort()).toEqual([
      'efiBootEntries',
      'facts',
      'fetch',
      'fetchFiles',
      'hostKey',
      'k0s',
      'localData',
      'name',
      'reaches',
      'readFile',
      'readTail',
      'room',
      'unit',
      'unmountedData',
    ])
    expect(world.mutations.hosts).toBe(0)
    close()
  })

  test('a key that is not pinned gets no command; a probe says what answers', async () => {
    const { access, machine } = await lab()
    await expect(connectReader(access([key.publicKey]))).rejects.toMatchObject({
      code: 'host-key-mismatch',
      message: expect.stringContaining(key.fingerprint),
    })
    expect(await probeSsh(access([key.publicKey]))).toMatchObject({ state: 'other-key' })
    expect(await probeSsh({ ...access(), privateKey: mintHostKey(secret, 'stranger').privateKey })).toEqual({
      state: 'refused-login',
    })
    machine.powerOff()
    expect(['throttled', 'unreachable']).toContain((await probeSsh(access())).state)
  })

  test('a throttled connection is a fault that passes', async () => {
    const { access, world } = await lab()
    world.arm('ssh-throttled', 'lithium', 1)
    await expect(connectReader(access())).rejects.toMatchObject({ code: 'ssh-throttled', transient: true })
    const { close } = await connectReader(access())
    close()
  })

  test('many commands at once on one line all get their own answer', async () => {
    const { access } = await lab()
    const { host, close } = await connectWriter(access())
    await Promise.all(Array.from({ length: 20 }, (_, i) => host.putFile(`/run/f${i}`, `text ${i}`, 0o600)))
    const read = await Promise.all(Array.from({ length: 20 }, (_, i) => host.readFile(`/run/f${i}`)))
    expect(read).toEqual(Array.from({ length: 20 }, (_, i) => `text ${i}`))
    close()
  })

  test('a lock is placed once', async () => {
    const { access } = await lab()
    const { host, close } = await connectWriter(access())
    expect(await host.placeLock('mine')).toBe('mine')
    expect(await host.placeLock('theirs')).toBe('mine')
    await host.dropLock()
    expect(await host.placeLock('theirs')).toBe('theirs')
    close()
  })
})

describe('an installation', () => {
  async function install(world: Awaited<ReturnType<typeof lab>>) {
    const { host, close } = await connectWriter(world.access())
    try {
      const disk = resolveDisk(await host.facts(), { serial: 'S4EVNX0M123456' }, 'lithium')
      await writeDisk(host, { ...installation(), disk }, guidance)
    } finally {
      close()
    }
  }

  test('makes this run’s machine: its host key, its name, a new boot, and no other disk touched', async () => {
    const world = await lab()
    const before = await connectReader(world.access())
    const old = await before.host.facts()
    before.close()
    await install(world)
    const { host, close } = await connectReader(world.access([key.publicKey]))
    const facts = await host.facts()
    expect(facts).toMatchObject({
      hostname: 'lithium',
      run: { run, host: 'lithium' },
      os: { id: 'flatcar', variant: '' },
    })
    expect(facts.bootId).not.toBe(old.bootId)
    expect(world.machine.state.disks.map(d => d.writes)).toEqual([1, 0])
    close()
  })

  test('a disk with another serial than the agreed one is not written', async () => {
    const world = await lab()
    const { host, close } = await connectWriter(world.access())
    const disk = resolveDisk(await host.facts(), { serial: 'S4EVNX0M123456' }, 'lithium')
    world.machine.swapDisk('EXCHANGED')
    await expect(writeDisk(host, { ...installation(), disk }, guidance)).rejects.toMatchObject({
      code: 'disk-moved',
    })
    expect(world.machine.state.disks.map(d => d.writes)).toEqual([0, 0])
    close()
  })

  test('a damaged image is found before the disk is touched', async () => {
    const world = await lab()
    const { host, close } = await connectWriter(world.access())
    const disk = resolveDisk(await host.facts(), { serial: 'S4EVNX0M123456' }, 'lithium')
    const what = installation()
    writeFileSync(what.image.file, 'cut off')
    await expect(writeDisk(host, { ...what, disk }, guidance)).rejects.toMatchObject({
      code: 'image-damaged',
    })
    expect(world.world.mutations.hosts).toBe(0)
    close()
  })

  test('one that was begun is found again and not started twice', async () => {
    const world = await lab(b => {
      b.latency.install = 150
    })
    const first = await connectWriter(world.access())
    const disk = resolveDisk(await first.host.facts(), { serial: 'S4EVNX0M123456' }, 'lithium')
    const what = { ...installation(), disk }
    const hasty: Guidance = {
      ...guidance,
      wait: async () => {
        throw new Error('our process ends here')
      },
    }
    await expect(writeDisk(first.host, what, hasty)).rejects.toThrow('ends here')
    first.close()
    const notes: string[] = []
    const second = await connectWriter(world.access())
    await writeDisk(second.host, what, { ...guidance, note: t => notes.push(t) })
    second.close()
    expect(notes[0]).toContain('that was begun before')
    expect(world.machine.state.disks[0]?.writes).toBe(1)
  })

  test('faults: a machine that dies, an old system that returns, a host key that differs', async () => {
    const dies = await lab()
    dies.world.arm('host-dies-during-install', 'lithium')
    await expect(install(dies)).rejects.toMatchObject({ transient: true })
    expect(dies.machine.state).toMatchObject({ system: 'off', disks: [{ system: 'half-written' }, {}] })
    dies.machine.insertStick()
    await install(dies)
    expect(dies.machine.state.disks[0]).toMatchObject({ system: 'flatcar', writes: 2 })

    const returns = await lab()
    returns.world.arm('old-os-returns', 'lithium')
    await install(returns)
    expect(await probeSsh(returns.access([key.publicKey]))).toMatchObject({ state: 'other-key' })

    const differs = await lab()
    differs.world.arm('host-key-differs', 'lithium')
    await install(differs)
    expect(await probeSsh(differs.access([key.publicKey]))).toMatchObject({ state: 'other-key' })
  })

  test('what a machine became outlives the process of the lab, at the same port', async () => {
    const world = await lab()
    await install(world)
    await world.emulator.close()
    const again = await lab(() => {}, world.dir)
    expect(again.ports).toEqual(world.ports)
    const { close } = await connectReader(again.access([key.publicKey]))
    close()
  })

  test('outlives clients that die in the middle of a command', async () => {
    const { access } = await lab()
    const { address, port, user, privateKey } = access()
    // An error that nobody handles, in any of the machine's streams, would end the lab's process and fails this file.
    const dies = () =>
      new Promise<void>((resolve, reject) => {
        const client = new ssh2.Client()
        client.on('error', () => {})
        client.on('close', () => resolve())
        client.on('ready', () =>
          client.exec('sh -s', (error, stream) => {
            if (error) return reject(error)
            stream.write('half of a script')
            setImmediate(() => client.destroy())
          }),
        )
        client.connect({ host: address, port, username: user, privateKey: privateKey! })
      })
    for (let i = 0; i < 12; i += 1) await dies()
    const { host, close } = await connectReader(access())
    closing.push(close)
    expect((await host.facts()).hostname).toBe('localhost')
  })

  test('its script refuses as a real shell runs it', () => {
    const dir = scratch('script')
    const disk = { name: 'sda', serial: "it's" } as Disk
    const script = installScript(disk, { sha256: 'a'.repeat(64) })
    // A PATH with our own lsblk and flatcar-install shows what the real shell makes of the quoting and of set -e.
    const tool = (name: string, text: string) =>
      writeFileSync(join(dir, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
    tool('lsblk', `echo "it's"`)
    tool('sha256sum', 'cat > /dev/null')
    tool('flatcar-install', `echo "$@" > ${quote(join(dir, 'called'))}`)
    const env = { PATH: `${dir}:/usr/bin:/bin` }
    expect(spawnSync('sh', ['-c', script], { env }).status).toBe(0)
    expect(existsSync(join(dir, 'called'))).toBe(true)
    tool('lsblk', 'echo OTHER')
    tool('flatcar-install', `echo > ${quote(join(dir, 'wrongly-called'))}`)
    expect(spawnSync('sh', ['-c', script], { env }).status).not.toBe(0)
    expect(existsSync(join(dir, 'wrongly-called'))).toBe(false)
    tool('lsblk', `echo "it's"`)
    rmSync(join(dir, 'flatcar-install'))
    expect(spawnSync('sh', ['-c', script], { env }).status).toBe(74)
  })
})

describe('ignition', () => {
  const identity = { run, host: 'lithium', keys: mintHostKeys(secret, 'lithium') }
  test('keeps what was there and adds who the machine is', () => {
    const parsed = JSON.parse(prepareIgnition(config, 'a.ign', identity).text)
    expect(parsed.storage.files.map((f: { path: string }) => f.path)).toEqual(['/etc/hostname'])
    const { source } = parsed.ignition.config.merge.at(-1)
    const { storage } = JSON.parse(Buffer.from(source.split(',')[1], 'base64').toString())
    expect(storage.files.map((f: { path: string }) => f.path)).toEqual([
      '/etc/ssh/ssh_host_ed25519_key',
      '/etc/ssh/ssh_host_ed25519_key.pub',
      '/etc/ssh/ssh_host_ecdsa_key',
      '/etc/ssh/ssh_host_ecdsa_key.pub',
      '/etc/recover/run.json',
    ])
    expect(storage.files[0].mode).toBe(0o600)
  })
  test('refuses what would make a machine that nobody can use', () => {
    const code = (text: string) => {
      try {
        prepareIgnition(text, 'a.ign', identity)
      } catch (thrown) {
        return (thrown as { code: string }).code
      }
      return 'accepted'
    }
    expect(code('{')).toBe('ignition-invalid')
    expect(code('{}')).toBe('ignition-invalid')
    expect(code('{"ignition":{"version":"2.3.0"}}')).toBe('ignition-invalid')
    expect(code('{"ignition":{"version":"3.4.0"}}')).toBe('ignition-no-login')
  })
})

test('words are split as a shell splits them', () => {
  expect(words(`sudo -n cat -- '/a b'`)).toEqual(['sudo', '-n', 'cat', '--', '/a b'])
  expect(words(quote("it's"))).toEqual(["it's"])
  expect(words('a"b c"d \\e ""')).toEqual(['ab cd', 'e', ''])
})
