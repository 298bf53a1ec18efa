import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Cluster } from '../src/cluster/load.ts'
import { loadCluster } from '../src/cluster/load.ts'
import type { PowerAccess } from '../src/hosts/power/connect-power.ts'
import type { KubernetesObject } from '../src/kubernetes/kubernetes.ts'
import type { Blueprint } from '../src/lab/blueprint.ts'
import { onlyLoopback } from '../src/lab/isolation.ts'
import { type KeptLab, keepLab } from '../src/lab/keeper.ts'
import type { LabEndpoints } from '../src/lab/lab.ts'
import { labProgram } from '../src/lab/programs.ts'
import { World } from '../src/lab/world.ts'
import type { ConsentDesk } from '../src/runbook/consent.ts'
import { milliseconds } from '../src/runbook/duration.ts'
import type { RunEvent } from '../src/runbook/events.ts'
import { Fault } from '../src/runbook/fault.ts'
import type { Plan } from '../src/runbook/plan.ts'
import type { Limited } from '../src/runbook/time.ts'
import { openSecrets } from '../src/secrets/resolve.ts'
import { bookOf } from './books.ts'
import { clusterFileIn } from './cluster-file.ts'
import { inEarnest } from './in-earnest.ts'
import { planResume, planRun } from './plan-run.ts'
import { withArchive } from './rehearsal/archive.ts'
import { madeUpBackup } from './rehearsal/backups.ts'
import { blueprintOf } from './rehearsal/blueprint.ts'
import { type ArmedFault, faults } from './rehearsal/faults.ts'
import { standIns } from './rehearsal/stand-ins.ts'
import { madeUpSecrets, madeUpVariables } from './rehearsal/variables.ts'
import { modeOf } from './runs.ts'
import { beginRun, type RunResult, resumeRun, type SessionOptions } from './session.ts'
import type { Reach, Whereabouts } from './whereabouts.ts'

export interface RehearsalOptions extends SessionOptions {
  /** Ask for consent as in earnest, to practise that too. */
  practise: boolean
  /** Milliseconds that parts of the lab take. */
  latency?: Partial<Blueprint['latency']>
  faults: ArmedFault[]
  /** Finds or starts the lab of a world; by default it is a process of its own, which outlives this one's death. */
  keep?: (dir: string) => Promise<KeptLab>
  /** Phases that it is about, when not about all of them. */
  only?: string[]
}

/** Nothing real is destroyed in a rehearsal: agreeing to it needs nobody. */
const agreeing: ConsentDesk = async () => ({ by: 'the rehearsal', how: 'rehearsed' })

/** Everything that a rehearsal's looks and waits are faster than life by. */
const pace = 0.02

/**
 * What would be waited for in vain for half an hour is given up after half a minute, and what may take a day after two
 * minutes. What is at work has ten: on a slow computer four volumes at once take longer than half a minute.
 */
const scaleLimit = (limitMs: number, of: Limited) =>
  Math.min(limitMs, of === 'work' ? 600_000 : Math.max(30_000, Math.min(120_000, limitMs / 60)))

/** Rehearses the main job on a person's own cluster file, or on the example, against a lab of its own. */
export async function rehearse(where: string, options: RehearsalOptions): Promise<RunResult> {
  const file = clusterFileIn(where)
  const { entry } = loadCluster(file)
  // A program of its own would not be held to loopback as this process is.
  if (entry.ssh?.transport === 'openssh')
    options.sink({
      code: 'notice',
      about: 'ssh',
      text: 'recover.yaml asks for the transport openssh; a rehearsal speaks to its lab by the built-in client, so that your own ssh reaches no real machine',
      atMs: 0,
    })
  return inTheLab(options, (reach, session) =>
    beginRun(file, reach, 'rehearsal', { ...session, ...(options.only ? { only: options.only } : {}) }),
  )
}

/** Plans the recovery in a lab of its own, which is gone afterwards. */
export async function planRehearsal(where: string, now: AbortSignal, only?: string[]): Promise<Plan> {
  const cluster = loadCluster(clusterFileIn(where))
  return inOwnLab(cluster, whereabouts => planRun(cluster, whereabouts, now, bookOf(only)))
}

/** Looks at a lab that is made for it and gone afterwards. */
export async function inOwnLab<T>(
  cluster: Cluster,
  look: (whereabouts: Whereabouts) => Promise<T>,
): Promise<T> {
  const leave = onlyLoopback()
  const dir = mkdtempSync(join(tmpdir(), 'recover-lab-'))
  let lab: KeptLab | undefined
  try {
    World.create(dir, await withArchive(blueprintOf(cluster), cluster))
    lab = await keepLab(dir)
    return await look(whereaboutsOf(lab, cluster))
  } finally {
    await lab?.order('down').catch(() => undefined)
    rmSync(dir, { recursive: true, force: true })
    leave()
  }
}

