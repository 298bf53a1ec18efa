import type { SshConnection } from '../../hosts/ssh.ts'
import { connect, Failed, type Host, must, on, say, sudo, where } from './host.ts'

/** What is known of a host before anything is changed. */
export interface Known {
  binary: boolean
  running: boolean
  /** Of a worker: its node is Ready. A worker that is not is installed anew by every apply. */
  joined: boolean
}

/** What every command begins with: a line to each host, and what there is on it. */
export class Session {
  readonly hosts: Host[]
  readonly leader: Host
  /** Titles of the phases that ran. */
  readonly ran: string[] = []
  readonly names = new Map<Host, string>()
  private readonly lines = new Map<Host, SshConnection>()
  private readonly cancelled: () => boolean
  private readonly began = Date.now()

  /** @param cancelled whether somebody wants it to stop: it finishes its phase */
  constructor(hosts: Host[], cancelled: () => boolean) {
    const leader = hosts.find(h => h.role !== 'worker')
    if (!leader) throw new Failed('no hosts with a controller role defined')
    this.hosts = hosts
    this.leader = leader
    this.cancelled = cancelled
  }

  line(host: Host): SshConnection {
    return this.lines.get(host) as SshConnection
  }

  phase(title: string): void {
    if (this.cancelled())
      throw new Failed(`context canceled before entering phase ${JSON.stringify(title)}: context canceled`)
    this.ran.push(title)
    say('info', `==> Running phase: ${title}`)
  }

  /** @param patienceMs how long one that does not answer is tried again */
  async connect(patienceMs: number): Promise<void> {
    this.phase('Connect to hosts')
    const refused: unknown[] = []
    for (const host of this.hosts)
      try {
        this.lines.set(host, await connect(host, patienceMs))
        on(host, 'connected')
      } catch (error) {
        refused.push(error)
      }
    if (refused.length > 0) throw refused[0]
  }

  async detect(): Promise<void> {
    this.phase('Detect host operating systems')
    for (const host of this.hosts) {
      await must(this.line(host), host, 'uname')
      const release = await this.line(host).run('cat /etc/os-release')
      on(
        host,
        `is running ${/^NAME="?([^"\n]+)/m.exec(release.stdout)?.[1] ?? 'Flatcar Container Linux by Kinvolk'}`,
      )
    }
  }

  async facts(): Promise<void> {
    this.phase('Prepare hosts')
    this.phase('Gather host facts')
    for (const host of this.hosts) {
      on(host, 'detected amd64 architecture')
      this.names.set(host, (await must(this.line(host), host, 'hostname')).trim())
      on(host, `using ${this.names.get(host)} as hostname`)
    }
  }

  /** Looks for k0s everywhere; the phase is only named when there is some. */
  async k0sFacts(force: boolean): Promise<Map<Host, Known>> {
    const { hosts, leader, names } = this
    const line = (host: Host) => this.line(host)
    const known = new Map<Host, Known>()
    for (const host of hosts) {
      const binary = (await line(host).run(sudo('test -f /opt/bin/k0s'))).code === 0
      known.set(host, { binary, running: false, joined: false })
    }
    const having = hosts.filter(h => known.get(h)?.binary)
    if (having.length > 0) this.phase('Gather k0s facts')
    for (const host of having) {
      const status = await line(host).run(sudo('/opt/bin/k0s status -o json'))
      const running = status.code === 0
      const unit = host.role === 'worker' ? 'k0sworker' : 'k0scontroller'
      const shown = await line(host).run(
        `systemctl show -p LoadState -p ActiveState -p Result -p ExecMainStatus -- ${unit}.service`,
      )
      if (!running && !shown.stdout.includes('not-found') && !force)
        throw new Failed(
          `k0s doesn't appear to be running but has been installed as a service at /etc/systemd/system/${unit}.service - please remove it or start the service`,
          host,
        )
      let joined = false
      if (running) {
        const { Version } = JSON.parse(status.stdout) as { Version: string }
        say('info', `${where(host)}: is running k0s ${host.role} version ${Version}`)
      }
      if (running && host.role === 'worker') {
        say('info', `${where(leader)}: checking if worker ${names.get(host)} has joined`)
        joined = await isReady(line(leader), names.get(host) ?? '')
      }
      known.set(host, { binary: true, running, joined })
    }
    return known
  }

  finished(): void {
    say('info', `==> Finished in ${Math.round((Date.now() - this.began) / 1000)}s`)
  }

  close(): void {
    for (const open of this.lines.values()) open.close()
  }
}

/** Whether a node is Ready, asked on the leader. */
export async function isReady(leader: SshConnection, node: string): Promise<boolean> {
  const found = await leader.run(sudo(`/opt/bin/k0s kubectl get node ${node} -o json`))
  if (found.code !== 0) return false
  const { status } = JSON.parse(found.stdout) as {
    status?: { conditions?: { type: string; status: string }[] }
  }
  return status?.conditions?.some(c => c.type === 'Ready' && c.status === 'True') === true
}
