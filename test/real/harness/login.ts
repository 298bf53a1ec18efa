import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HostFacts } from '../../../src/hosts/facts.ts'
import { connectReader, connectWriter, type HostWriter } from '../../../src/hosts/host.ts'
import { run, running, runWith } from './commands.ts'
import { place } from './place.ts'

/** The person's own key, as OpenSSH makes it. */
export interface Login {
  private: string
  public: string
  /** The private key's file, as `ssh -i` takes it. */
  file: string
}

/** Makes a key for one file of tests. */
export function makeLogin(): Login {
  const file = join(mkdtempSync(join(place().folder, 'key-')), 'id_ed25519')
  run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'a person', '-f', file)
  return { file, private: readFileSync(file, 'utf8'), public: readFileSync(`${file}.pub`, 'utf8').trim() }
}

/** Whoever answers at a machine's address, to the person who holds a key that it lets in. */
export interface Answering {
  /** Facts of whatever answers, whichever host key it shows. */
  look(): Promise<HostFacts>
  /** Changes it as the runbook's steps do, on a line of its own. */
  change<T>(act: (host: HostWriter) => Promise<T>): Promise<T>
  /** Runs a script as root, logged in as a person is: by OpenSSH's own client. Gives what it printed. */
  ssh(script: string, timeoutMs?: number): string
  /** The same, for what takes longer: nothing else in this process stands still meanwhile. */
  shell(script: string, timeoutMs?: number): Promise<string>
}

/** Logs in anew each time: what answers may be another system by then. */
export function answering({ name, address }: { name: string; address: string }, login: Login): Answering {
  const access = {
    name,
    address,
    port: 22,
    user: 'core',
    privateKey: login.private,
    pins: 'first-use' as const,
    connectTimeoutMs: 20_000,
  }
  const options = [
    ...['-i', login.file, '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
    ...['-o', 'LogLevel=ERROR', '-o', 'ConnectTimeout=20', `core@${address}`, 'sudo sh -eu'],
  ]
  return {
    async look() {
      const line = await connectReader(access)
      try {
        return await line.host.facts()
      } finally {
        line.close()
      }
    },
    async change(act) {
      const line = await connectWriter(access)
      try {
        return await act(line.host)
      } finally {
        line.close()
      }
    },
    // A bound against what hangs: an emulated processor may be beside two others.
    ssh: (script, timeoutMs = 300_000) => runWith({ input: script, timeoutMs }, 'ssh', ...options),
    shell: (script, timeoutMs = 300_000) => running('ssh', options, timeoutMs, script),
  }
}
