import { keepLines } from '../src/hosts/line.ts'
import { withRoot } from '../src/hosts/root.ts'
import type { SshAccess } from '../src/hosts/ssh.ts'
import { connectLinux } from '../src/nas/linux/linux.ts'
import type { NasInspection, NasReader, NasWriter } from '../src/nas/nas.ts'
import { anonymise } from '../src/nas/synology/anonymise.ts'
import { inspectSynology } from '../src/nas/synology/inspect.ts'
import { connectSynology } from '../src/nas/synology/synology.ts'

/** Where a NAS is, and of which kind it is. */
export type NasPlace = SynologyPlace | LinuxPlace

/** DSM's Web API, known by its certificate; a fingerprint is missing only where the URL is http. */
export interface SynologyPlace {
  url: string
  fingerprint: string | undefined
  account: () => Promise<string>
  password: () => Promise<string>
}

/** A plain Linux box with tgt, reached by SSH and known by its host key. */
export interface LinuxPlace {
  ssh: SshAccess
  /** Absolute; holds `NAME.img` for each LUN. */
  folder: string
  control?: number
  config?: string
}

/** A NAS as a handle to look and a handle to change, whatever kind it is. */
export interface NasConnection {
  reader: NasReader
  writer: NasWriter
  close(): Promise<void>
}

/** Opens nothing yet: the first question connects. */
export function connectNas(where: NasPlace, signal: AbortSignal, pace: number): NasConnection {
  if ('url' in where) return connectSynology({ ...where, signal, pace })
  const { ssh, ...box } = where
  const lines = keepLines({ pace })
  const linux = connectLinux({
    ...box,
    box: `${ssh.name} (${ssh.address})`,
    run: (script, looks) =>
      lines.use(
        ssh,
        signal,
        // Copies share blocks and take no time; a box under load may.
        line => withRoot(ssh, line).run('sudo -n sh -s', { stdin: script, signal, timeoutMs: 120_000 }),
        looks,
      ),
  })
  return { ...linux, close: () => lines.close() }
}

/** How a NAS is called in messages and listings. */
export function nameOfNas(where: NasPlace): string {
  return 'url' in where ? where.url : where.ssh.address
}

/** Asks the NAS all that matters for a recovery, by reading alone. What it said is given without anybody's names, too. */
export async function inspectNas(
  where: NasPlace,
  signal: AbortSignal,
): Promise<NasInspection & { anonymous: NasInspection['exchanges'] }> {
  if (!('url' in where)) return { ...(await inspectAny(where, signal)), anonymous: [] }
  const found = await inspectSynology({ ...where, signal })
  return { ...found, anonymous: anonymise(found.exchanges) }
}

/** What every NAS can be asked. */
async function inspectAny(where: NasPlace, signal: AbortSignal): Promise<NasInspection> {
  const { reader, close } = connectNas(where, signal, 1)
  try {
    const about = await reader.describe()
    const [luns, targets] = [await reader.luns(), await reader.targets()]
    const gib = (bytes: number) => Math.round(bytes / 2 ** 30)
    return {
      exchanges: [],
      answers: [
        { about: 'System', says: `${about.model}, ${about.hostname}` },
        ...about.volumes.map(v => ({
          about: `Volume ${v.path}`,
          says: `${v.fileSystem}, ${v.status}, ${gib(v.freeBytes)} GiB free of ${gib(v.sizeBytes)}`,
        })),
        { about: 'LUNs', says: `${luns.length}, behind ${targets.length} targets` },
        {
          about: 'In use now',
          says: `${targets.filter(t => t.sessions.length > 0).length} targets have a session`,
        },
        ...about.can.lacks.map(says => ({ about: 'What it cannot do', says, warns: true as const })),
      ],
    }
  } finally {
    await close()
  }
}
