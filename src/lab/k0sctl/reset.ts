import { type Host, must, on, say, sudo, where } from './host.ts'
import { Session } from './session.ts'

/**
 * `k0sctl reset --force`: takes k0s off the hosts, its program with it. The leader is reset with the other controllers and
 * once more by itself, which finds no program any more and says so; the join tokens on the workers stay.
 */
export async function reset(
  hosts: Host[],
  options: { cancelled(): boolean; patienceMs: number },
): Promise<number> {
  process.stdout.write('k0sctl v0.32.2 (lab) Copyright 2026, k0sctl authors.\n')
  const session = new Session(hosts, options.cancelled)
  const run = (host: Host, command: string, stdin?: string) =>
    must(session.line(host), host, sudo(command), stdin)
  const all = async (of: Host[], title: string) => {
    if (of.length === 0) return
    session.phase(title)
    for (const host of of) await resetHost(session, host)
  }
  try {
    await session.connect(options.patienceMs)
    await session.detect()
    session.phase('Acquire exclusive host lock')
    for (const host of hosts) {
      await run(host, 'install -m 0600 /dev/null /tmp/k0sctl.lock')
      await run(host, 'dd if=/dev/stdin of=/tmp/k0sctl.lock bs=1 count=8 seek=0 conv=notrunc', 'lab-lock')
    }
    await session.facts()
    await session.k0sFacts(true)
    await all(
      hosts.filter(h => h.role === 'worker'),
      'Reset workers',
    )
    await all(
      hosts.filter(h => h.role !== 'worker'),
      'Reset controllers',
    )
    await all([session.leader], 'Reset leader')
    session.phase('Reload service manager')
    for (const host of hosts) {
      on(host, 'reloading service manager')
      await run(host, 'systemctl daemon-reload')
    }
    session.phase('Release exclusive host lock')
    for (const host of hosts) await run(host, 'rm -f /tmp/k0sctl.lock')
    session.phase('Disconnect from hosts')
    session.finished()
    return 0
  } finally {
    session.close()
  }
}

async function resetHost(session: Session, host: Host): Promise<void> {
  const line = session.line(host)
  const unit = host.role === 'worker' ? 'k0sworker' : 'k0scontroller'
  if ((await line.run(sudo(`systemctl is-active ${unit}`))).stdout.trim() === 'active')
    await must(line, host, sudo(`systemctl stop ${unit}`))
  const { code, stderr } = await line.run(sudo('/opt/bin/k0s reset --data-dir=/var/lib/k0s'))
  if (code !== 0)
    say(
      'warning',
      `${where(host)}: k0s reported failure: command result: process finished with error: Process exited with status ${code} (${stderr.trim()})`,
    )
  for (const path of ['/etc/k0s/k0s.yaml', '/opt/bin/k0s']) await must(line, host, sudo(`rm -f ${path}`))
  on(host, 'reset')
}
