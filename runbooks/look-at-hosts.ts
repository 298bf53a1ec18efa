import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { kitOf } from '../src/cluster/kit-folder.ts'
import { type Cluster, loadCluster } from '../src/cluster/load.ts'
import { nearest } from '../src/cluster/nearest.ts'
import type { Disk } from '../src/hosts/disks.ts'
import type { HostFacts } from '../src/hosts/facts.ts'
import { placeSources, showPlace } from '../src/hosts/ignition/place-sources.ts'
import { findSources } from '../src/hosts/ignition/sources.ts'
import { resolveDisk, usesOf } from '../src/hosts/resolve-disk.ts'
import { diskContent, hostVictims, showBytes } from '../src/hosts/victims.ts'
import { Fault, type FaultJson, toFault } from '../src/runbook/fault.ts'
import type { Victim } from '../src/runbook/step.ts'
import { clusterFileIn } from './cluster-file.ts'
import { connect } from './connect.ts'
import { surveyed } from './evidence/survey.ts'
import { inEarnest } from './in-earnest.ts'
import type { HostsReader, Readers } from './kit.ts'
import { inOwnLab } from './rehearse.ts'
import type { Whereabouts } from './whereabouts.ts'

/** One host as it is now, for a person who has to decide. */
export interface HostLook {
  host: string
  role: string
  address: string
  /** Ways to install it, in the order in which they are tried. */
  install: string[]
  answers: boolean
  /** Who answers, or why nobody does; one sentence. */
  says: string
  facts?: HostFacts
  disk: {
    /** As recover.yaml names it. */
    named: string
    /** The one disk that this is now. */
    found?: { name: string; model: string; serial: string; wwn: string; sizeBytes: number; boot: boolean }
    /** Why it would not be written. */
    refused?: FaultJson
  }
}

/** What installing a host anew would do, looked up now. */
export interface HostPlan extends HostLook {
  victims: Victim[]
  /** Its other disks, which no way to install it can write. */
  untouched: string[]
  /** What on the running system works with the disk. */
  uses: string[]
  rungs: { name: string; says: string; refuses?: string }[]
  /** What it takes from elsewhere at its first boot, and where it would get it. */
  sources: { what: string; url: string; from: string }[]
  /** Why its config could not be looked at. */
  configRefused?: FaultJson
  /** What recover.yaml or the machine lacks for some way to install it. */
  lacks: string[]
  /** Nothing keeps it from being installed now. */
  possible: boolean
}

export interface HostsQuestion {
  /** recover.yaml or its folder. */
  where: string
  /** Only this one; all when none is named. */
  host?: string | undefined
  /** The machines of a lab of its own in place of the real ones. */
  lab: boolean
  now: AbortSignal
}

/** Looks at hosts, by reading only. Throws Fault `host-unknown`. */
export function lookAtHosts(question: HostsQuestion): Promise<HostLook[]> {
  return overHosts(
    question,
    async (cluster, hosts, name) => (await lookAt(cluster, hosts, name, question.now)).look,
  )
}

/** Says what installing hosts anew would destroy, and how it would be done, by reading only. */
export function planHosts(question: HostsQuestion): Promise<HostPlan[]> {
  return overHosts(question, async (cluster, hosts, name, ignition) => {
    const { now } = question
    const { look, disk } = await lookAt(cluster, hosts, name, now)
    const survey = await surveyed(cluster, hosts, name, now)
    const entry = cluster.entry.hosts[name]!
    const { facts } = look
    const rungs: HostPlan['rungs'] = await hosts.ladder(name, now)
    const lacks = lacksOf(cluster, name, facts)
    return {
      ...look,
      ...(await sourcesOf(cluster, name, ignition, now)),
      victims: facts && disk ? hostVictims(facts, entry, name, survey.found) : [],
      untouched: (facts?.disks ?? []).filter(d => d.name !== disk?.name).map(lineOf),
      uses: disk ? usesOf(disk).map(u => u.what) : [],
      rungs,
      lacks,
      possible: look.disk.refused === undefined && rungs.some(r => r.refuses === undefined),
    }
  })
}

async function overHosts<T>(
  { where, host, lab, now }: HostsQuestion,
  look: (cluster: Cluster, hosts: HostsReader, name: string, ignition: Readers['ignition']) => Promise<T>,
): Promise<T[]> {
  const cluster = loadCluster(clusterFileIn(where))
  const names = cluster.k0sctl.hosts.map(h => h.name)
  if (host !== undefined && !names.includes(host)) throw unknown(host, names)
  // The line to each host listens; Node would take more than ten for a leak and say so in the person's terminal.
  setMaxListeners(0, now)
  const ask = async (whereabouts: Whereabouts) => {
    const connections = connect(cluster, { id: 'look', secret: randomBytes(32) }, whereabouts, now)
    try {
      const found = await Promise.all(
        (host === undefined ? names : [host]).map(name =>
          look(cluster, connections.readers.hosts, name, connections.readers.ignition),
        ),
      )
      return whereabouts.secrets.mask.json(found)
    } finally {
      await connections.close()
    }
  }
  if (lab) return inOwnLab(cluster, ask)
  return ask(await inEarnest(cluster, { run: 'look', path: '', journal: '' }))
}

