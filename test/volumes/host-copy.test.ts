import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { hostCopyRefusals, hostCopyScript } from '../../src/volumes/host-copy.ts'
import { hostCopyFault } from '../../src/volumes/host-copy-faults.ts'
import { copyRefusals } from '../../src/volumes/programs.ts'

const disk = (name: string) => ({ iqn: `iqn.2000-01.com.synology:nas.${name}`, uuid: `uuid-of-${name}` })
const copy = {
  run: '20261128-1',
  portal: '192.0.2.17:3260',
  from: disk('clone'),
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
