import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { Fault } from '../runbook/fault.ts'
import { dataScript, fetchScript, unmountedScript } from './data-script.ts'
import type { Disk } from './disks.ts'
import { factScript, factShell } from './fact-script.ts'
import { type HostFacts, parseFacts } from './facts.ts'
import { k0sMark, k0sScript } from './k0s-script.ts'
import { type K0sState, parseK0s } from './k0s-state.ts'
import { type LocalDataReport, parseFetched, parseLocalData } from './local-data.ts'
import { lockShell } from './lock-script.ts'
import { putShell } from './put-script.ts'
import { withRoot } from './root.ts'
import { type CommandResult, connectSsh, type SshAccess, type SshConnection } from './ssh.ts'
import { isLost } from './ssh-faults.ts'
import { fileSystemsOf, parseUnmounted, type UnmountedData } from './unmounted-data.ts'

/** State of a systemd unit, as `systemctl show` tells it. */
export interface UnitState {
  /** `inactive`, `activating`, `active`, `failed`; `absent` when systemd does not know it. */
  active: string
  result: string
  exitCode: number
}

/** What may be asked of a machine. Every method sends one fixed command that only reads. */
export interface HostReader {
  readonly name: string
  /** The host key that the machine showed. */
  readonly hostKey: string
  facts(signal?: AbortSignal): Promise<HostFacts>
  /**
   * Data on the machine's own disks, also in the directories that are named. Takes up to half a minute where there is
   * much of it.
   */
  localData(paths: string[], facts: HostFacts, signal?: AbortSignal): Promise<LocalDataReport>
  /**
   * What lies in file systems of a disk that are not mounted, looked into from a system in the machine's memory. Takes up
   * to a minute and a half for each.
   */
  unmountedData(paths: string[], disk: Disk, facts: HostFacts, signal?: AbortSignal): Promise<UnmountedData>
  /** Whole files, byte by byte; those that are not there are left out. */
  fetchFiles(paths: string[], signal?: AbortSignal): Promise<Map<string, Buffer>>
  /** A file's text, or undefined when it is not there. */
  readFile(path: string, signal?: AbortSignal): Promise<string | undefined>
  /** The last bytes of a file that may be long; undefined when it is not there. */
  readTail(path: string, bytes: number, signal?: AbortSignal): Promise<string | undefined>
  unit(name: string, signal?: AbortSignal): Promise<UnitState>
  /** Boot entries of an EFI firmware, as `efibootmgr -v` prints them. */
  efiBootEntries(signal?: AbortSignal): Promise<string>
  /** Whether the machine gets an answer from an HTTP address (HEAD). */
  reaches(url: string, signal?: AbortSignal): Promise<boolean>
  /** What the machine gets from an HTTP address by curl or wget; undefined where it gets nothing. */
  fetch(url: string, signal?: AbortSignal): Promise<string | undefined>
  /** Bytes that can still be written below a folder. */
  room(folder: string, signal?: AbortSignal): Promise<number>
  /** k0s there, and whether the API at an address is reached from there. Takes up to half a minute where it hangs. */
  k0s(ask: { dataDir: string; api?: string }, signal?: AbortSignal): Promise<K0sState>
}

/** What changes a machine. */
export interface HostWriter extends HostReader {
  /**
   * Writes a file, whole or not at all. One of this computer goes over as a stream; what stood there before it goes
   * first.
   */
  putFile(
    path: string,
    content: string | Buffer | { file: string },
    mode: number,
    signal?: AbortSignal,
  ): Promise<void>
  /**
   * Starts a script as a systemd unit that outlives our connection. A unit of that name that is there already is left
   * alone: it is found again, not started twice.
   */
  startUnit(name: string, script: string, signal?: AbortSignal): Promise<void>
  /** Forgets a unit that ended, so that its name can be used again. */
  forgetUnit(name: string, signal?: AbortSignal): Promise<void>
  /** Orders which entry of its EFI firmware is booted next, once. */
  bootNextEfi(entry: string, signal?: AbortSignal): Promise<void>
  /** Orders a reboot and comes back when the line has dropped. */
  reboot(signal?: AbortSignal): Promise<void>
  /** Writes a lock where there is none. Returns whose lock is there afterwards. */
  placeLock(text: string, signal?: AbortSignal): Promise<string>
  dropLock(signal?: AbortSignal): Promise<void>
  /** Removes half uploads that {@link HostReader.k0s} has found, and nothing else. */
  dropLeftovers(paths: readonly string[], signal?: AbortSignal): Promise<void>
  /** Removes a control plane's data, and nothing else, from k0s's data folder; what is mounted there stays. */
  dropControlPlaneData(dataDir: string, signal?: AbortSignal): Promise<void>
  /** Writes down which run found no control plane's data on it. */
  markK0s(run: string, signal?: AbortSignal): Promise<void>
  stopUnits(names: string[], signal?: AbortSignal): Promise<void>
  startUnits(names: string[], signal?: AbortSignal): Promise<void>
}

