import { describe, expect, test } from 'vitest'
import { withRoot } from '../../src/hosts/root.ts'
import type { CommandResult, SshAccess, SshConnection } from '../../src/hosts/ssh.ts'

const access = (user: string): SshAccess => ({
  name: 'lithium',
  address: '192.0.2.11',
  port: 22,
  user,
  pins: [],
})

/** A machine whose sudo says what it says, and whose login has this user number. */
function machine(sudo: { code: number; says: string }, uid = 1000) {
  const ran: string[] = []
  const ssh: SshConnection = {
    hostKey: '',
    closed: new Promise(() => {}),
    close() {},
    async run(command): Promise<CommandResult> {
      ran.push(command)
      if (command === 'id -u') return { code: 0, stdout: `${uid}\n`, stderr: '' }
      if (command.startsWith('sudo ')) return { code: sudo.code, stdout: '', stderr: sudo.says }
      return { code: 0, stdout: 'as root', stderr: '' }
    },
  }
  return { ssh, ran }
}

describe('what needs root', () => {
  test('goes through sudo, without asking first', async () => {
    const { ssh, ran } = machine({ code: 0, says: '' })
    await withRoot(access('core'), ssh).run('sudo -n cat /x')
    expect(ran).toEqual(['sudo -n cat /x'])
  })

  test('goes without sudo when root is logged in, by name or by number', async () => {
    const named = machine({ code: 0, says: '' })
    await withRoot(access('root'), named.ssh).run('sudo -n cat /x')
    expect(named.ran).toEqual(['cat /x'])
    const toor = machine({ code: 127, says: 'sh: 1: sudo: not found\n' }, 0)
    const line = withRoot(access('toor'), toor.ssh)
    expect((await line.run('sudo -n cat /x')).stdout).toBe('as root')
    await line.run('sudo -n cat /y')
    expect(toor.ran).toEqual(['sudo -n cat /x', 'id -u', 'cat /x', 'cat /y'])
  })

  test.each([
    'sudo: a password is required\n',
    'sudo: ein Passwort ist notwendig\n',
    'sh: 1: sudo: not found\n',
    'bash: line 1: sudo: command not found\n',
  ])('is refused with a way out when the machine says %j', async says => {
    const { ssh } = machine({ code: 1, says })
    await expect(withRoot(access('core'), ssh).run('sudo -n cat /x')).rejects.toMatchObject({
      code: 'host-no-root',
      blame: 'operator',
      message: expect.stringContaining('core'),
    })
  })

  test('a command that fails by itself is no matter of sudo', async () => {
    const { ssh, ran } = machine({ code: 1, says: 'cat: /x: No such file or directory\n' })
    expect((await withRoot(access('core'), ssh).run('sudo -n cat /x')).code).toBe(1)
    expect(ran).toHaveLength(1)
  })
})
