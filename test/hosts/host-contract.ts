import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { factTools, factUnits } from '../../src/hosts/fact-script.ts'
import { connectReader, connectWriter, type HostReader, type HostWriter } from '../../src/hosts/host.ts'
import { connectSsh, probeSsh, type SshAccess, type SshConnection } from '../../src/hosts/ssh.ts'
import { scratch } from '../runbook/harness.ts'
import { type Gate, gateTo } from './gate.ts'

/** A machine that runs a system from a disk of its own, with which the contract may do as it likes. */
export interface HostUnderContract {
  /** As `core`, who has sudo without a password. */
  access: SshAccess
  hostname: string
  /** MAC address of the interface by which it is reached. */
  mac: string
  /** Of the kernel that runs, read past SSH. */
  bootId(): string
  /** Writes a file, past SSH. */
  put(path: string, text: string): void
  /** Something that is another thing once anything was changed on it. */
  changes(): string | number
  /** Another system boots on it, from elsewhere, and answers at its address. */
  bootAnother(): Promise<void>
  close(): unknown
}

/** What the runbook relies on, whichever machine it is: the lab's and real ones alike. */
export function hostContract(
  name: string,
  start: () => HostUnderContract | Promise<HostUnderContract>,
): void {
  factsContract(name, start)
  changesContract(name, start)
}