/** How long a machine that was told to reboot may take to end our line: it stops its services first. */
const lastBreathMs = 20_000

/** Where a run marks a machine as being worked on; gone with the next boot. */
export const lockPath = '/run/recover.lock'

export interface HostConnection<H extends HostReader> {
  host: H
  close(): void
}

/** Opens a line for looking. */
export async function connectReader(
  access: SshAccess,
  signal?: AbortSignal,
): Promise<HostConnection<HostReader>> {
  const ssh = await connectSsh(access, signal)
  return { host: hostReader(access, ssh), close: () => ssh.close() }
}

/** Opens a line for changing. */
export async function connectWriter(
  access: SshAccess,
  signal?: AbortSignal,
): Promise<HostConnection<HostWriter>> {
  const ssh = await connectSsh(access, signal)
  return { host: hostWriter(access, ssh), close: () => ssh.close() }
}

/** A handle for looking, on a line that is open. */
export function hostReader(access: SshAccess, ssh: SshConnection): HostReader {
  return readerOn(access.name, withRoot(access, ssh))
}

/** A handle for changing, on a line that is open. */
export function hostWriter(access: SshAccess, ssh: SshConnection): HostWriter {
  const line = withRoot(access, ssh)
  return { ...readerOn(access.name, line), ...changesOn(access.name, line) }
}

