import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { compileButane } from '../../src/hosts/butane/compile.ts'
import { type IgnitionConfig, parseIgnition } from '../../src/hosts/ignition/config.ts'
import { effectiveConfig } from '../../src/hosts/ignition/effective.ts'
import { placeSources, writeSources } from '../../src/hosts/ignition/place-sources.ts'
import { prepareIgnition } from '../../src/hosts/ignition/prepare.ts'
import { keepSource } from '../../src/hosts/ignition/source-kit.ts'
import { allSources, findSources } from '../../src/hosts/ignition/sources.ts'
import { ServedSources } from '../../src/hosts/install/served-sources.ts'
import { mintHostKeys } from '../../src/hosts/keys.ts'
import { openNetboot } from '../../src/hosts/netboot/netboot.ts'
import { serverOf } from '../hosts/ignition/sources-at.ts'
import { scratch } from '../runbook/harness.ts'
import { firstBoot, ignition } from './harness/first-boot.ts'
import { describeReal } from './harness/place.ts'

const signal = new AbortController().signal
const secret = Buffer.alloc(32, 3)
const identity = { run: '20261125-000000-abcd', host: 'lithium', keys: mintHostKeys(secret, 'lithium') }
const login = `ssh-ed25519 ${'A'.repeat(68)} you`
const sha512 = (bytes: string | Buffer) => `sha512-${createHash('sha512').update(bytes).digest('hex')}`

/** Several hundred kilobytes that do not get smaller. */
const program = Buffer.from(
  Array.from({ length: 8000 }, (_, i) => createHash('sha512').update(`${i}`).digest('hex')).join('\n'),
)

/** Of a file that Ignition made: what it holds, and who may do what with it. */
function made(root: string, path: string) {
  const { mode, uid, gid } = lstatSync(join(root, path))
  return { text: readFileSync(join(root, path), 'utf8'), mode: (mode & 0o7777).toString(8), uid, gid }
}

function inside(config: object): { source: string; compression: string } {
  const packed = gzipSync(JSON.stringify(config))
  return { source: `data:;base64,${packed.toString('base64')}`, compression: 'gzip' }
}

/** Serves as a run does. */
function serving() {
  const dhcp = { lacks: () => undefined, answer: async () => undefined, forget: async () => undefined }
  const netboot = openNetboot({ address: '127.0.0.1', port: 0, dhcp })
  onTestFinished(() => netboot.close())
  return { netboot, served: new ServedSources(scratch('served'), secret) }
}

