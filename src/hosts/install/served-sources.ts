import { createHmac } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KeptSource } from '../ignition/source-kit.ts'
import type { Netboot } from '../netboot/netboot.ts'

/** Where a host gets its copies. */
export interface ServedTo {
  urlOf(copy: Copy): string
  /** A short text at the same place, by which a machine sees whether it gets there. */
  probe: string
}

/** A copy of the kit that a machine fetches from this computer. */
type Copy = Pick<KeptSource, 'file' | 'sha256'>

/**
 * What machines fetch from this computer when they first boot, on its disk, and served. A machine asks for it until it gets
 * it, and gives the boot up at any answer that it is not there: whoever goes on after a crash serves it at the same address.
 * Nothing in it is secret, and a first boot that begins anew gets it again; it is withdrawn when the machine is proven.
 */
export class ServedSources {
  private readonly folder: string
  private readonly secret: Buffer
  private readonly offered = new Map<string, { base: string; withdraw(): void }>()

  /**
   * @param folder of the run
   * @param secret of the run, from which the addresses are made
   */
  constructor(folder: string, secret: Buffer) {
    this.folder = join(folder, 'sources')
    this.secret = secret
  }

  /** Serves copies to a host, and says where it gets them. */
  async serve(host: string, copies: readonly Copy[], netboot: Netboot): Promise<ServedTo> {
    const wanted = copies.map(({ file, sha256 }) => ({ file, sha256 }))
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    writeFileSync(this.file(host), JSON.stringify(wanted), { mode: 0o600, flush: true })
    return this.offer(host, wanted, netboot)
  }

  /** Serves again what a process of this run served that is gone. */
  async again(host: string, netboot: Netboot | undefined): Promise<void> {
    if (!netboot || this.offered.has(host) || !existsSync(this.file(host))) return
    await this.offer(host, JSON.parse(readFileSync(this.file(host), 'utf8')) as Copy[], netboot)
  }

  /** The machine has booted, and needs nothing any more. */
  withdraw(host: string): void {
    this.offered.get(host)?.withdraw()
    this.offered.delete(host)
    rmSync(this.file(host), { force: true })
  }

  private async offer(host: string, copies: Copy[], netboot: Netboot): Promise<ServedTo> {
    this.offered.get(host)?.withdraw()
    const token = createHmac('sha256', this.secret).update(`${host} sources`).digest('hex').slice(0, 32)
    const offered = await netboot.serve(
      [
        { name: 'here', content: { text: () => 'this computer serves what a first boot fetches\n' } },
        ...copies.map(({ file, sha256 }) => ({ name: sha256, content: { file } })),
      ],
      token,
    )
    this.offered.set(host, offered)
    return { urlOf: ({ sha256 }) => `${offered.base}/${sha256}`, probe: `${offered.base}/here` }
  }

  private file(host: string): string {
    return join(this.folder, `${encodeURIComponent(host)}.json`)
  }
}
