import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { cleanUp } from './clean-up.ts'
import { DryRunPlan } from './dry-run.ts'
import {
  type Cluster,
  type Config,
  Failed,
  type Host,
  must,
  on,
  say,
  sudo,
  temporary,
  upload,
  where,
} from './host.ts'
import { becomesReady, reachesApi } from './join.ts'
import { adminKubeconfig } from './kubeconfig.ts'
import { restore } from './restore.ts'
import { type Known, Session } from './session.ts'

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
  /** Uploads k0s and has it judge the configuration, and says what else it would do. */
  dryRun: boolean
  /** An archive of `k0s backup`. */
  restoreFrom: string | undefined
  /** File for the admin kubeconfig. */
  kubeconfigOut: string | undefined
  /** Name of the configuration's file. */
  file: string
  /** Whether somebody wants it to stop: it finishes its phase. */
  cancelled(): boolean
  /** Milliseconds for which a host that does not answer is tried again. */
  patienceMs: number
}

/** Brings the hosts to what the configuration says, phase by phase. */
export async function apply({ cluster, manifests }: Config, options: ApplyOptions): Promise<number> {
  process.stderr.write(notice)
  process.stdout.write('\nk0sctl v0.32.2 (lab) Copyright 2026, k0sctl authors.\n')
  const session = new Session(cluster.spec.hosts, options.cancelled)
  const plan = new DryRunPlan()
  /** Of a host that has been begun with and is not through. */
  const unready = new Set<Host>()
  try {
    await new Apply(session, cluster, manifests, options, plan, unready).run()
    return 0
  } catch (error) {
    if (options.dryRun) plan.tell()
    await cleanUp(
      session.ran,
      session.hosts.filter(h => unready.has(h)),
      host => session.line(host),
    )
    throw error
  } finally {
    session.close()
  }
}

/** One apply. */
class Apply {
  private readonly session: Session
  private readonly cluster: Cluster
  private readonly manifests: unknown[]
  private readonly options: ApplyOptions
  private readonly plan: DryRunPlan
  private readonly unready: Set<Host>
  private known = new Map<Host, Known>()
  private readonly staged = new Map<Host, string>()

  constructor(
    session: Session,
    cluster: Cluster,
    manifests: unknown[],
    options: ApplyOptions,
    plan: DryRunPlan,
    unready: Set<Host>,
  ) {
    this.session = session
    this.cluster = cluster
    this.manifests = manifests
    this.options = options
    this.plan = plan
    this.unready = unready
  }

  async run(): Promise<void> {
    const { session, cluster, options } = this
    const controllers = session.hosts.filter(h => h.role !== 'worker')
    await session.connect(options.patienceMs)
    await session.detect()
    await session.facts()
    session.phase('Validate hosts')
    // What one that was killed had uploaded whole; half uploads have another name, and stay.
    for (const host of session.hosts) await this.sudo(host, 'rm -f /opt/bin/k0s.tmp.*')
    say('info', 'validating clock skew')
    this.known = await session.k0sFacts(options.force)
    session.phase('Validate facts')
    const missing = session.hosts.filter(h => !this.is(h).binary)
    await this.stage(missing)
    await this.uploadFiles()
    await this.installBinaries(missing)
    await this.configure(controllers)
    if (options.restoreFrom !== undefined && !this.is(session.leader).running) {
      session.phase('Restore cluster state')
      // It has no eye for a dry run here.
      await restore(session.line(session.leader), session.leader, options.restoreFrom)
    }
    session.phase('Run Before Apply Hooks')
    this.hooks(session.hosts, 'apply', 'before')
    await this.startControllers(controllers.filter(h => !this.is(h).running))
    await this.joinWorkers(session.hosts.filter(h => h.role === 'worker' && !this.is(h).joined))
    session.phase('Run After Apply Hooks')
    this.hooks(session.hosts, 'apply', 'after')
    await this.applyManifests()
    const { kubeconfigOut } = options
    if (kubeconfigOut !== undefined && !options.dryRun) {
      session.phase('Get admin kubeconfig')
      const text = await adminKubeconfig(session.line(session.leader), session.leader, cluster, undefined)
      // A longer file that is there keeps its tail.
      const out = openSync(kubeconfigOut, constants.O_RDWR | constants.O_CREAT, 0o600)
      writeFileSync(out, text)
      closeSync(out)
    }
    await this.dropStaged()
    session.phase('Disconnect from hosts')
    if (options.dryRun) this.plan.tell()
    session.finished()
    if (!options.dryRun) say('info', `k0s cluster version ${this.version()} is now installed`)
    if (kubeconfigOut !== undefined) return
    say('info', 'Tip: To access the cluster you can now fetch the admin kubeconfig using:')
    say('info', '     k0sctl kubeconfig')
  }

  private is(host: Host): Known {
    return this.known.get(host) as Known
  }

