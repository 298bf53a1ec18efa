import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import type { RungName } from '../../../src/cluster/schema.ts'
import { keepSource } from '../../../src/hosts/ignition/source-kit.ts'
import type { JournalRecord } from '../../../src/runbook/replay.ts'
import { root } from '../../cli/program.ts'
import type { BareMachine } from './bare-machine.ts'
import type { Switch } from './bmc.ts'
import { imageVersion } from './disk-image.ts'
import { place } from './place.ts'
import { signedImage } from './signed-image.ts'

/** A person's files for one machine, and a folder for what recover keeps. */
export interface Home {
  /** Starts recover at a terminal of its own, on which names of victims are typed when they are asked for. */
  recover(...args: string[]): Started
  /** The journal of the newest run. */
  journal(): JournalRecord[]
}

/** A program at work. */
export interface Started {
  /** Exit code, or the signal's name. */
  ended: Promise<number | string>
  /** What stood on its terminal so far. */
  said(): string
  /** As `kill -9` does to the program itself. */
  kill(): void
}

/** How the machine of a home is installed. */
export interface HomeOptions {
  /** Whether the image is known by its publisher's signature, and then fetched by the machine, or by its hash. */
  trust: 'signature' | 'hash'
  install: RungName[]
  /** Who switches the machine; nobody where nothing is said. */
  by?: Switch
}

/** What {@link makeHome}'s config has at `/opt/tool` of each machine. */
export const toolText = '#!/bin/sh\necho a tool\n'

/** Puts a tool into a kit, and gives the address that it had. */
async function keptTool(kit: string): Promise<string> {
  const server = createServer((_, response) => response.end(toolText))
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  const source = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tool`
  await keepSource(kit, { source }, 'a tool', new AbortController().signal)
  server.closeAllConnections()
  await new Promise(closed => server.close(closed))
  return source
}

/** Makes a home with one machine. There is no NAS: nobody asks it for machines alone. */
export async function makeHome(
  { network, machine, login }: Pick<BareMachine, 'network' | 'machine' | 'login'>,
  { trust, install, by }: HomeOptions,
): Promise<Home> {
  const folder = mkdtempSync(join(place().folder, 'home-'))
  const environment: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    XDG_STATE_HOME: join(folder, 'state'),
    NO_COLOR: '1',
    COLUMNS: '200',
    USER: 'person',
    ...(by?.login && {
      RECOVER_SECRET_BMC_USERNAME: by.login.username,
      RECOVER_SECRET_BMC_PASSWORD: by.login.password,
    }),
    // Nobody needs these for machines alone.
    RECOVER_SECRET_NAS_USERNAME: 'nobody',
    RECOVER_SECRET_NAS_PASSWORD: 'not asked for',
    RECOVER_SECRET_ONEPASSWORD_CREDENTIALS: '{"verifier":"x","version":"2"}',
    RECOVER_SECRET_ONEPASSWORD_TOKEN: 'a token that nobody may see',
  }
  const bin = join(root, 'bin/run.js')
  const files = join(folder, 'home')
  cpSync(join(root, 'examples/home'), files, { recursive: true })
  const tool = await keptTool(join(files, 'kit'))
  const config = {
    ignition: { version: '3.3.0' },
    passwd: { users: [{ name: 'core', sshAuthorizedKeys: [login.public] }] },
    storage: {
      files: [
        {
          path: '/etc/hostname',
          mode: 0o644,
          overwrite: true,
          contents: { source: `data:,${machine.name}` },
        },
        // Fetched from where nobody is any more: the kit has it.
        { path: '/opt/tool', mode: 0o755, contents: { source: tool } },
      ],
    },
    systemd: {
      units: [
        {
          name: 'first-boot.service',
          enabled: true,
          contents:
            '[Service]\nType=oneshot\nExecStart=/bin/sh -c "date >>/var/lib/first-boot"\n[Install]\nWantedBy=multi-user.target\n',
        },
      ],
    },
  }
  mkdirSync(join(files, 'ignition'), { recursive: true })
  writeFileSync(join(files, 'ignition', `${machine.name}.ign`), JSON.stringify(config))
  const published = await signedImage()
  const { installer } = place()
  const sha256 = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex')
  const artifact = (file: string) => ({ file, sha256: sha256(file) })
  const edit = (name: string, change: (document: Record<string, unknown>) => void) => {
    const document = parse(readFileSync(join(files, name), 'utf8')) as Record<string, unknown>
    change(document)
    writeFileSync(join(files, name), stringify(document))
  }
  edit('recover.yaml', document => {
    document.hosts = {
      [machine.name]: {
        address: machine.address,
        mac: machine.mac,
        ignition: `./ignition/${machine.name}.ign`,
        image: {
          file: published.file,
          version: imageVersion,
          ...(trust === 'hash' ? { sha256: sha256(published.file) } : { signature: published.signature }),
        },
        disk: { serial: machine.disks[0]!.serial },
        install,
        ...(by && { power: by.power }),
      },
    }
    document.installer = {
      kernel: artifact(installer.kernel),
      initrd: artifact(installer.initrd),
      iso: artifact(installer.iso),
      arguments: 'console=ttyS0 quiet',
    }
    document.kit = './kit'
    document.netboot = { address: network.own }
    document.tools = { imageKey: { file: published.key, fingerprint: published.fingerprint } }
    delete document.checks
  })
  edit('k0sctl.yaml', document => {
    const spec = document.spec as { hosts: { ssh: Record<string, unknown>; privateAddress: string }[] }
    const host = spec.hosts[0]!
    host.ssh = { address: `${machine.name}.home.example.net`, user: 'core', port: 22, keyPath: login.file }
    host.privateAddress = machine.address
    spec.hosts = [host]
  })

  const runs = join(folder, 'state/recover/runs')
  return {
    recover(...args) {
      const pidFile = join(folder, 'pid')
      const line = [process.execPath, bin, ...args, '--plain'].map(word => `'${word}'`).join(' ')
      const child = spawn('script', ['-qefc', `echo $$ >${pidFile}; exec ${line}`, '/dev/null'], {
        cwd: files,
        env: environment,
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      let said = ''
      let answered = 0
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text
        const asked = /^\s*(?:disk|data) (.+): $/m.exec(said.slice(answered))
        if (!asked) return
        answered = said.length
        child.stdin.write(`${asked[1]}\n`)
      })
      return {
        ended: new Promise(resolve =>
          child.once('close', (code, signal) => resolve(code ?? signal ?? 'gone')),
        ),
        said: () => said,
        kill: () => process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL'),
      }
    },
    journal: () =>
      readFileSync(join(runs, readdirSync(runs).sort().at(-1)!, 'journal.ndjson'), 'utf8')
        .split('\n')
        .slice(0, -1)
        .map(text => JSON.parse(text) as JournalRecord),
  }
}