/** Quotes a word for a POSIX shell. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

function readerOn(name: string, ssh: SshConnection): HostReader {
  const read = async (command: string, path: string, signal: AbortSignal | undefined) => {
    const result = await ssh.run(`sudo -n ${command}`, signal ? { signal } : {})
    if (result.code === 0) return result.stdout
    if (/No such file/.test(result.stderr)) return undefined
    throw refused(name, `read ${path}`, result)
  }
  return {
    name,
    hostKey: ssh.hostKey,
    async facts(signal) {
      const { stdout } = await ssh.run(`sh -c ${quote(factShell)}`, {
        stdin: factScript,
        ...(signal ? { signal } : {}),
      })
      return parseFacts(stdout, name)
    },
    async localData(paths, facts, signal) {
      const { stdout } = await ssh.run(`sh -c ${quote(factShell)} sh ${paths.map(quote).join(' ')}`.trim(), {
        stdin: dataScript,
        ...(signal ? { signal } : {}),
      })
      return parseLocalData(stdout, facts, name)
    },
    async unmountedData(paths, disk, facts, signal) {
      const given = [...fileSystemsOf(disk), '--', ...paths].map(quote).join(' ')
      const { stdout } = await ssh.run(`sh -c ${quote(factShell)} sh ${given}`, {
        stdin: unmountedScript,
        timeoutMs: 10 * 60_000,
        ...(signal ? { signal } : {}),
      })
      return parseUnmounted(stdout, disk, facts, name)
    },
    async fetchFiles(paths, signal) {
      const { stdout } = await ssh.run(`sh -c ${quote(factShell)} sh ${paths.map(quote).join(' ')}`.trim(), {
        stdin: fetchScript,
        timeoutMs: 10 * 60_000,
        ...(signal ? { signal } : {}),
      })
      return parseFetched(stdout, name)
    },
    readFile: (path, signal) => read(`cat -- ${quote(path)}`, path, signal),
    readTail: (path, bytes, signal) => read(`tail -c ${bytes} -- ${quote(path)}`, path, signal),
    async k0s({ dataDir, api }, signal) {
      const given = [dataDir, api ?? ''].map(quote).join(' ')
      const { stdout } = await ssh.run(`sh -c ${quote(factShell)} sh ${given}`, {
        stdin: k0sScript,
        timeoutMs: 2 * 60_000,
        ...(signal ? { signal } : {}),
      })
      return parseK0s(stdout, name, api !== undefined)
    },
    async efiBootEntries(signal) {
      const result = await ssh.run('sudo -n efibootmgr -v', signal ? { signal } : {})
      if (result.code !== 0) throw refused(name, 'list the boot entries of its firmware', result)
      return result.stdout
    },
    async reaches(url, signal) {
      const result = await ssh.run(
        `curl -fsSI -o /dev/null --max-time 10 ${quote(url)} || wget -q --spider -T 10 -t 1 ${quote(url)}`,
        signal ? { signal } : {},
      )
      return result.code === 0
    },
    async fetch(url, signal) {
      const result = await ssh.run(
        `curl -fsS --max-time 10 ${quote(url)} || wget -qO- -T 10 -t 1 ${quote(url)}`,
        signal ? { signal } : {},
      )
      return result.code === 0 ? result.stdout : undefined
    },
    async room(folder, signal) {
      const result = await ssh.run(`df -Pk -- ${quote(folder)}`, signal ? { signal } : {})
      // POSIX: Filesystem, 1024-blocks, Used, Available, Capacity, Mounted on; a name may have blanks.
      const free = /^.*?\s(\d+)\s+(\d+)\s+(\d+)\s+\d+%\s/m.exec(result.stdout)?.[3]
      if (result.code !== 0 || free === undefined) throw refused(name, `tell what room ${folder} has`, result)
      return Number(free) * 1024
    },
    async unit(unit, signal) {
      const result = await ssh.run(
        `systemctl show -p LoadState -p ActiveState -p Job -p Result -p ExecMainStatus -- ${quote(`${unit}.service`)}`,
        signal ? { signal } : {},
      )
      if (result.code !== 0) throw refused(name, `ask for unit ${unit}`, result)
      const value = Object.fromEntries(result.stdout.split('\n').map(line => line.split('=')))
      // The order to start it has a number as long as nobody has come to it; nothing has ended then.
      const begun = value.ActiveState === 'inactive' && Number(value.Job) > 0
      return {
        active:
          value.LoadState === 'not-found' ? 'absent' : begun ? 'activating' : (value.ActiveState ?? 'absent'),
        result: value.Result ?? '',
        exitCode: Number(value.ExecMainStatus ?? 0),
      }
    },
  }
}

function changesOn(name: string, ssh: SshConnection): Omit<HostWriter, keyof HostReader> {
  const must = async (
    what: string,
    command: string,
    signal?: AbortSignal,
    stdin?: string | Buffer | Readable,
  ) => {
    const result = await ssh.run(command, {
      // Half a gigabyte takes its time over a slow line.
      timeoutMs: stdin instanceof Readable ? 2 * 3_600_000 : 15 * 60_000,
      ...(signal ? { signal } : {}),
      ...(stdin === undefined ? {} : { stdin }),
    })
    if (result.code !== 0) throw refused(name, what, result)
    return result
  }
  const unit = readerOn(name, ssh).unit
  return {
    async putFile(path, content, mode, signal) {
      const octal = mode.toString(8).padStart(4, '0')
      const put = (bytes: number, given: string | Buffer | Readable, anew = '') =>
        must(
          `write ${path}`,
          `sudo -n sh -c ${quote(putShell)} sh ${bytes} ${quote(path)} ${octal} ${anew}`.trim(),
          signal,
          given,
        )
      if (typeof content === 'object' && 'file' in content)
        await put(
          (await stat(content.file)).size,
          createReadStream(content.file, { highWaterMark: 1 << 18 }),
          'anew',
        )
      else await put(Buffer.byteLength(content), content)
    },
    async startUnit(unitName, script, signal) {
      // systemd itself puts variables in before there is a shell; to it, $$ is one $ (systemd.service(5)).
      if ((await unit(unitName, signal)).active !== 'absent') return
      await must(
        `start unit ${unitName}`,
        `sudo -n systemd-run --unit=${quote(unitName)} --property=Type=oneshot --property=RemainAfterExit=yes --no-block -- sh -c ${quote(script.replaceAll('$', '$$$$'))}`,
        signal,
      )
    },
    async forgetUnit(unitName, signal) {
      const state = await unit(unitName, signal)
      if (state.active === 'absent') return
      const forget = (verb: 'stop' | 'reset-failed') =>
        must(`forget unit ${unitName}`, `sudo -n systemctl ${verb} ${quote(`${unitName}.service`)}`, signal)
      if (state.active !== 'failed') await forget('stop')
      // One that was stopped at its work counts as failed.
      if ((await unit(unitName, signal)).active === 'failed') await forget('reset-failed')
    },
    async bootNextEfi(entry, signal) {
      await must('order its next boot', `sudo -n efibootmgr --bootnext ${quote(entry)}`, signal)
    },
    async reboot(signal) {
      try {
        const options = { timeoutMs: 30_000, ...(signal ? { signal } : {}) }
        const result = await ssh.run('sudo -n systemctl reboot', options)
        if (result.code !== 0) throw refused(name, 'reboot', result)
      } catch (thrown) {
        // A machine that goes down at once takes the answer with it.
        if (!isLost(thrown)) throw thrown
      }
      await Promise.race([ssh.closed, new Promise(resolve => setTimeout(resolve, lastBreathMs).unref())])
      ssh.close()
    },
    async placeLock(text, signal) {
      const placed = await ssh.run(
        `sudo -n sh -c ${quote(lockShell)} sh ${quote(text)} ${lockPath}`,
        signal ? { signal } : {},
      )
      const there = await readerOn(name, ssh).readFile(lockPath, signal)
      if (there === undefined) throw refused(name, 'be marked as being worked on', placed)
      return there
    },
    async dropLock(signal) {
      await must('drop the lock', `sudo -n rm -f -- ${quote(lockPath)}`, signal)
    },
    async dropLeftovers(paths, signal) {
      for (const path of paths.filter(isLeftover))
        await must(`remove ${path}`, `sudo -n rm -f -- ${quote(path)}`, signal)
    },
    async dropControlPlaneData(dataDir, signal) {
      // What `k0s backup` keeps, by its names; an empty path would be the whole system's.
      const parts = ['db', 'etcd', 'pki', 'manifests', 'images', 'helmhome'].map(p =>
        quote(`${dataDir}/${p}`),
      )
      await must(
        `remove the control plane’s data in ${dataDir}`,
        `sudo -n rm -rf --one-file-system -- ${parts.join(' ')}`,
        signal,
      )
    },
    async markK0s(run, signal) {
      await must(
        'note whose Kubernetes it carries',
        `sudo -n install -D -m 0644 /dev/stdin ${k0sMark}`,
        signal,
        run,
      )
    },
    async stopUnits(names, signal) {
      await must(`stop ${names.join(', ')}`, `sudo -n systemctl stop ${names.map(quote).join(' ')}`, signal)
    },
    async startUnits(names, signal) {
      await must(`start ${names.join(', ')}`, `sudo -n systemctl start ${names.map(quote).join(' ')}`, signal)
    },
  }
}

/** What k0sctl uploads: k0s itself under a name for the moment, and an archive, into a folder with six letters for a name. */
function isLeftover(path: string): boolean {
  return /^\/(?:opt|usr\/local)\/bin\/\.upload-\w+$|^\/tmp\/\w{6}\/(?:\.upload-\w+|k0s_backup\.tar\.gz)$/.test(
    path,
  )
}

function refused(host: string, what: string, result: CommandResult): Fault {
  const said = result.stderr.trim().split('\n').slice(-3).join(' / ')
  return new Fault({
    code: 'host-refused',
    blame: 'host',
    message: `${host} could not ${what} (exit ${result.code}${said ? `: ${said}` : ''})`,
    remedy: 'Log in to it and look; when that is mended, run `recover resume`',
  })
}
