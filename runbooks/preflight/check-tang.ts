import { z } from 'zod'
import { hostOf, pinProblem, readAdvertisement } from '../../src/hosts/ignition/tang.ts'
import { Fault } from '../../src/runbook/fault.ts'
import { done } from '../../src/runbook/step.ts'
import { step } from '../kit.ts'
import { ownNames } from './check-ignition.ts'
import { refused, type Told } from './findings.ts'

/**
 * Every Tang server that a host's disk is to be bound to answers, with the keys that the config pins, and does not stand
 * on what is being rebuilt. Asked from this computer; that the hosts reach it too, only they can tell.
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
    const servers = new Set<string>()
    const problems: Told[] = []
    let transient: Fault | undefined
    for (const { name } of cluster.k0sctl.hosts) {
      const { config, shown } = await ignition(name, signal)
      const pins = (config.storage?.luks ?? []).flatMap(l => l.clevis?.tang ?? [])
      for (const { url = '', thumbprint, advertisement } of pins) {
        const on = [hostOf(url), ...(await tang.addresses(url))].find(n => away.has(n))
        if (on !== undefined) {
          problems.push(circular(url, name, on))
          continue
        }
        try {
          const has = await tang.advertisement(url, signal)
          const pinned = thumbprint
            ? tang.expected(thumbprint)
            : advertised(advertisement, url, tang.expected)
          const differs = pinProblem(`${url} (${shown})`, pinned, has, thumbprint)
          if (differs) problems.push(differs)
          servers.add(url)
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
      { servers: [...servers] },
      servers.size === 0
        ? 'no disk is bound to a Tang server'
        : `${[...servers].join(', ')} answer${servers.size === 1 ? 's' : ''} with the keys that the configs pin`,
    )
  },
})

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
