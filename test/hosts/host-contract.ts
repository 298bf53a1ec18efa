import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { factTools, factUnits } from '../../src/hosts/fact-script.ts'
import { connectReader, type HostReader } from '../../src/hosts/host.ts'
import type { SshAccess } from '../../src/hosts/ssh.ts'

/** A machine that runs a system from a disk of its own, which the contract may put files on. */
export interface FactsHost {
  access: SshAccess
  hostname: string
  /** MAC address of the interface by which it is reached. */
  mac: string
  /** Writes a file, past SSH. */
  put(path: string, text: string): void
  /** Something that is another thing once anything was changed on it. */
  changes(): string | number
  close(): unknown
}

/** What looking at a machine tells, whichever machine it is: the lab's and real ones alike. */
export function factsContract(name: string, start: () => FactsHost | Promise<FactsHost>): void {
  describe(`facts of ${name}`, () => {
    let there: FactsHost
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
        bootId: expect.stringMatching(/^[0-9a-f-]{36}$/),
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
