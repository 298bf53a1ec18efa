import { spawnSync } from 'node:child_process'
import { describe, expect, onTestFinished, test } from 'vitest'
import { copyInUnit } from '../../runbooks/volumes/copy-on-host.ts'
import { connectWriter } from '../../src/hosts/host.ts'
import { mintHostKey } from '../../src/hosts/keys.ts'
import { MachinesEmulator } from '../../src/lab/hosts/emulator.ts'
import { measureFolder } from '../../src/lab/nodes/job-programs.ts'
import { cloneName } from '../../src/nas/nas.ts'
import type { Acting } from '../../src/runbook/step.ts'
import { hostCopyRefusals, hostCopyScript, parseHostCopyVerdict } from '../../src/volumes/host-copy.ts'
import { hostCopyFault } from '../../src/volumes/host-copy-faults.ts'
import { copyRefusals } from '../../src/volumes/programs.ts'
import { connectedNas } from '../nas/connected-nas.ts'

const disk = (name: string) => ({ iqn: `iqn.2000-01.com.synology:nas.${name}`, uuid: `uuid-of-${name}` })
const copy = {
  run: '20261128-1',
  portal: '192.0.2.17:3260',
  from: { ...disk('clone'), snapshot: 'uuid-of-snapshot' },
  to: disk('new'),
  fsType: 'ext4',
  formatOptions: '--nodiscard',
}