  private version(): string {
    return `v${(this.cluster.spec.k0s.version ?? '').replace(/^v/, '')}`
  }

  /** Does something, or notes in a dry run what it would be. */
  private async does(host: Host, what: string[], action: () => Promise<unknown>): Promise<void> {
    if (this.options.dryRun) this.plan.add(host, ...what)
    else await action()
  }

  private sudo(host: Host, command: string, stdin?: string | Buffer): Promise<string> {
    return must(this.session.line(host), host, sudo(command), stdin)
  }

  private async stage(missing: Host[]): Promise<void> {
    if (missing.length === 0) return
    this.session.phase('Stage k0s binaries on hosts')
    for (const host of missing) {
      const to = `/opt/bin/k0s.tmp.${Date.now()}`
      this.staged.set(host, to)
      on(host, `uploading k0s binary to ${to}`)
      await this.sudo(host, 'install -d -m 0755 /opt/bin')
      await upload(this.session.line(host), host, this.version(), to)
      await this.sudo(host, `chmod 0755 ${to}`)
    }
  }

  private async uploadFiles(): Promise<void> {
    const having = this.session.hosts.filter(h => (h.files ?? []).length > 0)
    if (having.length > 0) this.session.phase('Upload files to hosts')
    for (const host of having)
      for (const { name, src, data, dst, dstDir, perm } of host.files ?? []) {
        const shown = data === undefined ? (name ?? basename(src ?? '')) : 'inline data'
        const to = dst ?? join(dstDir ?? '/', basename(src ?? ''))
        const folder = dstDir ?? dirname(to)
        on(host, `uploading ${shown}`)
        await this.does(
          host,
          [
            `create a directory for uploading: \`mkdir -p "${folder}"\``,
            `set permissions for directory ${folder} to 0755`,
            data === undefined ? `upload file ${src} => ${to}` : `upload inline data => ${to}`,
            ...(data === undefined ? [`set permissions for ${to} to ${perm ?? '0644'}`] : []),
          ],
          async () => {
            const content = data === undefined ? readFileSync(src ?? '') : data
            await this.sudo(host, `install -d -m 0755 ${folder}`)
            await upload(this.session.line(host), host, content, to)
            await this.sudo(host, `chmod ${perm ?? '0644'} ${to}`)
          },
        )
      }
  }

  private async installBinaries(missing: Host[]): Promise<void> {
    if (missing.length === 0) return
    this.session.phase('Install k0s binaries on hosts')
    for (const host of missing)
      await this.does(
        host,
        [`install k0s ${this.version()} binary from ${this.staged.get(host)} to /opt/bin/k0s`],
        async () => {
          await this.sudo(host, `mv -f ${this.staged.get(host)} /opt/bin/k0s`)
          await this.sudo(host, 'chmod 0750 /opt/bin/k0s')
        },
      )
  }

