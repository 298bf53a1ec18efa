import { mkdirSync, mkdtempSync, statSync, symlinkSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostFacts } from '../../../src/hosts/facts.ts'
import type { JournalRecord } from '../../../src/runbook/replay.ts'
import type { Switch } from './bmc.ts'
import { run, until } from './commands.ts'
import { writeInto } from './guest-root.ts'
import type { Home, Started } from './home.ts'
import { type Answering, answering, type Login, makeLogin } from './login.ts'
import { type Network, openNetwork } from './network.ts'
import { place } from './place.ts'
import { type Router, startRouter } from './router.ts'
import { makeVirtualMachine, type VirtualMachine } from './virtual-machine.ts'

/** Milliseconds. */
export const minutes = 60_000

/** A machine that is off, with a blank disk and one that holds a family's files, in a network with a router. */
export interface BareMachine extends Answering {
  network: Network
  machine: VirtualMachine
  login: Login
  /** Gives it somebody who switches it, until it is closed. */
  attach(start: (network: Network, machine: VirtualMachine) => Switch | Promise<Switch>): Promise<Switch>
  /** Puts a file system with these files on the named disk, as a system has left it that nobody starts any more. */
  leave(files: Record<string, string>): void
  /** Bytes of the named disk that were written so far. */
  written(): number
  /** Pulls its network cable out, for longer than a silent line is believed in, and puts it back. */
  cutLine(): Promise<void>
  close(): Promise<void>
}

/** Makes one; its named disk is the first. */
export async function makeBareMachine(
  name: string,
  { firmware = 'bios' }: { firmware?: VirtualMachine['firmware'] } = {},
): Promise<BareMachine> {
  const network = openNetwork()
  const login = makeLogin()
  const machine = makeVirtualMachine(network, {
    name,
    number: 21,
    firmware,
    disks: [
      { serial: 'NAMED', megabytes: 600 },
      { serial: 'OTHER', megabytes: 64 },
    ],
  })
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-L', 'family', machine.disks[1]!.file)
  const router: Router = await startRouter(network, [machine])
  const switches: Switch[] = []
  return {
    network,
    machine,
    login,
    async attach(start) {
      const by = await start(network, machine)
      switches.push(by)
      return by
    },
    ...answering(machine, login),
    leave(files) {
      const folder = mkdtempSync(join(place().folder, 'left-'))
      for (const name of ['dev', 'etc', 'opt', 'proc', 'usr', 'var']) mkdirSync(join(folder, name))
      for (const name of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(folder, name))
      writeInto(folder, files)
      const { file } = machine.disks[0]!
      truncateSync(file, 0)
      truncateSync(file, 600 << 20)
      run('mke2fs', '-q', '-F', '-t', 'ext4', '-L', 'old', '-d', folder, file)
    },
    written: () => statSync(machine.disks[0]!.file).blocks * 512,
    async cutLine() {
      machine.link('down')
      await sleep(50_000)
      machine.link('up')
    },
    async close() {
      machine.press('off')
      for (const by of switches) await by.close()
      await router.close()
      network.close()
    },
  }
}

/** The record that says that the new system was proven. */
export function proven(home: Home): JournalRecord | undefined {
  return home.journal().find(r => r.kind === 'checkpoint' && r.step.startsWith('hosts/install-flatcar'))
}

/** What the newest run noted, in order. */
export function notes(home: Home): string[] {
  return home.journal().flatMap(r => (r.kind === 'note' ? [r.text] : []))
}

/** Waits until the new system is proven and the run has ended well; gives the facts of the system. */
export async function installed(bare: BareMachine, home: Home, program: Started): Promise<HostFacts> {
  await during('the system to be proven', program, () => proven(home), 25 * minutes)
  const code = await program.ended
  if (code !== 0) throw new Error(`recover ended with ${code}:\n${program.said().slice(-6000)}`)
  return bare.look()
}

/** Waits for a part of a run, and ends at once when the run does. */
export async function during(
  what: string,
  program: Started,
  probe: () => unknown,
  limitMs: number,
): Promise<void> {
  let end: number | string | undefined
  void program.ended.then(code => {
    end = code
  })
  await until(what, limitMs, () => probe() || undefined, {
    everyMs: 500,
    dead: () => (end === undefined ? undefined : `recover ended (${end}):\n${program.said().slice(-6000)}`),
  })
}