describe('the program that copies on a host', () => {
  test('is read by sh without a complaint', () => {
    const { status, stderr } = spawnSync('sh', ['-n'], {
      input: hostCopyScript('0123abcd', copy),
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([0, ''])
  })

  test('takes what it is told for words, never for a program', () => {
    const formatOptions = `'; exit 9; '$(exit 9)`
    const [settings = ''] = hostCopyScript('0123abcd', { ...copy, formatOptions }).split('\nset -uf')
    const { status, stdout } = spawnSync('sh', ['-c', `${settings}\nprintf '%s|%s' "$OPTIONS" "$FOLDER"`], {
      encoding: 'utf8',
    })
    expect([status, stdout]).toEqual([0, `${formatOptions}|/run/recover/copy-0123abcd`])
  })
})

test('what a host proved holds for that disk and that snapshot alone', () => {
  const verdict = 'new old-1\n{"files":1,"folders":0,"links":0,"specials":0,"bytes":2}'
  const proved = (disk: string, snapshot: string) => parseHostCopyVerdict(verdict, { disk, snapshot })?.files
  expect([proved('new', 'old-1'), proved('other', 'old-1'), proved('new', 'old-2')]).toEqual([
    1,
    undefined,
    undefined,
  ])
  expect(parseHostCopyVerdict(undefined, { disk: 'new', snapshot: 'old-1' })).toBeUndefined()
})

describe('an end of a copy on a host', () => {
  const at = { host: 'helium', unit: 'recover-copy-1', folder: '/run/recover/copy-1', disk: 'k8s-csi-copy-1' }
  test.each([
    [copyRefusals.destinationNotOurs, 'copy-destination-not-ours', /delete the LUN k8s-csi-copy-1 in SAN/],
    [copyRefusals.destinationTooSmall, 'copy-destination-full', /enlarge the LUN k8s-csi-copy-1/],
    [copyRefusals.incomplete, 'copy-incomplete', /\/run\/recover\/copy-1\/log on helium/],
    [copyRefusals.keepsFailing, 'copy-fails', /the kernel log of helium/],
    [hostCopyRefusals.loginFailed, 'iscsi-login-failed', /journalctl -u recover-copy-1` on helium/],
    [hostCopyRefusals.notMounted, 'disk-not-mounted', /the kernel log of helium/],
    [hostCopyRefusals.notLetGo, 'disk-not-let-go', /reboot helium/],
    [9, 'host-copy-failed', /goes on where it stopped/],
  ])('with exit code %i is %s', (exitCode, code, remedy) => {
    expect(hostCopyFault('photos/library', { exitCode, said: 'why' }, at)).toMatchObject({
      code,
      message: expect.stringMatching(/photos\/library were not copied.*why; the old disk is untouched$/),
      remedy: expect.stringMatching(remedy),
    })
  })
})

describe('the unit that copies on a machine', () => {
  const own = { id: '0123abcd', unit: 'recover-copy-0123abcd', disk: 'k8s-csi-copy-0123abcd' }

  /** A machine and a NAS of the lab, a clone and a new LUN; `latency`: milliseconds that the copying takes. */
  const prepared = async (latency: number) => {
    const nas = await connectedNas(blueprint => {
      blueprint.latency.install = latency
    })
    const { writer, lun } = nas
    const name = cloneName(copy.run, own.id)
    const clone = await writer.clone({ lun: lun.uuid }, { name, description: '' })
    const { sizeBytes } = lun
    const wanted = { name: own.disk, description: lun.claim, sizeBytes, beside: lun.uuid }
    const fresh = await writer.createLun(wanted)
    const person = mintHostKey(Buffer.from('the person'), 'operator')
    const machines = new MachinesEmulator(nas.world, person.publicKey, () => nas.emulator.seam)
    const { lithium } = await machines.listen()
    const { host, close } = await connectWriter({
      ...{ name: 'lithium', address: '127.0.0.1', port: lithium!, user: 'core' },
      privateKey: person.privateKey,
      pins: 'first-use',
    })
    onTestFinished(() => {
      close()
      return machines.close()
    })
    const [from, to] = [
      { ...copy.from, uuid: clone.uuid },
      { ...disk('new'), uuid: fresh.uuid },
    ]
    const notes: string[] = []
    const begin = (wait: Acting['wait']) =>
      copyInUnit(
        host,
        lun.claim,
        own,
        { ...copy, from, to },
        { note: text => notes.push(text), progress: () => {}, signal: new AbortController().signal, wait },
      )
    const patiently: Acting['wait'] = async (_, probe) => {
      for (;;) {
        const found = await probe()
        if (found !== undefined) return found
      }
    }
    return { ...nas, clone, fresh, notes, begin, patiently }
  }

  test('is found again when the line broke, and waited for', async () => {
    const { begin, patiently, notes, emulator, lun, fresh, writer } = await prepared(500)
    await expect(begin(() => Promise.reject(new Error('the line broke')))).rejects.toThrow('the line broke')
    expect(await begin(patiently)).toBeUndefined()
    expect(notes).toEqual(['found the copying of photos/library on lithium that was begun before'])
    const content = (uuid: string) => measureFolder(emulator.seam.filesOf(uuid))
    expect(content(fresh.uuid)).toEqual(content(lun.uuid))
    expect((await writer.targets()).flatMap(t => t.sessions)).toEqual([])
  })

  test('that the NAS lets in nowhere says so, and is begun anew', async () => {
    const { begin, patiently, writer, fresh } = await prepared(0)
    const { id } = (await writer.targets()).find(t => t.mappings.some(m => m.lun === fresh.uuid))!
    await writer.setTargetEnabled(id, false)
    expect(await begin(patiently)).toMatchObject({ code: 'iscsi-login-failed', transient: true })
    expect((await writer.targets()).flatMap(t => t.sessions)).toEqual([])
    await writer.setTargetEnabled(id, true)
    expect(await begin(patiently)).toBeUndefined()
  })

  test('leaves a new disk alone on which somebody else has written', async () => {
    const { begin, patiently, emulator, fresh, lun } = await prepared(0)
    emulator.seam.format(fresh.uuid, 'xfs')
    expect(await begin(patiently)).toMatchObject({ code: 'copy-destination-not-ours' })
    expect(measureFolder(emulator.seam.filesOf(fresh.uuid)).files).toBe(0)
    expect(measureFolder(emulator.seam.filesOf(lun.uuid)).files).toBe(2)
  })
})
