import { request } from 'node:https'
import { onlyLoopback } from '../isolation.ts'

/**
 * A stand-in for the program ipmitool: the same arguments, output and exit codes, as far as recover uses them. It speaks
 * to the lab's BMC by Redfish, since a rehearsal must do with Node alone; what it prints is what ipmitool 1.8.19 printed
 * against openipmi's ipmi_sim, and both are held to one contract.
 */

type Resource = Record<string, unknown>

/** How the program ends. */
class Ended extends Error {
  readonly stderr: string
  constructor(stderr: string) {
    super(stderr)
    this.stderr = stderr
  }
}

const noSession = 'Error: Unable to establish IPMI v2 / RMCP+ session\n'
const devices: Record<string, string> = { pxe: 'Pxe', cdrom: 'Cd', disk: 'Hdd', none: 'None' }
const selectors: Record<string, string> = {
  Pxe: 'Force PXE',
  Cd: 'Force Boot from CD/DVD',
  Hdd: 'Force Boot from default Hard-Drive',
}

async function main(argv: string[]): Promise<string> {
  onlyLoopback()
  const options = new Map<string, string>()
  const flags = new Set<string>()
  let i = 0
  for (; argv[i]?.startsWith('-'); i += 1) {
    const name = argv[i] ?? ''
    if (/^-[IHpUCNR]$/.test(name)) {
      i += 1
      options.set(name, argv[i] ?? '')
    } else flags.add(name)
  }
  const command = argv.slice(i)
  if (options.get('-I') !== 'lanplus' || !flags.has('-E'))
    throw new Ended('the lab knows `-I lanplus … -E` only\n')
  const password = process.env.IPMI_PASSWORD ?? process.env.IPMITOOL_PASSWORD ?? ''
  if (password.length > 20) throw new Ended('lanplus: password is longer than 20 bytes.\n')
  const verbose = flags.has('-v')
  const bmc = new Bmc(
    options.get('-H') ?? '',
    Number(options.get('-p') ?? 623),
    options.get('-U') ?? '',
    password,
  )
  const root = await bmc.ask('GET', '/redfish/v1/')
  if (root === undefined)
    throw new Ended(
      `${verbose ? 'Get Auth Capabilities error\nError issuing Get Channel Authentication Capabilities request\n' : ''}${noSession}`,
    )
  const suites = (root.body.Oem as { Lab: { CipherSuites: number[] } }).Lab.CipherSuites
  if (!suites.includes(Number(options.get('-C') ?? 17)))
    throw new Ended(
      `Error in open session response message : invalid authentication algorithm\n\n${noSession}`,
    )
  return run(command, verbose, bmc)
}

