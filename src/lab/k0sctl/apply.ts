import { readFileSync } from 'node:fs'
import type { SshConnection } from '../../hosts/ssh.ts'
import {
  type Config,
  connect,
  Failed,
  forever,
  type Host,
  killIfTold,
  must,
  on,
  say,
  sudo,
  upload,
  where,
} from './host.ts'

// Version 0.32 has this to say at every apply, on the other stream.
const notice = `
 ▌ k0sctl's host connection and remote execution functionality has been
 ▌ updated. Behavior should be unchanged, but if you encounter any
 ▌ issues, please report them at:
 ▌ hem at https://github.com/k0sproject/k0sctl/issues
 ▌ and roll back to v0.31.1 until the issue is resolved.

`

/** What `k0sctl apply` is told beside its configuration. */
export interface ApplyOptions {
  noWait: boolean
  force: boolean
  /** An archive of `k0s backup`. */
  restoreFrom: string | undefined
  /** Whether somebody wants it to stop: it finishes its phase. */
  cancelled(): boolean
}

const began = Date.now()

/** What is known of a host before anything is changed. */
interface Known {
  binary: boolean
  running: boolean
  /** Of a worker: its node is Ready. A worker that is not is installed anew by every apply. */
  joined: boolean
}

/** Brings the hosts to what the configuration says, phase by phase. */
export async function apply(
  config: Config,
  { noWait, force, restoreFrom, cancelled }: ApplyOptions,
): Promise<number> {
  const { hosts } = config.spec
  process.stderr.write(notice)
  process.stdout.write('\nk0sctl v0.32.2 (lab) Copyright 2026, k0sctl authors.\n')
  const version = `v${(config.spec.k0s.version ?? '').replace(/^v/, '')}`
  const controllers = hosts.filter(h => h.role !== 'worker')
  const workers = hosts.filter(h => h.role === 'worker')
  const leader = controllers[0]
  if (!leader) throw new Failed('no hosts with a controller role defined')
  const lines = new Map<Host, SshConnection>()
  const line = (host: Host) => lines.get(host) as SshConnection
  const run: string[] = []
  const phase = (title: string) => {
    if (cancelled())
      throw new Failed(`context canceled before entering phase ${JSON.stringify(title)}: context canceled`)
    run.push(title)
    say('info', `==> Running phase: ${title}`)
  }
  /** Of a host that has been begun with and is not through. */
  const unready = new Set<Host>()
  try {
    phase('Connect to hosts')
    const refused: unknown[] = []
    for (const host of hosts)
      try {
        lines.set(host, await connect(host))
        on(host, 'connected')
      } catch (error) {
        refused.push(error)
      }
    if (refused.length > 0) throw refused[0]
    phase('Detect host operating systems')
    for (const host of hosts) {
      await must(line(host), host, 'uname')
      const release = await line(host).run('cat /etc/os-release')
      on(
        host,
        `is running ${/^NAME="?([^"\n]+)/m.exec(release.stdout)?.[1] ?? 'Flatcar Container Linux by Kinvolk'}`,
      )
    }
    phase('Prepare hosts')
    phase('Gather host facts')
    const names = new Map<Host, string>()
    for (const host of hosts) {
      on(host, 'detected amd64 architecture')
      names.set(host, (await must(line(host), host, 'hostname')).trim())
      on(host, `using ${names.get(host)} as hostname`)
    }
    phase('Validate hosts')
    say('info', 'validating clock skew')
    const known = await gatherFacts(hosts, leader, line, names, force, phase)
    const is = (host: Host) => known.get(host) as Known
    phase('Validate facts')
    const missing = hosts.filter(h => !is(h).binary)
    if (missing.length > 0) {
      phase('Stage k0s binaries on hosts')
      const staged = new Map<Host, string>()
      for (const host of missing) {
        staged.set(host, `/opt/bin/k0s.tmp.${Date.now()}`)
        on(host, `uploading k0s binary to ${staged.get(host)}`)
        await must(line(host), host, sudo('install -d -m 0755 /opt/bin'))
        await upload(line(host), host, version, staged.get(host) ?? '')
      }
      phase('Install k0s binaries on hosts')
      for (const host of missing) {
        await must(line(host), host, sudo(`mv -f ${staged.get(host)} /opt/bin/k0s`))
        await must(line(host), host, sudo('chmod 0750 /opt/bin/k0s'))
      }
    }
    for (const host of controllers) on(host, 'validating configuration')
    phase('Configure k0s')
    for (const host of controllers) {
      on(host, 'installing new configuration')
      await must(
        line(host),
        host,
        sudo('install -D -m 0600 /dev/stdin /etc/k0s/k0s.yaml'),
        JSON.stringify(config.spec.k0s.config ?? {}),
      )
      if (!is(host).running) continue
      // As an ordinary user it cannot read the file that it wrote, takes it for changed, and restarts k0s every time.
      on(host, 'restarting k0s service')
      await must(line(host), host, sudo('systemctl restart k0scontroller'))
      on(host, 'waiting for k0s service to start')
    }
    if (restoreFrom !== undefined && !is(leader).running) {
      phase('Restore cluster state')
      await restore(line(leader), leader, restoreFrom)
    }
    phase('Run Before Apply Hooks')
    const toStart = controllers.filter(h => !is(h).running)
    for (const [i, host] of toStart.entries()) {
      if (host === leader) phase('Initialize the k0s cluster')
      else if (i === 0 || toStart[i - 1] === leader) phase('Install controllers')
      on(host, 'installing k0s controller')
      unready.add(host)
      const flags = [
        ...(force ? ['--force=true'] : []),
        '--data-dir=/var/lib/k0s',
        ...(host.role === 'controller+worker' ? ['--enable-worker=true'] : []),
        ...(host.role === 'single' ? ['--single=true'] : []),
        ...(host.noTaints ? ['--no-taints=true'] : []),
        '--config=/etc/k0s/k0s.yaml',
      ]
      await must(line(host), host, sudo(`/opt/bin/k0s install controller ${flags.join(' ')}`))
      if (force) say('warning', `${where(host)}: --force given, using k0s install with --force`)
      await must(line(host), host, sudo('systemctl start k0scontroller'))
      on(host, 'waiting for the k0s service to start')
      on(host, 'wait for kubernetes to reach ready state')
      const ready = await must(line(host), host, sudo('/opt/bin/k0s kubectl get --raw=/readyz'))
      if (ready !== 'ok') throw new Failed('kubernetes api not ready', host)
      // The leader is taken to be unready for as long as this apply lasts.
      if (host !== leader) unready.delete(host)
    }
    const toJoin = workers.filter(h => !is(h).joined)
    if (toJoin.length > 0) {
      phase('Install workers')
      for (const [i, host] of toJoin.entries()) {
        on(leader, `generating a join token for worker ${i + 1}`)
        const token = await must(
          line(leader),
          leader,
          sudo('/opt/bin/k0s token create --role=worker --expiry=10m0s --data-dir=/var/lib/k0s'),
        )
        on(host, 'writing join token to /etc/k0s/k0stoken')
        await must(line(host), host, sudo('install -D -m 0600 /dev/stdin /etc/k0s/k0stoken'), token)
        await reachesApi(line(host), host)
        if (is(host).running) {
          on(host, 'stopping service')
          await must(line(host), host, sudo('systemctl stop k0sworker'))
        }
        unready.add(host)
        on(host, 'installing k0s worker')
        // A unit that is there is removed first, which is what --force does to it.
        const flags = `${force || is(host).running ? '--force=true ' : ''}--data-dir=/var/lib/k0s --token-file=/etc/k0s/k0stoken`
        await must(line(host), host, sudo(`/opt/bin/k0s install worker ${flags}`))
        if (force) say('warning', `${where(host)}: --force given, using k0s install with --force`)
        on(host, 'starting service')
        await must(line(host), host, sudo('systemctl start k0sworker'))
      }
      if (noWait)
        say(
          'warning',
          `${where(leader)}: --no-wait given, created join tokens will remain valid for 10 minutes`,
        )
      else
        for (const host of toJoin)
          if (!(await becomesReady(line(leader), leader, names.get(host) ?? '')))
            throw new Failed(`context deadline exceeded\nnode ${names.get(host)} is not ready`, host)
    }
    phase('Run After Apply Hooks')
    phase('Disconnect from hosts')
    say('info', `==> Finished in ${Math.round((Date.now() - began) / 1000)}s`)
    say('info', `k0s cluster version ${version} is now installed`)
    say('info', 'Tip: To access the cluster you can now fetch the admin kubeconfig using:')
    say('info', '     k0sctl kubeconfig')
    return 0
  } catch (error) {
    await cleanUp(
      run,
      hosts.filter(h => unready.has(h)),
      line,
    )
    throw error
  } finally {
    for (const open of lines.values()) open.close()
  }
}