  private async configure(controllers: Host[]): Promise<void> {
    const config = this.cluster.spec.k0s.config ?? {}
    const write = (host: Host) => temporary(this.session.line(host), host, JSON.stringify(config))
    for (const host of controllers) {
      on(host, 'validating configuration')
      // In a dry run a real one asks the k0s that it has uploaded, which no machine of a lab can run.
      if (this.options.dryRun) continue
      const path = await write(host)
      await this.sudo(host, `/opt/bin/k0s config validate --config="${path}"`)
      await this.sudo(host, `rm -f ${path}`)
    }
    this.session.phase('Configure k0s')
    for (const host of controllers)
      await this.does(
        host,
        [
          'write k0s configuration to /etc/k0s/k0s.yaml',
          'k0s configuration is based on spec.k0s.config in k0sctl config',
          `configuration changes:\n${stringify(config, { indentSeq: false })
            .split('\n')
            .map(line => `\u001b[32m${line}\u001b[0m`)
            .join('\n')}`,
        ],
        async () => {
          on(host, 'installing new configuration')
          const path = await write(host)
          await this.sudo(host, `mv -f ${path} /etc/k0s/k0s.yaml`)
          await this.sudo(host, 'chmod 0600 /etc/k0s/k0s.yaml')
          if (!this.is(host).running) return
          // As an ordinary user it cannot read the file that it wrote, takes it for changed, and restarts k0s every time.
          on(host, 'restarting k0s service')
          await this.sudo(host, 'systemctl restart k0scontroller')
          on(host, 'waiting for k0s service to start')
        },
      )
  }

  /** They are told and not run: what a person's hook does, a machine of the lab has no programs for. */
  private hooks(hosts: Host[], action: 'apply' | 'install', when: 'before' | 'after'): void {
    for (const host of hosts)
      for (const hook of host.hooks?.[action]?.[when] ?? []) {
        const what = `${when} ${action} hook: ${JSON.stringify(hook)}`
        if (this.options.dryRun) this.plan.add(host, `run ${what}`)
        else on(host, `running ${what}`)
      }
  }

  private async startControllers(toStart: Host[]): Promise<void> {
    const { session, options } = this
    for (const [i, host] of toStart.entries()) {
      this.hooks([host], 'install', 'before')
      const leads = host === session.leader
      if (leads) session.phase('Initialize the k0s cluster')
      else if (i === 0 || toStart[i - 1] === session.leader) session.phase('Install controllers')
      on(host, 'installing k0s controller')
      if (!options.dryRun) this.unready.add(host)
      const flags = [
        ...(options.force ? ['--force=true'] : []),
        '--data-dir=/var/lib/k0s',
        ...(host.role === 'controller+worker' ? ['--enable-worker=true'] : []),
        ...(host.role === 'single' ? ['--single=true'] : []),
        ...(host.noTaints ? ['--no-taints=true'] : []),
        '--config=/etc/k0s/k0s.yaml',
      ].join(' ')
      const what = `install ${leads ? 'first k0s controller' : 'k0s controller'} using \`k0s install controller ${flags}\``
      await this.does(host, [what, 'start k0s service'], async () => {
        await this.sudo(host, `/opt/bin/k0s install controller ${flags}`)
        if (options.force) say('warning', `${where(host)}: --force given, using k0s install with --force`)
        await this.sudo(host, 'systemctl start k0scontroller')
        on(host, 'waiting for the k0s service to start')
        on(host, 'wait for kubernetes to reach ready state')
        const ready = await this.sudo(host, '/opt/bin/k0s kubectl get --raw=/readyz')
        if (ready !== 'ok') throw new Failed('kubernetes api not ready', host)
      })
      this.hooks([host], 'install', 'after')
      // The leader is taken to be unready for as long as this apply lasts.
      if (!leads) this.unready.delete(host)
    }
  }

  private async joinWorkers(toJoin: Host[]): Promise<void> {
    if (toJoin.length === 0) return
    const { session, options } = this
    const { leader } = session
    this.hooks(toJoin, 'install', 'before')
    session.phase('Install workers')
    for (const [i, host] of toJoin.entries()) {
      on(leader, `generating a join token for worker ${i + 1}`)
      let token = ''
      await this.does(leader, [`generate a k0s join token for worker ${where(host)}`], async () => {
        token = await this.sudo(
          leader,
          '/opt/bin/k0s token create --role=worker --expiry=10m0s --data-dir=/var/lib/k0s',
        )
      })
      await this.does(
        host,
        ['write k0s join token to /etc/k0s/k0stoken', 'validate api connection to control plane'],
        async () => {
          on(host, 'writing join token to /etc/k0s/k0stoken')
          await this.sudo(host, 'install -D -m 0600 /dev/stdin /etc/k0s/k0stoken', token)
          await reachesApi(session.line(host), host, token)
          if (!this.is(host).running) return
          on(host, 'stopping service')
          await this.sudo(host, 'systemctl stop k0sworker')
        },
      )
      if (!options.dryRun) this.unready.add(host)
      on(host, 'installing k0s worker')
      // A unit that is there is removed first, which is what --force does to it.
      const flags = `${options.force || this.is(host).running ? '--force=true ' : ''}--data-dir=/var/lib/k0s --token-file=/etc/k0s/k0stoken`
      await this.does(host, [`install k0s worker with \`k0s install worker ${flags}\``], async () => {
        await this.sudo(host, `/opt/bin/k0s install worker ${flags}`)
        if (options.force) say('warning', `${where(host)}: --force given, using k0s install with --force`)
        on(host, 'starting service')
        await this.sudo(host, 'systemctl start k0sworker')
      })
      this.hooks([host], 'install', 'after')
    }
    if (options.dryRun) return
    if (options.noWait)
      return say(
        'warning',
        `${where(leader)}: --no-wait given, created join tokens will remain valid for 10 minutes`,
      )
    for (const host of toJoin) {
      const name = session.names.get(host) ?? ''
      if (!(await becomesReady(session.line(leader), leader, name)))
        throw new Failed(`context deadline exceeded\nnode ${name} is not ready`, host)
    }
  }

  private async applyManifests(): Promise<void> {
    if (this.manifests.length === 0) return
    const { leader } = this.session
    this.session.phase('Apply additional manifests')
    for (const manifest of this.manifests) {
      const text = stringify(manifest, { lineWidth: 0 })
      const what = `apply manifest ${basename(this.options.file)} (${Buffer.byteLength(text)} bytes)`
      await this.does(leader, [what], async () => {
        on(leader, what)
        const said = await this.sudo(leader, '/opt/bin/k0s kubectl apply -f -', text)
        on(leader, `kubectl apply: ${said}`)
      })
    }
  }

  private async dropStaged(): Promise<void> {
    if (!this.options.dryRun) return
    for (const [host, path] of this.staged) await this.sudo(host, `rm -f ${path}`)
  }
}
