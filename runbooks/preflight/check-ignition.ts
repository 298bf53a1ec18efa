import { z } from 'zod'
import { kitOf } from '../../src/cluster/kit-folder.ts'
import { checkConfig, hostnameOf } from '../../src/hosts/ignition/checks.ts'
import { devicesOf } from '../../src/hosts/ignition/devices.ts'
import { effectiveConfig } from '../../src/hosts/ignition/effective.ts'
import type { Finding } from '../../src/hosts/ignition/findings.ts'
import { type PlacedSource, placeSources, showPlace } from '../../src/hosts/ignition/place-sources.ts'
import { ignitionOf } from '../../src/hosts/ignition/releases.ts'
import { findSources } from '../../src/hosts/ignition/sources.ts'
import { resolveDisk } from '../../src/hosts/resolve-disk.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done } from '../../src/runbook/step.ts'
import { type Readers, step } from '../kit.ts'
import { refused } from './findings.ts'

/** Every host's config compiles, would be accepted by its image, and makes a machine that one can log in to. */
export const checkIgnitions = step({
  id: 'preflight/check-ignition',
  title: 'Check every host’s Ignition config',
  byHand:
    '`butane --strict --files-dir . HOST.bu | ignition-validate -`; see that it holds your SSH key and sets the hostname.',
  danger: 'reads',
  bounds: { expected: '5s', limit: '5m' },
  output: z.strictObject({
    hosts: z.array(z.strictObject({ name: z.string(), spec: z.string(), hostname: z.string().optional() })),
    /** URLs of everything that the configs take from elsewhere. */
    dependencies: z.array(z.string()),
  }),
  async observe(look) {
    const { cluster, ignition, login, signal } = look
    const held = await login.held().catch(keyMissing)
    const own = ownNames(look)
    const hosts: { name: string; spec: string; hostname?: string }[] = []
    const dependencies = new Set<string>()
    const places: string[] = []
    const findings: Finding[] = []
    const broken: Fault[] = []
    for (const { name } of cluster.k0sctl.hosts) {
      const entry = cluster.entry.hosts[name]!
      try {
        const compiled = await ignition(name, signal)
        const tree = findSources(compiled.config, kitOf(cluster), entry.ignition)
        const effective = effectiveConfig(tree, entry.ignition)
        const hostname = hostnameOf(effective)
        hosts.push({ name, spec: compiled.config.ignition.version, ...(hostname ? { hostname } : {}) })
        const placed = placeSources(tree, cluster.entry.netboot !== undefined)
        for (const { url } of placed.map(p => p.found)) dependencies.add(url)
        places.push(...placed.map(p => `${p.found.what} of ${name} (${p.found.url}) ${showPlace(p)}`))
        findings.push(...(await outOfReach(name, placed, look)))
        findings.push(
          ...checkConfig(compiled, {
            image: ignitionOf(entry.image?.version),
            user: login.user(name),
            held,
            tree,
            own,
            disk: entry.disk.serial ?? entry.disk.wwn ?? '',
            seen: devicesOf(effective).length === 0 ? undefined : await disksOf(look, name),
          }),
        )
      } catch (thrown) {
        if (!(thrown instanceof Fault) || thrown.transient) throw thrown
        broken.push(thrown)
      }
    }
    findings.push(...namesakes(hosts))
    const [first, ...others] = [...broken, ...findings.filter(f => f.severity === 'refusal')]
    if (first) return refused([first, ...others])
    const fetched = places.length === 0 ? '' : `; they take ${places.join('; ')}`
    return done(
      { hosts, dependencies: [...dependencies] },
      `the Ignition configs of ${hosts.map(h => `${h.name} (spec ${h.spec})`).join(', ')} can be used${fetched}`,
      { warnings: findings.filter(f => f.severity === 'warning') },
    )
  },
})

/** What has to be fetched at the first boot and cannot be, as this computer sees it. */
async function outOfReach(
  name: string,
  placed: PlacedSource[],
  { web, signal, cluster }: Pick<Readers, 'web' | 'cluster'> & { signal: AbortSignal },
): Promise<Finding[]> {
  const kit = cluster.entry.kit
  const asked = placed
    .filter(p => p.place === 'elsewhere' && /^https?:/.test(p.found.url))
    .map(async ({ found: { url, what, never, kept }, why: notInside }): Promise<Finding[]> => {
      const away = await web.whyAway(url, signal)
      // Where a password is asked for, somebody answers.
      if (away?.why === undefined || (never !== undefined && /^it answers \d+$/.test(away.why))) return []
      const at = cluster.entry.hosts[name]!.ignition
      if (kept)
        return [
          {
            severity: 'refusal',
            code: 'ignition-source-too-large',
            blame: 'operator',
            message: `the config of ${name} takes ${what} from ${url}, which does not answer (${away.why}); ${notInside}`,
            remedy: 'Set netboot.address in recover.yaml: this computer then serves it to the machine',
            at,
          },
        ]
      return [
        {
          severity: 'refusal',
          code: 'ignition-source-unreachable',
          blame: 'network',
          message: `the config of ${name} takes ${what} from ${url}, which does not answer (${away.why}), and ${never === undefined ? (kit === undefined ? 'recover.yaml names no kit' : `the kit ${kit} does not have it`) : `a kit never has it, because ${never}`}: its first boot would wait for it for ever`,
          remedy:
            never === undefined
              ? 'While the network is there, run `recover render --fill-kit` with `kit: FOLDER` in recover.yaml; or put it into the config as a local file'
              : 'See that it answers when the machine boots, or put it into the config as a local file',
          at,
        },
      ]
    })
  return (await Promise.all(asked)).flat()
}

/** Whoever has no key at all is told so by the first step that logs in. */
function keyMissing(thrown: unknown): undefined {
  if (thrown instanceof Fault && thrown.code === 'ssh-key-missing') return undefined
  throw thrown
}

/** Names and addresses that are away while the cluster is rebuilt: its machines, and what it serves. */
export function ownNames({ cluster }: Pick<Readers, 'cluster'>): string[] {
  return [
    ...cluster.k0sctl.hosts.flatMap(h => [h.name, h.address]),
    ...Object.values(cluster.entry.hosts).map(h => h.address),
    ...cluster.inventory.hosts.map(h => h.host),
  ]
}

/** The machine's disks, if it lives and has the named one; a dead machine has none to compare with. */
async function disksOf(
  { hosts, cluster, signal }: Pick<Readers, 'hosts' | 'cluster'> & { signal: AbortSignal },
  name: string,
) {
  try {
    const facts = await hosts.anyone(name, signal, h => h.facts(signal))
    return { named: resolveDisk(facts, cluster.entry.hosts[name]!.disk, name), disks: facts.disks }
  } catch (thrown) {
    if (thrown instanceof Fault) return undefined
    throw thrown
  }
}

/** Kubernetes knows machines by their names: two of one name are one node that flickers. */
function namesakes(hosts: { name: string; hostname?: string }[]): Finding[] {
  return hosts.flatMap(({ name, hostname }, i): Finding[] => {
    const twin = hosts.find((other, j) => j < i && hostname !== undefined && other.hostname === hostname)
    return twin === undefined
      ? []
      : [
          {
            severity: 'refusal',
            code: 'ignition-hostname-twice',
            blame: 'operator',
            message: `the configs of ${twin.name} and ${name} both call their machine ${hostname}`,
            remedy: 'Give each host its own /etc/hostname',
          },
        ]
  })
}
