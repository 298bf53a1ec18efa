import { Fault } from '../../runbook/fault.ts'
import { cpioArchive } from './cpio.ts'
import type { AnsweredMachine, DhcpAnswers } from './dnsmasq.ts'
import { FileServer, type Offered, type Offering } from './file-server.ts'

/** A machine that is to boot the installer from the network. */
export interface BootOrder {
  mac: string
  /** Files on this computer, verified. */
  kernel: string
  initrd: string
  /** Kernel arguments of the installer. */
  arguments: string
  /** The installer's own Ignition config; holds its host key. */
  config: string
}

/** A machine that may boot from the network until it is disarmed. */
export interface Armed {
  /** Address of its iPXE script. */
  script: string
  /** What it has fetched so far, for messages. */
  fetched(): { script: number; kernel: number; config: number }
  disarm(): Promise<void>
}

/** What serves machines that boot: files over HTTP, and answers to their DHCP. */
export interface Netboot {
  /** Why machines cannot boot from the network here; undefined when they can. */
  lacks(): string | undefined
  arm(order: BootOrder): Promise<Armed>
  /** Serves files below one address: an image with its signature, a CD. `base` is that address, `token` its part that nobody can guess. */
  serve(
    files: Pick<Offering, 'name' | 'content'>[],
    token?: string,
  ): Promise<{ base: string; withdraw(): void }>
  /** Serves a text with a secret in it once; only to a machine with one of these MAC addresses, as far as it is a neighbour. */
  serveOnce(name: string, text: string, macs?: readonly string[]): Promise<Offered>
  /** Ends what a killed process of this run left armed. */
  forget(): Promise<void>
  close(): Promise<void>
}

export interface NetbootOptions {
  address: string
  port: number
  dhcp: DhcpAnswers
  /** Told by tests; the kernel's table of neighbours otherwise. */
  macOf?: (address: string) => Promise<string | undefined>
}

/** Where Flatcar's initrd looks for a config that came with it. */
export const configInInitrd = 'usr/share/oem/config.ign'

/** Opens nothing before something is to be served. */
export function openNetboot({ address, port, dhcp, macOf }: NetbootOptions): Netboot {
  const server = new FileServer(address, port, macOf)
  const machines = new Map<string, AnsweredMachine>()
  // One change of the DHCP server after another.
  let turn: Promise<unknown> = Promise.resolve()
  const answer = () => {
    turn = turn.catch(() => undefined).then(() => dhcp.answer([...machines.values()]))
    return turn
  }
  return {
    lacks: () => dhcp.lacks(),
    async arm(order) {
      if (machines.has(order.mac))
        throw new Fault({
          code: 'mac-twice',
          blame: 'operator',
          message: `two machines of recover.yaml have the MAC address ${order.mac}`,
          remedy: 'Give each host its own (hosts.….mac in recover.yaml)',
        })
      await server.listen()
      const { mac } = order
      const macs = [mac]
      const files = server.offerTree([
        { name: 'kernel', content: { file: order.kernel }, macs },
        { name: 'initrd', content: { file: order.initrd }, macs },
      ])
      const config = cpioArchive([{ path: configInInitrd, content: order.config, mode: 0o600 }])
      let once: Offered | undefined
      let given = 0
      const script = server.offer({
        name: 'boot.ipxe',
        macs,
        content: {
          // Each boot gets the config under an address of its own, which works once.
          text: peer => {
            given += once?.given ?? 0
            once?.withdraw()
            once = server.offer({ name: 'config', content: { text: () => config }, once: true, macs, peer })
            return scriptFor(order.arguments, files[0]!.url, files[1]!.url, once.url)
          },
        },
      })
      machines.set(mac, { mac, script: script.url })
      const disarm = async () => {
        for (const offered of [script, ...files, ...(once ? [once] : [])]) offered.withdraw()
        if (machines.delete(mac)) await answer()
      }
      try {
        await answer()
      } catch (thrown) {
        machines.delete(mac)
        await disarm()
        throw thrown
      }
      return {
        script: script.url,
        fetched: () => ({
          script: script.given,
          kernel: files[0]?.given ?? 0,
          config: given + (once?.given ?? 0),
        }),
        disarm,
      }
    },
    async serve(files, token) {
      await server.listen()
      const offered = server.offerTree(files, token)
      const [first] = files
      return {
        base: offered[0]!.url.slice(0, -(first!.name.length + 1)),
        withdraw: () => {
          for (const one of offered) one.withdraw()
        },
      }
    },
    async serveOnce(name, text, macs) {
      await server.listen()
      return server.offer({ name, content: { text: () => text }, once: true, macs })
    },
    // What this process answers is taken down by whoever put it up: another machine may be booting by it.
    forget: async () => {
      if (machines.size === 0) await dhcp.forget()
    },
    async close() {
      machines.clear()
      await turn.catch(() => undefined)
      await dhcp.answer([]).catch(() => undefined)
      await server.close()
    },
  }
}

/**
 * What iPXE does once it is there. Kernels that are booted by EFI look for their initrds by the names on the command
 * line; others ignore them.
 */
function scriptFor(args: string, kernel: string, initrd: string, config: string): string {
  return [
    '#!ipxe',
    `kernel ${kernel} initrd=installer initrd=config ${args}`,
    `initrd --name installer ${initrd}`,
    `initrd --name config ${config}`,
    'boot',
    '',
  ].join('\n')
}
