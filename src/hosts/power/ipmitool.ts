import { execa } from 'execa'
import { Fault } from '../../runbook/fault.ts'
import { loginRefused, refused, unreachable } from './faults.ts'
import type { Pace } from './switching.ts'

export interface IpmiAccess extends Pace {
  /** How messages call it: `the BMC of lithium (192.0.2.111, IPMI)`. */
  where: string
  address: string
  port: number
  username: () => Promise<string>
  password: () => Promise<string>
  /** Cipher suite; 3, then 17 where nothing is said. */
  cipher?: 3 | 17 | undefined
  /** What the machine's firmware is; uefi where nothing is said. */
  firmware?: 'uefi' | 'bios' | undefined
  /** The program and what stands before its arguments. */
  command: readonly string[]
  /** Most milliseconds for one command, whatever ipmitool thinks of it. */
  commandTimeoutMs?: number | undefined
}

/** The program ipmitool, told where the BMC is. */
export interface Ipmitool {
  /**
   * One command; its output. With `may fail`, a command that this BMC does not know gives what was printed.
   * @param what what it is for: `refused to …`
   */
  run(args: string[], what: string, signal: AbortSignal, failing?: 'may fail'): Promise<string>
}

// Three tries of three seconds: BMCs lose datagrams, and the first asks for the time it takes to wake up.
const retries = ['-N', '3', '-R', '3']
const commandTimeoutMs = 40_000

/** Tries the cipher suites in turn and keeps the one that worked; a refused login is not repeated. */
export function openIpmitool(access: IpmiAccess): Ipmitool {
  const { where } = access
  let suites: (3 | 17)[] = access.cipher === undefined ? [3, 17] : [access.cipher]
  let locked: Fault | undefined

  const start = async (suite: number, args: string[], signal: AbortSignal) => {
    const [program = 'ipmitool', ...before] = access.command
    const username = await access.username()
    const password = await access.password()
    signal.throwIfAborted()
    const fixed = ['-I', 'lanplus', '-H', access.address, '-p', String(access.port), '-U', username]
    // -v: only then it says whether nobody answered or the password is wrong.
    const all = [...before, ...fixed, '-E', '-C', String(suite), ...retries, '-v', ...args]
    const child = execa(program, all, {
      env: {
        // Never among the arguments, which everybody on this machine can read.
        IPMI_PASSWORD: password,
        IPMITOOL_PASSWORD: undefined,
        LC_ALL: 'C',
        ...Object.fromEntries(
          Object.keys(process.env)
            .filter(name => name.startsWith('RECOVER_SECRET_'))
            .map(name => [name, undefined]),
        ),
      },
      // A group of its own: what it started ends with it, and Ctrl-C is for us to hear.
      detached: true,
      stdin: 'ignore',
      reject: false,
    })
    let late = false
    const end = () => {
      if (child.pid !== undefined)
        try {
          process.kill(-child.pid, 'SIGKILL')
        } catch {
          // It has ended meanwhile.
        }
    }
    signal.addEventListener('abort', end)
    const timer = setTimeout(() => {
      late = true
      end()
    }, access.commandTimeoutMs ?? commandTimeoutMs)
    try {
      const result = await child
      signal.throwIfAborted()
      if (result.exitCode === undefined && !late && /ENOENT|EACCES/.test(result.message ?? ''))
        throw missing(program)
      return {
        code: result.exitCode,
        stdout: result.stdout,
        // Only what it says of itself; it never prints the password, and a stranger in its place must not either.
        stderr: result.stderr.replaceAll(password, '…'),
        late,
      }
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
    }
  }

  return {
    async run(args, what, signal, failing) {
      if (locked) throw locked
      for (const suite of [...suites]) {
        const { code, stdout, stderr, late } = await start(suite, args, signal)
        if (code === 0) {
          suites = [suite]
          return stdout
        }
        if (late) throw unreachable(where, new Error('ipmitool did not end in time'))
        if (!/Unable to establish IPMI v2|password is longer|Unable to establish LAN session/.test(stderr)) {
          suites = [suite]
          if (failing) return stdout
          throw refused(where, what, lastOf(stderr || stdout))
        }
        const suiteRefused =
          /invalid (?:authentication|integrity|confidentiality) algorithm|no (?:matching )?cipher suite|Cipher suite/i.test(
            stderr,
          )
        if (suiteRefused && suite !== suites.at(-1)) continue
        if (suiteRefused)
          throw refused(
            where,
            'open a session',
            `it accepts none of the cipher suites ${suites.join(', ')} (hosts.NAME.power.cipher)`,
          )
        if (/RAKP|unauthorized|password is longer|insufficient privilege|invalid role/i.test(stderr)) {
          locked = loginRefused(where, lastOf(stderr.replace(/.*Unable to establish.*/g, '')))
          throw locked
        }
        throw unreachable(where, new Error(lastOf(stderr)))
      }
      throw unreachable(where, new Error('no cipher suite was tried'))
    },
  }
}

function lastOf(text: string): string {
  return text.trim().split('\n').slice(-2).join(' / ').slice(0, 300)
}

function missing(program: string): Fault {
  return new Fault({
    code: 'power-program-missing',
    blame: 'operator',
    message: `the program ${program}, by which IPMI is spoken, is not here`,
    remedy: 'Install it (the package is called ipmitool on Debian, Ubuntu, Fedora, Arch and Homebrew)',
  })
}
