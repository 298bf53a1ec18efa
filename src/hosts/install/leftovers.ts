import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PowerWriter } from '../power/power.ts'
import type { Leftover } from './rung.ts'

/**
 * What a rung has put up and not yet taken down, on the disk of this computer: written before it is put up, so that
 * whoever goes on after a crash knows what to take down.
 */
export class Leftovers {
  private readonly folder: string

  /** @param folder of the run */
  constructor(folder: string) {
    this.folder = join(folder, 'armed')
  }

  of(host: string): Leftover[] {
    const file = this.file(host)
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Leftover[]) : []
  }

  add(host: string, what: Leftover): void {
    this.write(host, [...new Set([...this.of(host), what])])
  }

  remove(host: string, what: Leftover): void {
    this.write(
      host,
      this.of(host).filter(w => w !== what),
    )
  }

  private write(host: string, what: Leftover[]): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    if (what.length === 0) rmSync(this.file(host), { force: true })
    else writeFileSync(this.file(host), JSON.stringify(what), { mode: 0o600, flush: true })
  }

  private file(host: string): string {
    return join(this.folder, `${encodeURIComponent(host)}.json`)
  }
}

/** Takes down what a run that was killed has left at a machine's BMC. May be repeated. */
export async function takeDown(
  host: string,
  leftovers: Leftovers,
  power: PowerWriter | undefined,
  signal: AbortSignal,
): Promise<void> {
  for (const what of leftovers.of(host)) {
    if (what === 'media') await power?.ejectMedia(signal)
    else await power?.clearBootNext(signal)
    leftovers.remove(host, what)
  }
}