describeReal(
  ignition === undefined
    ? 'Ignition itself (skipped: RECOVER_TEST_IGNITION names no ignition 2.24)'
    : 'Ignition itself',
  () => {
    const real = test.skipIf(ignition === undefined)

    real('makes this run’s machine of a Butane file: its keys, its name, its users', async () => {
      const { text } = compileButane(
        `variant: flatcar
version: 1.1.0
passwd:
  users:
    - { name: core, ssh_authorized_keys: [${login}] }
    - { name: keeper, uid: 4711, shell: /bin/sh, groups: [disk], ssh_authorized_keys: [${login}] }
storage:
  files:
    - { path: /etc/hostname, mode: 0644, contents: { inline: lithium } }
    - { path: /etc/ssh/ssh_host_rsa_key, contents: { inline: theirs }, user: { name: core } }
  links:
    - { path: /etc/ssh/ssh_host_ed25519_key, target: /opt/elsewhere }
systemd:
  units:
    - { name: own.service, enabled: true, contents: "[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n" }
`,
        { source: 'lithium.bu', filesDir: '/' },
      )
      const { root, neededNetwork } = await firstBoot(prepareIgnition(text, 'lithium.bu', identity).text)
      expect(neededNetwork).toBe(false)
      for (const key of identity.keys) {
        const path = `/etc/ssh/ssh_host_${key.type}_key`
        expect(made(root, path)).toEqual({ text: key.privateKey, mode: '600', uid: 0, gid: 0 })
        expect(made(root, `${path}.pub`)).toMatchObject({ text: `${key.publicKey}\n`, mode: '644' })
      }
      const { run, host } = identity
      expect(made(root, '/etc/recover/run.json')).toMatchObject({ mode: '644', uid: 0 })
      expect(JSON.parse(made(root, '/etc/recover/run.json').text)).toEqual({ run, host })
      expect(made(root, '/etc/hostname').text).toBe('lithium')
      expect(made(root, '/home/keeper/.ssh/authorized_keys.d/ignition')).toMatchObject({
        text: expect.stringContaining(login),
        mode: '600',
        uid: 4711,
      })
      expect(made(root, '/etc/passwd').text).toMatch(/^keeper:[^:]*:4711:.*:\/bin\/sh$/m)
      expect(made(root, '/etc/group').text).toMatch(/^disk:.*keeper$/m)
      expect(made(root, '/etc/systemd/system-preset/20-ignition.preset').text).toContain('enable own.service')
      expect(existsSync(join(root, '/opt/elsewhere'))).toBe(false)
    })

    real('fetches by their hashes what recover serves of the kit, when elsewhere is away', async () => {
      const kit = scratch('kit')
      const packed = gzipSync(program)
      const away: (() => unknown)[] = []
      const deeper = {
        ignition: { version: '3.2.0' },
        storage: { files: [{ path: '/etc/deeper', contents: { source: 'data:,deeper' } }] },
      }
      const files: Record<string, string | Buffer> = {
        '/program.gz': gzipSync(program),
        '/motd': 'welcome\n',
      }
      const upstream = await serverOf({ onTestFinished: end => away.push(end) }, files)
      files['/deeper.ign'] = JSON.stringify(deeper)
      files['/common.ign'] = JSON.stringify({
        ignition: { version: '3.3.0', config: { merge: [{ source: `${upstream}/deeper.ign` }] } },
        storage: {
          files: [{ path: '/etc/motd', overwrite: true, contents: { source: `${upstream}/motd` } }],
        },
      })
      const config = {
        ignition: {
          version: '3.4.0',
          config: {
            merge: [
              { source: `${upstream}/common.ign`, verification: { hash: sha512(files['/common.ign']) } },
            ],
          },
        },
        passwd: { users: [{ name: 'core', sshAuthorizedKeys: [login] }] },
        storage: {
          files: [
            {
              path: '/opt/bin/program',
              mode: 0o755,
              contents: {
                source: `${upstream}/program.gz`,
                compression: 'gzip',
                verification: { hash: sha512(program) },
              },
            },
          ],
        },
      }
      const parsed = parseIgnition(JSON.stringify(config), 'lithium.ign')
      const tree = () => findSources(parsed, kit, 'lithium.ign')
      // Each merged config that is kept names the next.
      for (let known = -1; known < allSources(tree()).length; ) {
        known = allSources(tree()).length
        for (const { resource, url, what } of allSources(tree()))
          await keepSource(kit, { ...resource, source: url }, what, signal)
      }
      for (const end of away) end()

      // There is room in the config for the small ones alone.
      const found = tree()
      const placed = placeSources(found, true, 100_000)
      expect(placed.map(({ found, place }) => [found.what, place])).toEqual([
        ['a merged config', 'inside'],
        [`a merged config of ${upstream}/common.ign`, 'inside'],
        [`/etc/motd of ${upstream}/common.ign`, 'inside'],
        ['/opt/bin/program', 'served'],
      ])
      const { netboot, served } = serving()
      const copies = placed.filter(p => p.place === 'served').map(p => p.found.kept!)
      const { urlOf } = await served.serve('lithium', copies, netboot)
      const written = JSON.stringify(writeSources(found, placed, urlOf))
      const { text } = prepareIgnition(written, 'lithium.ign', identity)
      const { root } = await firstBoot(text)
      expect(made(root, '/opt/bin/program')).toMatchObject({ text: program.toString(), mode: '755', uid: 0 })
      expect(made(root, '/etc/motd').text).toBe('welcome\n')
      expect(made(root, '/etc/deeper').text).toBe('deeper')
      expect(made(root, '/etc/ssh/ssh_host_ed25519_key').text).toBe(identity.keys[0]?.privateKey)

      // Another program at the same address is not taken for it.
      writeFileSync(copies[0]!.file, gzipSync('something else'))
      await expect(firstBoot(text)).rejects.toThrow(/hash verification failed|did not match/i)
      // With room for all of it, nobody is needed.
      writeFileSync(copies[0]!.file, packed)
      const whole = tree()
      const alone = JSON.stringify(writeSources(whole, placeSources(whole, false), () => ''))
      const offline = await firstBoot(prepareIgnition(alone, 'lithium.ign', identity).text)
      expect(offline.neededNetwork).toBe(false)
      expect(made(offline.root, '/opt/bin/program').text).toBe(program.toString())
    })

    real('lets a merged config win, and ours over all of them', async () => {
      const theirs = (path: string) => ({
        path,
        mode: 0o666,
        user: { name: 'core' },
        append: [{ source: 'data:,more' }],
        contents: { ...inside({}), verification: { hash: sha512('{}') } },
      })
      const rsa = '/etc/ssh/ssh_host_rsa_key'
      const base = {
        ignition: { version: '3.4.0' },
        storage: {
          files: [theirs('/etc/hostname'), theirs('/etc/ssh/ssh_host_ed25519_key'), theirs(`${rsa}.pub`)],
          links: [
            { path: '/etc/recover/run.json', target: '/opt/elsewhere' },
            { path: '/etc/first', target: '/etc/second' },
          ],
          directories: [{ path: '/srv/theirs', mode: 0o700 }],
        },
      }
      // One that is fetched when the machine boots, and that nobody has seen.
      const context = { onTestFinished: (end: () => unknown) => onTestFinished(() => void end()) }
      const unseen = await serverOf(context, {
        '/base.ign': JSON.stringify({ ...base, storage: { files: [theirs(rsa), theirs('/etc/unseen')] } }),
      })
      const seen: IgnitionConfig = {
        ignition: { version: '3.4.0', config: { merge: [inside(base)] } },
        kernelArguments: { shouldExist: ['quiet'] },
        passwd: { users: [{ name: 'core', sshAuthorizedKeys: [login] }] },
        storage: {
          files: [
            { path: '/etc/hostname', mode: 0o600, contents: { source: 'data:,lithium' } },
            { path: '/etc/first', contents: { source: 'data:,first' } },
          ],
        },
      }
      const mixed = structuredClone(seen)
      mixed.ignition.config!.merge!.unshift({ source: `${unseen}/base.ign` })
      const { root } = await firstBoot(prepareIgnition(JSON.stringify(mixed), 'lithium.ign', identity).text)
      // It is as the claim says: what is merged wins.
      expect(made(root, '/etc/hostname').text).toBe('{}more')
      expect(lstatSync(join(root, '/etc/first')).isSymbolicLink()).toBe(true)
      expect(made(root, '/etc/unseen')).toMatchObject({ text: '{}more', mode: '666' })
      for (const key of identity.keys) {
        const path = `/etc/ssh/ssh_host_${key.type}_key`
        expect(made(root, path)).toEqual({ text: key.privateKey, mode: '600', uid: 0, gid: 0 })
        expect(made(root, `${path}.pub`)).toMatchObject({ text: `${key.publicKey}\n`, mode: '644', uid: 0 })
      }
      expect(JSON.parse(made(root, '/etc/recover/run.json').text).run).toBe(identity.run)
      expect(lstatSync(join(root, '/etc/recover/run.json')).isSymbolicLink()).toBe(false)

      // And preflight judges the same config that Ignition comes to.
      const prepared = prepareIgnition(JSON.stringify(seen), 'lithium.ign', identity).text
      const ours = effectiveConfig(findSources(parseIgnition(prepared, 'a'), undefined, 'a'), 'a')
      const { merged } = await firstBoot(prepared)
      expect(said({ ...ours, ignition: {} })).toEqual(said({ ...merged, ignition: {} }))
    })
  },
)

/** Without what is empty: Ignition writes down an empty hash where there is none. */
function said(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(said)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, of]) => [key, said(of)] as const)
  const full = entries.filter(([, of]) => typeof of !== 'object' || of === null || Object.keys(of).length > 0)
  return Object.fromEntries(full)
}
