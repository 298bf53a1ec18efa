import { BlockList, isIP } from 'node:net'
import { z } from 'zod'
import { hostOf, type Outpost, pinProblem, readAdvertisement } from '../../src/hosts/ignition/tang.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done } from '../../src/runbook/step.ts'
import { type Readers, step } from '../kit.ts'
import { ownNames } from './check-ignition.ts'
import { refused, type Told } from './findings.ts'

/**
 * Every Tang server that a host's disk is to be bound to answers, with the keys that the config pins, and does not stand
 * on what is being rebuilt. Asked from a host of the server's own network where one answers, which is what will ask it
 * one day; from this computer otherwise.
 */
export const checkTang = step({
  id: 'preflight/check-tang',
  title: 'Check the Tang servers of encrypted disks',
  byHand:
    '`curl http://TANG/adv` must answer, and `tang-show-keys` on it must print what each Butane file pins.',
  danger: 'reads',
  bounds: { expected: '2s', limit: '2m' },
  retry: { times: 3, delay: '2s' },
  output: z.strictObject({ servers: z.array(z.string()) }),
  async observe(look) {
    const { cluster, ignition, tang, signal } = look
    const away = new Set(ownNames(look))
    const servers = new Map<string, string>()
    let outposts: Promise<Neighbour[]> | undefined
    const problems: Told[] = []
    let transient: Fault | undefined
    for (const { name } of cluster.k0sctl.hosts) {
      const { config, shown } = await ignition(name, signal)
      const pins = (config.storage?.luks ?? []).flatMap(l => l.clevis?.tang ?? [])
      for (const { url = '', thumbprint, advertisement } of pins) {
        const addresses = await tang.addresses(url)
        const on = [hostOf(url), ...addresses].find(n => away.has(n))
        if (on !== undefined) {
          problems.push(circular(url, name, on))
          continue
        }
        try {
          outposts ??= neighbours(look)
          const from = (await outposts).find(n => addresses.some(a => n.sees(a)))
          const has = await tang.advertisement(url, signal, from)
          const pinned = thumbprint
            ? tang.expected(thumbprint)
            : advertised(advertisement, url, tang.expected)
          const differs = pinProblem(`${url} (${shown})`, pinned, has, thumbprint)
          if (differs) problems.push(differs)
          servers.set(url, from?.name ?? 'this computer')
        } catch (thrown) {
          if (!(thrown instanceof Fault)) throw thrown
          if (thrown.transient) transient ??= thrown
          else problems.push(thrown)
        }
      }
    }
    const [first, ...others] = problems
    if (first) return refused([first, ...others, ...(transient ? [transient] : [])])
    if (transient) throw transient
    return done(
      { servers: [...servers.keys()] },
      servers.size === 0
        ? 'no disk is bound to a Tang server'
        : `${[...servers].map(([url, from]) => `${url} (asked from ${from})`).join(', ')} answer${servers.size === 1 ? 's' : ''} with the keys that the configs pin`,
    )
  },
})

/** A running host, and whose networks it stands in. */
interface Neighbour extends Outpost {
  sees(address: string): boolean
}

/** Hosts that answer and have a program to ask with. */
async function neighbours({
  cluster,
  hosts,
  signal,
}: Pick<Readers, 'cluster' | 'hosts'> & { signal: AbortSignal }): Promise<Neighbour[]> {
  const asked = cluster.k0sctl.hosts.map(async ({ name }): Promise<Neighbour[]> => {
    try {
      const facts = await hosts.anyone(name, signal, h => h.facts(signal))
      if (!facts.tools.includes('curl') && !facts.tools.includes('wget')) return []
      const nets = new BlockList()
      for (const net of facts.interfaces.filter(i => i.physical).flatMap(i => i.addresses)) {
        const [address = '', prefix = ''] = net.split('/')
        if (isIP(address)) nets.addSubnet(address, Number(prefix), familyOf(address))
      }
      return [
        {
          name,
          sees: address => isIP(address) !== 0 && nets.check(address, familyOf(address)),
          fetch: url => hosts.anyone(name, signal, h => h.fetch(url, signal)),
        },
      ]
    } catch (thrown) {
      if (!(thrown instanceof Fault) || signal.aborted) throw thrown
      return []
    }
  })
  return (await Promise.all(asked)).flat()
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}

/** Where the config has an advertisement inside, its first signing key is what the disk is bound to. */
function advertised(
  inside: string | null | undefined,
  url: string,
  expected: (thumbprint: string) => string,
): string | undefined {
  const first = inside ? readAdvertisement(inside, url).signing[0] : undefined
  return first === undefined ? undefined : expected(first)
}

function circular(url: string, host: string, on: string): Told {
  return {
    code: 'tang-circular',
    blame: 'operator',
    message: `the disk of ${host} is to be bound to ${url}, which is ${on}: that belongs to the cluster that is being rebuilt, and is away while the disk is made and at every boot before it is up`,
    remedy: 'Run Tang on a machine that stands without the cluster, and name that one in the Butane file',
  }
}