/** Says what `resume` would do now, in earnest or in the rehearsal's own world. */
export async function planResumeAny(run: string | undefined, now: AbortSignal): Promise<Plan> {
  if (modeOf(run) !== 'rehearsal') return planResume(run, () => inEarnest, now)
  const leave = onlyLoopback()
  let ours: KeptLab | undefined
  try {
    const reach: Reach = async (cluster, folder) => {
      const dir = join(folder.path, 'lab')
      const running = await keepLab(dir, { start: false })
      // One that runs already may be somebody's: whoever only looks must not end it.
      if (running === undefined) ours = await keepLab(dir)
      return whereaboutsOf(running ?? ours!, cluster)
    }
    return await planResume(run, () => reach, now)
  } finally {
    await ours?.order('down').catch(() => undefined)
    leave()
  }
}

/** A blueprint whose parts take their time. */
export function slowed(blueprint: Blueprint, latency: Partial<Blueprint['latency']> = {}): Blueprint {
  return { ...blueprint, latency: { ...blueprint.latency, ...latency } }
}

/** Reads `PART=DURATION`. Throws Fault `latency-malformed`. */
export function parseLatency(texts: string[]): Partial<Blueprint['latency']> {
  const parts = ['ssh', 'install', 'boot', 'nas', 'clone', 'api', 'controllers']
  return Object.fromEntries(
    texts.map(text => {
      const [part = '', duration = ''] = text.split('=')
      if (!parts.includes(part) || !/^\d+(\.\d+)?(ms|s|m)$/.test(duration))
        throw new Fault({
          code: 'latency-malformed',
          blame: 'operator',
          message: `--latency ${text} is not a part of the lab and a duration`,
          remedy: `Write PART=DURATION, for example nas=200ms; parts are ${parts.join(', ')}`,
        })
      return [part, milliseconds(duration)]
    }),
  )
}

/** Reads `NAME` or `NAME:TARGET`. Throws Fault `fault-unknown` or `fault-without-target`. */
export function parseFault(text: string): ArmedFault {
  const [name = '', target] = text.split(':')
  const known = faults.find(f => f.name === name)
  if (!known) throw unknownFault(name)
  if (known.needsTarget && !target)
    throw new Fault({
      code: 'fault-without-target',
      blame: 'operator',
      message: `the fault ${name} needs to know whom to strike`,
      remedy: `Write --fault ${name}:TARGET, where TARGET is the ${known.target}`,
    })
  return { name, ...(target ? { target } : {}) }
}

/** Goes on with a run, in earnest or rehearsed, as it was begun. */
export async function resumeAny(
  run: string | undefined,
  options: SessionOptions & { accept: ('cluster-file' | 'runbook')[]; redo: string[] },
): Promise<RunResult> {
  const mode = modeOf(run)
  return mode === 'rehearsal' ? resumeRehearsal(run, options) : resumeRun(run, () => inEarnest, options)
}

/** Goes on with a rehearsal in its own world, which is started again where it stopped. */
async function resumeRehearsal(
  run: string | undefined,
  options: SessionOptions & { accept: ('cluster-file' | 'runbook')[]; redo: string[] },
): Promise<RunResult> {
  return inTheLab({ ...options, faults: [], practise: false }, (reach, session) =>
    resumeRun(run, () => reach, { ...options, ...session }),
  )
}

/**
 * Does a part of a run in the run's own lab: its world is made if there is none, mended if there is one, and down
 * afterwards. Meanwhile this process reaches nothing but loopback.
 */
export async function inTheLab(
  options: RehearsalOptions,
  part: (reach: Reach, session: SessionOptions) => Promise<RunResult>,
): Promise<RunResult> {
  const leave = onlyLoopback()
  let lab: KeptLab | undefined
  const hands: Promise<void>[] = []
  const reach: Reach = async (cluster, folder) => {
    const dir = join(folder.path, 'lab')
    const fresh = !World.exists(dir)
    if (fresh) World.create(dir, await withArchive(slowed(blueprintOf(cluster), options.latency), cluster))
    lab = await (options.keep ?? keepLab)(dir)
    if (fresh) for (const fault of options.faults) await arm(lab, fault)
    // Whoever resumes has done what the remedy said; in the lab, that is to mend everything.
    else await lab.order('heal')
    return whereaboutsOf(lab, cluster)
  }
  // In a rehearsal the lab has hands: what a person would be asked to do at a machine is done there.
  const sink = (event: RunEvent) => {
    options.sink(event)
    if (event.code === 'hand-needed' && lab) hands.push(lab.order('stick', { name: event.subject }))
  }
  try {
    const result = await part(reach, {
      ...options,
      sink,
      consent: options.practise ? options.consent : agreeing,
    })
    await Promise.all(hands)
    return result
  } finally {
    await lab?.order('down').catch(() => undefined)
    leave()
  }
}

