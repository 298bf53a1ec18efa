import { spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './commands.ts'
import { inNetworkOf, type Network } from './network.ts'
import { place } from './place.ts'

/** The home's router: gives the machines their addresses, and knows nothing of booting. */
export interface Router {
  log(): string
  close(): Promise<void>
}

/** Starts it, on a machine of its own. */
export async function startRouter(
  network: Network,
  machines: readonly { mac: string; address: string }[],
): Promise<Router> {
  const name = `${network.bridge}-router`
  const address = network.address(2)
  network.plug(name, address, '52:54:00:77:00:02')
  run('ip', '-n', name, 'address', 'add', 'fd77::1/64', 'dev', 'eth0', 'nodad')
  const file = join(place().folder, `${name}.log`)
  const log = openSync(file, 'a')
  const [program, ...within] = inNetworkOf(name)
  const dnsmasq = spawn(
    program,
    [
      ...[...within, 'dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--port=0'],
      ...['--interface=eth0', '--bind-interfaces', '--no-ping', '--dhcp-authoritative', '--user=root'],
      ...[`--dhcp-range=${address},static,255.255.255.0,1h`, `--dhcp-option=option:router,${address}`],
      // iPXE waits 13 s for an IPv6 router that nobody is.
      ...['--enable-ra', '--dhcp-range=fd77::,ra-stateless'],
      ...machines.map(m => `--dhcp-host=${m.mac},${m.address}`),
      ...[`--dhcp-leasefile=${file}.leases`, `--pid-file=${file}.pid`, '--log-dhcp', '--log-facility=-'],
    ],
    { stdio: ['ignore', log, log] },
  )
  const ended = new Promise<void>(resolve => dnsmasq.once('exit', () => resolve()))
  return {
    log: () => readFileSync(file, 'utf8'),
    async close() {
      dnsmasq.kill('SIGKILL')
      await ended
    },
  }
}