async function run(command: string[], verbose: boolean, bmc: Bmc): Promise<string> {
  const path = '/redfish/v1/Systems/1'
  const system = await bmc.ask('GET', path)
  if (system?.status === 401) throw new Ended(`${verbose ? '> RAKP 2 HMAC is invalid\n' : ''}${noSession}`)
  if (system?.status !== 200) throw new Ended(noSession)
  const { body } = system
  const on = body.PowerState === 'On'
  const reset = async (said: string, ResetType: string) => {
    const answer = await bmc.ask('POST', `${path}/Actions/ComputerSystem.Reset`, { ResetType })
    // To be told what is so already is no failure in IPMI.
    if (answer && (answer.status < 300 || answer.status === 409)) return `Chassis Power Control: ${said}\n`
    throw new Ended(`Set Chassis Power Control to ${said} failed: Insufficient privilege level\n`)
  }
  const [first, second, ...rest] = command
  switch (`${first} ${second}`) {
    case 'chassis power':
      if (rest[0] === 'status') return `Chassis Power is ${on ? 'on' : 'off'}\n`
      if (rest[0] === 'on') return reset('Up/On', 'On')
      if (rest[0] === 'off') return reset('Down/Off', 'ForceOff')
      if (rest[0] === 'soft') return reset('Soft', 'GracefulShutdown')
      if (rest[0] === 'cycle' || rest[0] === 'reset') {
        const said = rest[0] === 'cycle' ? 'Cycle' : 'Reset'
        if (on) return reset(said, 'ForceRestart')
        throw new Ended(
          `Set Chassis Power Control to ${said} failed: Command not supported in present state\n`,
        )
      }
      break
    case 'chassis bootdev': {
      const target = devices[rest[0] ?? '']
      if (target === undefined) break
      const answer = await bmc.ask('PATCH', path, {
        Boot: {
          BootSourceOverrideEnabled: target === 'None' ? 'Disabled' : 'Once',
          BootSourceOverrideTarget: target,
        },
      })
      if (answer && answer.status < 300) return `Set Boot Device to ${rest[0]}\n`
      throw new Ended('Set Chassis Boot Parameter 5 failed: Unspecified error\n')
    }
    case 'chassis bootparam':
      if (rest.join(' ') === 'get 5') return bootParameter(body.Boot as Resource)
      break
    case 'raw 0x00':
      return '\n'
    case 'mc guid': {
      // As the specification has it: all bytes of the system's UUID in reverse.
      const hex = String(body.UUID ?? '').replaceAll('-', '')
      return `System GUID   : ${(hex.match(/../g) ?? []).reverse().join('').toUpperCase() || '0'.repeat(32)}\n`
    }
    case 'fru print': {
      const lines: [string, unknown][] = [
        ['Product Manufacturer', body.Manufacturer],
        ['Product Name', body.Model],
        ['Product Serial', body.SerialNumber],
      ]
      const told = lines.filter(([, value]) => value !== undefined)
      return `FRU Device Description : Builtin FRU Device (ID 0)\n${told.map(([name, value]) => ` ${name.padEnd(21)} : ${value}\n`).join('')}\n`
    }
  }
  throw new Ended(`Invalid command: ${command.join(' ')}\n`)
}

function bootParameter(boot: Resource): string {
  const target = String(boot.BootSourceOverrideTarget)
  const ordered = boot.BootSourceOverrideEnabled !== 'Disabled' && selectors[target] !== undefined
  return `Boot parameter version: 1
Boot parameter 5 is valid/unlocked
Boot parameter data: ${ordered ? 'a0' : '00'}00000000
 Boot Flags :
   - Boot Flag ${ordered ? 'Valid' : 'Invalid'}
   - Options apply to only next boot
   - BIOS ${ordered ? 'EFI boot ' : 'PC Compatible (legacy) boot '}
   - Boot Device Selector : ${ordered ? selectors[target] : 'No override'}
`
}

/** The lab's BMC. */
class Bmc {
  private readonly to: { host: string; port: number; auth: string }
  constructor(host: string, port: number, username: string, password: string) {
    this.to = { host, port, auth: `${username}:${password}` }
  }

  /** Undefined when nothing answers. */
  ask(
    method: 'GET' | 'POST' | 'PATCH',
    path: string,
    body?: object,
  ): Promise<{ status: number; body: Resource } | undefined> {
    return new Promise(resolve => {
      const outgoing = request(
        // The lab's own, on loopback, by its own authority: the program that it stands for checks none either.
        { ...this.to, method, path, rejectUnauthorized: false, headers: { 'if-match': '*' } },
        response => {
          let text = ''
          response.on('data', chunk => {
            text += chunk
          })
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              body: text === '' ? {} : (JSON.parse(text) as Resource),
            }),
          )
        },
      )
      outgoing.on('error', () => resolve(undefined))
      outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }
}

main(process.argv.slice(2)).then(
  stdout => {
    process.stdout.write(stdout)
  },
  (error: unknown) => {
    process.stderr.write(error instanceof Ended ? error.stderr : `${String(error)}\n`)
    process.exitCode = 1
  },
)