/** What looking at a machine tells. */
function factsContract(name: string, start: () => HostUnderContract | Promise<HostUnderContract>): void {
  describe(`facts of ${name}`, () => {
    let there: HostUnderContract
    let line: Awaited<ReturnType<typeof connectReader>>
    let host: HostReader
    beforeAll(async () => {
      there = await start()
      line = await connectReader(there.access)
      host = line.host
    })
    afterAll(async () => {
      line?.close()
      await there?.close()
    })

    test('every part is there, and is told the same twice', async () => {
      const found = await host.facts()
      expect(found).toMatchObject({
        hostname: there.hostname,
        access: expect.stringMatching(/^(root|sudo)$/),
        arch: expect.stringMatching(/^(x86_64|aarch64)$/),
        kernel: expect.stringMatching(/^\d+\.\d+/),
        bootId: there.bootId(),
        initiator: expect.stringMatching(/^iqn\./),
        run: undefined,
      })
      expect(found.os.id).toMatch(/^[a-z]+$/)
      expect(found.memoryBytes).toBeGreaterThan(100e6)
      expect(found.memoryAvailableBytes).toBeLessThanOrEqual(found.memoryBytes)
      expect(found.macs).toContain(there.mac)
      expect(found.interfaces.map(i => i.name)).toContain('lo')
      expect(Object.keys(found.units)).toEqual([...factUnits])
      expect(found.tools.filter(t => !(factTools as readonly string[]).includes(t))).toEqual([])
      expect(found.tools).toEqual(
        expect.arrayContaining(['dd', 'sha256sum', 'systemctl', 'systemd-run', 'lsblk']),
      )
      expect(found.rootFileSystem).not.toBe('')
      expect(new Set(found.disks.map(d => d.name)).size).toBe(found.disks.length)
      const again = await host.facts()
      expect({ ...again, memoryAvailableBytes: 0 }).toEqual({ ...found, memoryAvailableBytes: 0 })
    })

    test('data on its own disk is found where it lies, with what is small enough to be saved', async () => {
      const files: Record<string, string> = {
        '/var/lib/k0s/db/state.db': 'SQLite format 3\n',
        '/var/lib/k0s/db/state.db-wal': 'a log',
        '/etc/k0s/k0s.yaml': 'kind: ClusterConfig\n',
        '/opt/local-path-provisioner/pvc-0f5a7c64-1111-4222-8333-444455556666_media_library/film': 'x'.repeat(
          9000,
        ),
        '/var/lib/longhorn/replicas/pvc-1-r-2/volume.meta': '{}',
        '/etc/exports': '# comment\n/srv/photos 192.0.2.0/24(rw)\n',
        '/srv/photos/one.jpg': 'a photo',
        '/var/db/tang/sign.jwk': '{"d":"secret"}',
        '/etc/iscsi/nodes/iqn.2000-01.com.synology:nas.1/192.0.2.17,3260,1/default': 'node.name = x\n',
        "/srv/with space/it's": 'quoted',
      }
      for (const [path, text] of Object.entries(files)) there.put(path, text)
      const facts = await host.facts()
      const { data, files: small } = await host.localData(['/srv/with space', '/srv/not there'], facts)
      const found = new Map(data.map(d => [d.path, d]))
      expect([...found.keys()].sort()).toEqual([
        '/opt/local-path-provisioner',
        '/srv/photos',
        '/srv/with space',
        '/var/db/tang',
        '/var/lib/k0s/db',
        '/var/lib/longhorn',
      ])
      expect(found.get('/opt/local-path-provisioner')).toMatchObject({
        kind: 'local-path',
        entries: ['pvc-0f5a7c64-1111-4222-8333-444455556666_media_library'],
      })
      expect(found.get('/opt/local-path-provisioner')?.bytes).toBeGreaterThanOrEqual(9000)
      expect(found.get('/var/lib/longhorn')).toMatchObject({ kind: 'longhorn', entries: ['pvc-1-r-2'] })
      expect(found.get('/srv/with space')?.kind).toBe('volume')
      const wanted = Object.keys(files).filter(path => /state\.db|k0s\.yaml|exports|jwk|\/nodes\//.test(path))
      expect(
        small
          .map(f => f.path)
          .filter(path => path in files)
          .sort(),
      ).toEqual(wanted.sort())
      for (const { path, bytes } of small)
        if (path in files) expect(bytes).toBe(Buffer.byteLength(files[path]!))
      const fetched = await host.fetchFiles([...wanted, "/srv/with space/it's", '/not/there'])
      expect(Object.fromEntries([...fetched].map(([path, b]) => [path, b.toString()]))).toEqual(
        Object.fromEntries([...wanted, "/srv/with space/it's"].map(path => [path, files[path]])),
      )
    })

    test('looking changes nothing', async () => {
      const before = there.changes()
      const facts = await host.facts()
      await host.localData([], facts)
      await host.fetchFiles(['/etc/exports'])
      expect(there.changes()).toBe(before)
    })
  })
}

/** What changing a machine does, also when the line to it is cut in the middle. */
function changesContract(name: string, start: () => HostUnderContract | Promise<HostUnderContract>): void {
  describe(`changes on ${name}`, () => {
    let there: HostUnderContract
    let gate: Gate
    let access: SshAccess
    let line: Awaited<ReturnType<typeof connectWriter>> | undefined
    let ssh: SshConnection | undefined
    beforeAll(async () => {
      there = await start()
      gate = await gateTo(there.access.port, there.access.address)
      access = { ...there.access, address: '127.0.0.1', port: gate.port }
    })
    afterAll(async () => {
      hangUp()
      await gate?.close()
      await there?.close()
    })

    const hangUp = () => {
      line?.close()
      ssh?.close()
      line = ssh = undefined
    }
    /** On a line that is kept until somebody hangs up. */
    const act = async <T>(what: (host: HostWriter) => Promise<T>): Promise<T> => {
      line ??= await connectWriter(access)
      return what(line.host)
    }
    const run = async (command: string, stdin?: string) => {
      ssh ??= await connectSsh(access)
      return ssh.run(command, stdin === undefined ? {} : { stdin })
    }
    /** Looks until something is there; a test's own limit ends it. */
    const eventually = async <T>(look: () => Promise<T | undefined>): Promise<T> => {
      for (;;) {
        const found = await look().catch(hangUp)
        if (found !== undefined) return found
        await new Promise(resolve => setTimeout(resolve, 50))
      }
    }
    const ended = (unit: string) =>
      eventually(() =>
        act(async host => {
          const state = await host.unit(unit)
          return state.active === 'activating' ? undefined : state
        }),
      )

    test('a command’s exit code, output and complaints come back, also where there is much of it', async () => {
      expect(await run('true')).toEqual({ code: 0, stdout: '', stderr: '' })
      expect(await run('cat -- /nowhere')).toEqual({
        code: 1,
        stdout: '',
        stderr: 'cat: /nowhere: No such file or directory\n',
      })
      expect((await run('no-such-program')).code).toBe(127)
      const much = `${'it’s "much" $of\\ it`\n'.repeat(9_000)}the end`
      expect(await run('install -D -m 0600 /dev/stdin /tmp/much', much)).toMatchObject({ code: 0 })
      expect((await run('cat -- /tmp/much')).stdout).toBe(much)
    })

    test('what only root may do is done by sudo, and refused without', async () => {
      await act(host => host.putFile('/etc/recover/secret', 'kept\n', 0o600))
      expect(await act(host => host.readFile('/etc/recover/secret'))).toBe('kept\n')
      expect(await run('cat -- /etc/recover/secret')).toEqual({
        code: 1,
        stdout: '',
        stderr: 'cat: /etc/recover/secret: Permission denied\n',
      })
      expect((await run('install -D -m 0600 /dev/stdin /etc/recover/mine', 'x')).code).toBe(1)
      for (const command of ['rm -f -- /etc/recover/secret', 'systemctl reboot'])
        expect((await run(command)).code, command).toBe(1)
      expect(await act(host => host.readFile('/etc/recover/secret'))).toBe('kept\n')
      expect(await act(host => host.readFile('/etc/recover/mine'))).toBeUndefined()
    })

    test('a file has its mode, its folders, and every byte; what stood there is gone', async () => {
      const mode = async (path: string) => (await run(`sudo -n stat -c %a ${path}`)).stdout.trim()
      await act(host => host.putFile('/etc/recover/a b/c', 'first', 0o644))
      expect(await mode("'/etc/recover/a b/c'")).toBe('644')
      await act(host => host.putFile('/etc/recover/a b/c', 'ü\n', 0o600))
      expect(await mode("'/etc/recover/a b/c'")).toBe('600')
      expect(await act(host => host.readFile('/etc/recover/a b/c'))).toBe('ü\n')
      await act(host => host.putFile('/etc/recover/empty', '', 0o600))
      expect(await act(host => host.readFile('/etc/recover/empty'))).toBe('')
      const file = join(scratch('put'), 'file')
      writeFileSync(file, 'from this computer')
      await act(host => host.putFile('/run/recover/sent', { file }, 0o600))
      expect(await act(host => host.readFile('/run/recover/sent'))).toBe('from this computer')
      expect(await act(host => host.readTail('/run/recover/sent', 8))).toBe('computer')
      expect(await act(host => host.readTail('/run/recover/not-sent', 8))).toBeUndefined()
    })

    test('a line that is cut under a file leaves what stood there, and no half of the new one', async () => {
      const large = randomBytes(4 << 20)
      const file = join(scratch('put'), 'large')
      writeFileSync(file, large)
      for (const [path, content, after] of [
        ['/etc/recover/whole', large, 'old'],
        // A large file of this computer takes the place of the old one at once: two would not fit into memory.
        ['/run/recover/whole', { file }, undefined],
      ] as const) {
        await act(host => host.putFile(path, 'old', 0o600))
        gate.cutAfter(1 << 20)
        await expect(act(host => host.putFile(path, content, 0o600))).rejects.toMatchObject({
          code: 'host-line-lost',
        })
        hangUp()
        // The machine learns of it when it learns of it.
        await eventually(async () =>
          (await run(`sudo -n stat -c %a ${path}.part`)).code === 1 ? true : undefined,
        )
        expect(await act(host => host.readFile(path)), path).toBe(after)
      }
    })

    test('a unit goes on when the line is cut, is found again by its name, and is not started twice', async () => {
      const unit = 'recover-contract'
      expect(await act(host => host.unit(unit))).toMatchObject({ active: 'absent' })
      await act(host =>
        host.startUnit(unit, 'until [ -e /run/contract-go ]; do sleep 0.1; done\necho once > /run/contract'),
      )
      gate.cut()
      await expect(act(host => host.unit(unit))).rejects.toMatchObject({ code: 'host-line-lost' })
      hangUp()
      expect((await act(host => host.unit(unit))).active).toBe('activating')
      await act(host => host.startUnit(unit, 'echo twice > /run/contract'))
      await act(host => host.putFile('/run/contract-go', '', 0o600))
      expect(await ended(unit)).toEqual({ active: 'active', result: 'success', exitCode: 0 })
      expect(await act(host => host.readFile('/run/contract'))).toBe('once\n')
      await act(host => host.forgetUnit(unit))
      expect(await act(host => host.unit(unit))).toMatchObject({ active: 'absent' })
    })

    test('a unit that fails says how, and stays to be read until it is forgotten', async () => {
      const unit = 'recover-contract-fails'
      await act(host => host.startUnit(unit, 'exit 72'))
      expect(await ended(unit)).toEqual({ active: 'failed', result: 'exit-code', exitCode: 72 })
      await act(host => host.startUnit(unit, 'exit 0'))
      expect(await ended(unit)).toMatchObject({ active: 'failed' })
      await act(host => host.forgetUnit(unit))
      expect(await act(host => host.unit(unit))).toMatchObject({ active: 'absent' })
      await act(host => host.startUnit(unit, 'exit 0'))
      expect(await ended(unit)).toMatchObject({ active: 'active', exitCode: 0 })
    })

    test('a reboot ends the line and is another boot: what lay in memory is gone, what lay on the disk is there', async () => {
      const { before, key } = await act(async host => {
        const { bootId } = await host.facts()
        await host.putFile('/run/recover/in-memory', 'x', 0o600)
        await host.putFile('/var/lib/recover/on-disk', 'x', 0o600)
        await host.startUnit('recover-contract-old', 'exit 1')
        await host.reboot()
        hangUp()
        return { before: bootId, key: host.hostKey }
      })
      const after = await eventually(() =>
        act(async host => {
          const { bootId } = await host.facts()
          return bootId === before ? undefined : { bootId, hostKey: host.hostKey }
        }),
      )
      expect(after.hostKey).toBe(key)
      await act(async host => {
        expect(await host.readFile('/run/recover/in-memory')).toBeUndefined()
        expect(await host.readFile('/var/lib/recover/on-disk')).toBe('x')
        expect(await host.unit('recover-contract-old')).toMatchObject({ active: 'absent' })
      })
    })

    test('another system at its address is told from it by its host key, and gets no command', async () => {
      const { hostKey, system } = await act(async host => ({
        hostKey: host.hostKey,
        system: (await host.facts()).os,
      }))
      hangUp()
      await there.bootAnother()
      const expected = { ...access, pins: [hostKey] }
      expect(await probeSsh(expected)).toMatchObject({ state: 'other-key' })
      await expect(connectReader(expected)).rejects.toMatchObject({ code: 'host-key-mismatch' })
      access = { ...access, pins: 'first-use' }
      expect((await act(host => host.facts())).os).not.toEqual(system)
      expect(await act(host => host.readFile('/var/lib/recover/on-disk'))).toBeUndefined()
    })
  })
}
