import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { run, running, until } from './commands.ts'
import { bootLiveMachine, type LiveMachine } from './live-machine.ts'
import { place } from './place.ts'

/** A virtual machine whose kernel does with a lab's real disks what the lab's nodes would do. */
export interface DiskNode extends LiveMachine {
  /** Runs a shell's script there, from its standard input; quick, since it goes by a line that is up already. */
  command: string[]
  /** Puts the files of a folder into a folder there. */
  put(from: string, to: string): Promise<unknown>
}

/** Boots one that finds the NAS at an address of its home. */
export async function bootDiskNode(name: string, number: number, nas: string): Promise<DiskNode> {
  const live = await bootLiveMachine(name, number)
  run('ip', 'address', 'add', `${nas}/32`, 'dev', live.network.bridge)
  await live.shell(
    `ip route add ${nas}/32 dev "$(ip -o route get ${live.network.own} | sed 's/.* dev \\([^ ]*\\).*/\\1/')"`,
  )
  const control = join(mkdtempSync(join(place().folder, 'line-')), 'control')
  const options = [
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'LogLevel=ERROR',
  ]
  const person = `core@${live.machine.address}`
  const line: ChildProcess = spawn(
    'ssh',
    ['-i', live.login.file, ...options, '-M', '-N', '-S', control, person],
    {
      stdio: 'ignore',
    },
  )
  const command = ['ssh', '-S', control, ...options, '-o', 'ControlMaster=no', person, 'sudo sh']
  await until(
    'the line to the machine',
    300_000,
    () => run('ssh', '-S', control, '-O', 'check', person) || true,
  )
  return {
    ...live,
    command,
    put: (from, to) =>
      running(
        'sh',
        [
          ...['-c', 'tar -cf - -C "$1" . | { shift; exec "$@"; }', '-', from],
          ...command.slice(0, -1),
          `sudo sh -c 'mkdir -p ${to} && tar -xf - -C ${to}'`,
        ],
        300_000,
      ),
    async close() {
      line.kill()
      await live.close()
    },
  }
}