/** The lab in place of the real home. */
export function whereaboutsOf(lab: KeptLab, cluster: Cluster): Whereabouts {
  if (!('synology' in cluster.entry.nas)) throw noSuchNas()
  const { endpoints } = lab
  const { account, password, url, fingerprint } = endpoints.nas
  return {
    host(name) {
      const host = endpoints.hosts[name]
      if (!host) throw new Error(`the lab has no machine ${name}`)
      return host
    },
    power: name => powerOf(name, endpoints.power[name], cluster),
    netboot: {
      address: '127.0.0.1',
      port: 0,
      // dnsmasq needs root and a network: the lab's machines are told by the lab what it would answer them.
      dhcp: () => ({
        lacks: () => undefined,
        answer: machines => lab.order('offer', Object.fromEntries(machines.map(m => [m.mac, m.script]))),
        forget: () => lab.order('offer', {}),
      }),
    },
    mirror: { address: '127.0.0.1', port: 0 },
    asksGit: false,
    login: () => ({ privateKey: endpoints.operatorKey, keyFile: endpoints.operatorKeyFile }),
    nas: { url, fingerprint, account: async () => account, password: async () => password },
    // Made up: whatever a person's own sources hold stays where it is.
    secrets: openSecrets({
      from: ['environment'],
      env: {
        RECOVER_SECRET_ONEPASSWORD_CREDENTIALS: '{"verifier":"of the lab","version":"2"}',
        RECOVER_SECRET_ONEPASSWORD_TOKEN: 'a token of the lab',
        ...madeUpVariables(cluster),
        ...madeUpSecrets(cluster),
      },
    }),
    wantedSecrets: [],
    backups: async (_environment, _signal, claim) => [madeUpBackup(cluster, claim)],
    k0sctl: [process.execPath, labProgram('k0sctl')],
    api: () => endpoints.kubernetes.url,
    manifests: async part => [
      ...part.from.objects.map(o => o.value as unknown as KubernetesObject),
      ...('folder' in part.from ? standIns(part.from.remote, namespaceOf(cluster, part.name)) : []),
    ],
    applicationManifests: async ({ objects, remote, name }) => [
      ...objects.map(o => o.value as unknown as KubernetesObject),
      ...standIns(remote, objects.find(o => o.namespace !== undefined)?.namespace ?? name),
    ],
    web: endpoints.ingress,
    tang: endpoints.tang,
    pace,
    // Real disks take the time that they take.
    ...(endpoints.nas.portal === undefined ? { scaleLimit } : {}),
  }
}

/** A rehearsal with another NAS than the real one would promise what that cannot keep. */
function noSuchNas(): Fault {
  return new Fault({
    code: 'lab-without-linux-nas',
    blame: 'operator',
    message: 'the lab has a Synology, and the NAS in recover.yaml is a plain Linux box',
    remedy: 'Look at the real one: `recover nas inspect`, `recover volumes list`',
  })
}

/** The lab's BMC in place of the real one, whose secrets nobody needs to have. */
function powerOf(
  name: string,
  endpoint: LabEndpoints['power'][string] | undefined,
  cluster: Cluster,
): PowerAccess | undefined {
  const entry = cluster.entry.hosts[name]?.power
  if (endpoint === undefined || entry === undefined) return undefined
  const pacing = { pace, patience: 0.2 }
  if (endpoint.kind === 'wake-on-lan') {
    const { mac, address, port } = endpoint
    return {
      kind: 'wake-on-lan',
      where: `Wake-on-LAN for ${name} (${mac})`,
      mac,
      to: [{ address, port }],
      pace,
    }
  }
  const { username, password } = endpoint
  const login = { username: async () => username, password: async () => password, ...pacing }
  if (endpoint.kind === 'redfish') {
    const { url, fingerprint } = endpoint
    return { kind: 'redfish', where: `the BMC of ${name} (${url})`, url, fingerprint, ...login }
  }
  const { address, port } = endpoint
  return {
    kind: 'ipmi',
    where: `the BMC of ${name} (${address}:${port}, IPMI)`,
    address,
    port,
    command: [process.execPath, labProgram('ipmitool')],
    ...login,
  }
}

/** Where a part of the bootstrap lives: the namespace that most of its own objects name. */
function namespaceOf(cluster: Cluster, part: string): string {
  const objects = cluster.bootstrap.find(p => p.name === part)?.from.objects ?? []
  return (
    objects.find(o => o.namespace !== undefined)?.namespace ?? (/cilium/.test(part) ? 'kube-system' : part)
  )
}

async function arm(lab: KeptLab, { name, target }: ArmedFault): Promise<void> {
  const fault = faults.find(f => f.name === name)
  if (!fault) throw unknownFault(name)
  await lab.order('arm', { name, times: String(fault.strikes), ...(target === undefined ? {} : { target }) })
}

function unknownFault(name: string): Fault {
  return new Fault({
    code: 'fault-unknown',
    blame: 'operator',
    message: `there is no fault ${name}`,
    remedy: `Choose one of ${faults.map(f => f.name).join(', ')} (\`recover rehearse --fault list\` explains each)`,
  })
}
