import { type Host, where } from './host.ts'

/** What a dry run would do to each host. */
export class DryRunPlan {
  private readonly hosts = new Map<Host, string[]>()

  add(host: Host, ...things: string[]): void {
    this.hosts.set(host, [...(this.hosts.get(host) ?? []), ...things])
  }

  /** Prints it, as k0sctl does before its last words. */
  tell(): void {
    const out = (text: string) => void process.stdout.write(`dry-run: ${text}\n`)
    out(
      `${this.hosts.size === 0 ? 'no ' : ''}cluster state altering actions would be performed${this.hosts.size === 0 ? '' : ':'}`,
    )
    for (const [host, things] of this.hosts) {
      out(`* ${where(host)} :`)
      for (const thing of things) out(` - ${thing}`)
    }
  }
}