/** Where k0s runs already this is left out, without a word. */
async function restore(line: SshConnection, leader: Host, archive: string): Promise<void> {
  const folder = (await must(line, leader, 'mktemp -d -- /tmp/XXXXXX')).trim()
  const path = `${folder}/k0s_backup.tar.gz`
  await upload(line, leader, readFileSync(archive), path)
  on(leader, 'restoring cluster state')
  const { code, stderr } = await line.run(sudo(`/opt/bin/k0s restore --data-dir=/var/lib/k0s ${path}`), {
    timeoutMs: forever,
  })
  killIfTold(stderr)
  await must(line, leader, sudo(`rm -f -- ${path}`))
  await must(line, leader, sudo(`rmdir -- ${folder}`))
  if (code === 0) return
  say('error', `${where(leader)}: restore failed: ${stderr.trim()}`)
  throw new Failed(`restore failed: command failed: process exited with status ${code}`, leader)
}

/** Looks for k0s everywhere; the phase is only named when there is some. */
async function gatherFacts(
  hosts: Host[],
  leader: Host,
  line: (host: Host) => SshConnection,
  names: Map<Host, string>,
  force: boolean,
  phase: (title: string) => void,
): Promise<Map<Host, Known>> {
  const known = new Map<Host, Known>()
  for (const host of hosts) {
    const binary = (await line(host).run(sudo('test -f /opt/bin/k0s'))).code === 0
    known.set(host, { binary, running: false, joined: false })
  }
  const having = hosts.filter(h => known.get(h)?.binary)
  if (having.length > 0) phase('Gather k0s facts')
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

async function isReady(leader: SshConnection, node: string): Promise<boolean> {
  const found = await leader.run(sudo(`/opt/bin/k0s kubectl get node ${node} -o json`))
  if (found.code !== 0) return false
  const { status } = JSON.parse(found.stdout) as {
    status?: { conditions?: { type: string; status: string }[] }
  }
  return status?.conditions?.some(c => c.type === 'Ready' && c.status === 'True') === true
}

/** What each phase that ran does when the whole of it fails; k0s itself refuses to be reset while it runs. */
async function cleanUp(run: string[], unready: Host[], line: (host: Host) => SshConnection): Promise<void> {
  const reset = async (of: Host[]) => {
    for (const host of of) {
      say('info', `${where(host)}: cleaning up`)
      const done = await line(host)
        .run(sudo('/opt/bin/k0s reset --data-dir=/var/lib/k0s'), { timeoutMs: forever })
        .catch(() => undefined)
      if (done?.code !== 0) say('warning', `${where(host)}: k0s reset failed`)
    }
  }
  const [controllers, workers] = [
    unready.filter(h => h.role !== 'worker'),
    unready.filter(h => h.role === 'worker'),
  ]
  for (const title of run) {
    if (!/^(?:Stage|Install) k0s binaries|^Initialize|^Install (?:controllers|workers)/.test(title)) continue
    say('info', `* Running clean-up for phase: ${title}`)
    if (title.startsWith('Initialize')) await reset(controllers.slice(0, 1))
    if (title === 'Install controllers') await reset(controllers.slice(1))
    if (title === 'Install workers') await reset(workers)
  }
}

/** From the worker itself, with the way in that its token holds. */
async function reachesApi(line: SshConnection, host: Host): Promise<void> {
  on(host, 'validating api connection using join token')
  const temporary = (await must(line, host, 'mktemp -- /tmp/XXXXXX')).trim()
  const command = sudo(`/opt/bin/k0s kubectl get --raw=/version --kubeconfig=${temporary}`)
  const end = Date.now() + patienceMs
  for (;;) {
    const { code, stderr } = await line.run(command, { timeoutMs: forever })
    if (code === 0) break
    if (Date.now() > end)
      throw new Failed(
        `connectivity check failed: context deadline exceeded\nfailed to connect to kubernetes api using the join token - check networking: command result: process finished with error: Process exited with status ${code} (${stderr.trim()})`,
        host,
      )
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  await must(line, host, sudo(`rm -f ${temporary}`))
}

// Two minutes with the real one; nothing in a lab gets ready by waiting longer.
const patienceMs = 3_000

async function becomesReady(line: SshConnection, leader: Host, node: string): Promise<boolean> {
  await must(line, leader, sudo('/opt/bin/k0s kubectl get --raw=/readyz'))
  const end = Date.now() + patienceMs
  while (Date.now() < end) {
    if (await isReady(line, node)) return true
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  return false
}