/** Where a host would get what its config takes from elsewhere. A config that cannot be compiled is told, and hides nothing else. */
async function sourcesOf(
  cluster: Cluster,
  name: string,
  ignition: Readers['ignition'],
  now: AbortSignal,
): Promise<Pick<HostPlan, 'sources' | 'configRefused'>> {
  const entry = cluster.entry.hosts[name]
  if (!entry) return { sources: [] }
  try {
    const { config } = await ignition(name, now)
    const tree = findSources(config, kitOf(cluster), entry.ignition)
    return {
      sources: placeSources(tree, cluster.entry.netboot !== undefined).map(placed => ({
        what: placed.found.what,
        url: placed.found.url,
        from: showPlace(placed),
      })),
    }
  } catch (thrown) {
    if (!(thrown instanceof Fault) || now.aborted) throw thrown
    return { sources: [], configRefused: thrown.toJSON() }
  }
}

async function lookAt(
  cluster: Cluster,
  hosts: HostsReader,
  name: string,
  now: AbortSignal,
): Promise<{ look: HostLook; disk?: Disk }> {
  const entry = cluster.entry.hosts[name]
  const known = cluster.k0sctl.hosts.find(h => h.name === name)
  const { serial, wwn } = entry?.disk ?? {}
  const look: HostLook = {
    host: name,
    role: known?.role ?? '',
    address: entry?.address ?? known?.address ?? name,
    install: [...(entry?.install ?? [])],
    answers: false,
    says: '',
    disk: {
      named: [serial && `serial ${serial}`, wwn && `WWN ${wwn}`].filter(Boolean).join(' and '),
    },
  }
  let facts: HostFacts
  try {
    facts = await hosts.anyone(name, now, h => h.facts(now))
  } catch (thrown) {
    if (now.aborted) throw thrown
    const fault = toFault(thrown, name)
    if (fault.code === 'bug') throw thrown
    return { look: { ...look, says: fault.message } }
  }
  const seen = { ...look, answers: true, says: facts.os.name || 'a system without a name', facts }
  try {
    const disk = resolveDisk(facts, entry?.disk ?? {}, name)
    const { name: kernelName, model, sizeBytes, boot } = disk
    const found = { name: kernelName, model, serial: disk.serial, wwn: disk.wwn, sizeBytes, boot }
    return { look: { ...seen, disk: { ...look.disk, found } }, disk }
  } catch (thrown) {
    return { look: { ...seen, disk: { ...look.disk, refused: toFault(thrown, name).toJSON() } } }
  }
}

/** What is missing for the ways to install that recover.yaml names, each with where it belongs. */
function lacksOf({ entry }: Cluster, name: string, facts: HostFacts | undefined): string[] {
  const host = entry.hosts[name]
  if (!host) return [`recover.yaml says nothing about ${name} (hosts.${name})`]
  const wants = (...rungs: string[]) => host.install.some(r => rungs.includes(r))
  const uplink =
    facts?.interfaces.find(i => i.name === facts.defaultRoute?.interface) ??
    facts?.interfaces.find(i => i.physical)
  return [
    ...(host.image === undefined ? [`a system image (hosts.${name}.image)`] : []),
    ...(wants('pxe') && host.mac === undefined
      ? [
          `the MAC address by which it boots from the network (hosts.${name}.mac)${uplink ? `; its ${uplink.name} has ${uplink.mac}` : ''}`,
        ]
      : []),
    ...(wants('pxe', 'virtual-media') && host.power === undefined && facts === undefined
      ? [`somebody who switches it: a BMC or Wake-on-LAN (hosts.${name}.power), as it does not answer`]
      : []),
    ...(wants('kexec', 'pxe') && entry.installer === undefined
      ? ['an installer to start in its memory (installer.kernel and installer.initrd)']
      : []),
    ...(wants('virtual-media') && entry.installer?.iso === undefined
      ? ['the installer as an image for virtual media (installer.iso)']
      : []),
    ...(wants('pxe', 'virtual-media') && entry.netboot === undefined
      ? ['the address of this computer as the machines see it (netboot.address)']
      : []),
    ...(facts?.access === 'none'
      ? [`root or sudo without a password on ${name}: without it not all is seen, and nothing can be done`]
      : []),
  ]
}

function lineOf(disk: Disk): string {
  const what = diskContent(disk)
  return `/dev/${disk.name} (${[disk.model, disk.serial && `serial ${disk.serial}`, showBytes(disk.sizeBytes), disk.iscsi && `LUN of ${disk.iscsi.portal}`].filter(Boolean).join(', ')}): ${what.join('; ') || 'nothing that is recognised'}`
}

function unknown(host: string, names: string[]): Fault {
  const meant = nearest(host, names)
  return new Fault({
    code: 'host-unknown',
    blame: 'operator',
    message: `k0sctl.yaml has no host ${host}${meant ? `; did you mean ${meant}?` : ''}`,
    remedy: `Name one of ${names.join(', ')}, or none to see all`,
  })
}
