import { spawn } from 'node:child_process'
import { mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, until } from './commands.ts'
import type { Network } from './network.ts'

/** A BMC as a person's recover.yaml names it. */
export interface Bmc {
  address: string
  username: string
  password: string
  close(): Promise<void>
}

const chassis = join(import.meta.dirname, 'chassis.sh')

/**
 * OpenIPMI's simulator as the BMC of one machine: IPMI 2.0 over the network, for which `chassis.sh` presses the buttons.
 * @param folder of the machine, with qemu.args
 * @param uuid of the machine, which its BMC tells
 */
export async function startBmc(network: Network, number: number, folder: string, uuid: string): Promise<Bmc> {
  const address = network.address(number)
  const [username, password] = ['admin', 'not-told']
  run('ip', 'address', 'add', `${address}/24`, 'dev', network.bridge)
  const state = join(folder, 'bmc')
  mkdirSync(state)
  const button = join(folder, 'chassis')
  writeFileSync(button, `#!/bin/sh\nexec ${chassis} ${folder} "$@"\n`, { mode: 0o755 })
  const levels = ['callback', 'user', 'operator', 'admin']
  writeFileSync(
    join(state, 'lan.conf'),
    [
      'name "bmc"',
      'set_working_mc 0x20',
      '  startlan 1',
      `    addr ${address} 623`,
      '    priv_limit admin',
      ...levels.map(level => `    allowed_auths_${level} none md2 md5 straight`),
      `    guid ${uuid.replaceAll('-', '')}`,
      '  endlan',
      `  chassis_control "${button}"`,
      '  user 1 false "" "test" user 10 none md2 md5 straight',
      `  user 2 true "${username}" "${password}" admin 10 none md2 md5 straight`,
      '',
    ].join('\n'),
  )
  writeFileSync(
    join(state, 'sim.emu'),
    [
      'mc_setbmc 0x20',
      'mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr',
      'sel_enable 0x20 1000 0x0a',
      'mc_enable 0x20',
      '',
    ].join('\n'),
  )
  const log = openSync(join(state, 'log'), 'a')
  const simulator = spawn('ipmi_sim', ['-n', '-c', 'lan.conf', '-f', 'sim.emu', '-s', join(state, 'kept')], {
    cwd: state,
    stdio: ['ignore', log, log],
  })
  const ended = new Promise<void>(resolve => simulator.once('exit', () => resolve()))
  await until(
    'the BMC to answer',
    20_000,
    () => run('ipmitool', ...how(address, username, password), 'chassis', 'power', 'status') || undefined,
    { dead: () => (simulator.exitCode === null ? undefined : `ipmi_sim ended; see ${state}/log`) },
  )
  return {
    address,
    username,
    password,
    async close() {
      run('ipmitool', ...how(address, username, password), 'chassis', 'power', 'off')
      simulator.kill('SIGKILL')
      await ended
    },
  }
}

function how(address: string, user: string, password: string): string[] {
  return ['-I', 'lanplus', '-H', address, '-U', user, '-P', password, '-C', '3', '-N', '1', '-R', '3']
}
