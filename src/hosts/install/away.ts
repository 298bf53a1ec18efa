import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Machines that this run changes so that they boot another system, on the disk of this computer. It is asked only while a
 * machine does not answer: whoever goes on after a crash then waits for it, instead of taking it for dead.
 */
export class Away {
  private readonly folder: string

  /** @param folder of the run */
  constructor(folder: string) {
    this.folder = join(folder, 'away')
  }

  is(host: string): boolean {
    return existsSync(this.file(host))
  }

  begins(host: string): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    writeFileSync(this.file(host), '', { mode: 0o600, flush: true })
  }

  ends(host: string): void {
    rmSync(this.file(host), { force: true })
  }

  private file(host: string): string {
    return join(this.folder, encodeURIComponent(host))
  }
}
