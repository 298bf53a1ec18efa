import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, until } from './commands.ts'
import { type Answering, answering, type Login, makeLogin } from './login.ts'
import { type Network, openNetwork } from './network.ts'
import { place } from './place.ts'
import { startRouter } from './router.ts'
import { makeVirtualMachine, type VirtualMachine } from './virtual-machine.ts'

/** A virtual machine with a kernel of its own that runs from memory: what the kernel under the tests lacks, it has. */
export interface LiveMachine extends Answering {
  network: Network
  machine: VirtualMachine
  login: Login
  close(): Promise<void>
}

/** Boots one and waits until it lets the person in. */
export async function bootLiveMachine(
  name: string,
  number: number,
  disks: { serial: string; megabytes: number }[] = [],
): Promise<LiveMachine> {
  const network = openNetwork()
  const login = makeLogin()
  const machine = makeVirtualMachine(network, { name, number, disks, kernel: lettingIn(login) })
  const router = await startRouter(network, [machine])
  const there = answering(machine, login)
  machine.press('on')
  await until('the installer', 1_500_000, there.look, {
    everyMs: 1000,
    dead: () => (machine.isOn() ? undefined : `the machine went off: ${machine.console().slice(-2000)}`),
  })
  return {
    network,
    machine,
    login,
    ...there,
    async close() {
      machine.press('off')
      await router.close()
      network.close()
    },
  }
}

/** The installer with a config that lets a key in, in the archive behind its initrd. */
function lettingIn(key: Login): { file: string; initrd: string; arguments: string } {
  const { kernel, initrd } = place().installer
  const tree = mkdtempSync(join(place().folder, 'config-'))
  mkdirSync(join(tree, 'usr/share/oem'), { recursive: true })
  writeFileSync(
    join(tree, 'usr/share/oem/config.ign'),
    JSON.stringify({
      ignition: { version: '3.3.0' },
      passwd: { users: [{ name: 'core', sshAuthorizedKeys: [key.public] }] },
    }),
  )
  const both = `${tree}.initrd`
  copyFileSync(initrd, both)
  run('truncate', '--size=%4', both)
  run('sh', '-c', 'cd "$1" && find usr | cpio -o -H newc --quiet >>"$2"', '-', tree, both)
  return { file: kernel, initrd: both, arguments: 'console=ttyS0 quiet' }
}
