import { kitOf } from '../../src/cluster/kit-folder.ts'
import type { HostReader } from '../../src/hosts/host.ts'
import { placeSources, writeSources } from '../../src/hosts/ignition/place-sources.ts'
import { type PreparedIgnition, prepareIgnition } from '../../src/hosts/ignition/prepare.ts'
import { findSources } from '../../src/hosts/ignition/sources.ts'
import { Fault } from '../../src/runbook/fault.ts'
import type { Writers } from '../kit.ts'

/**
 * This run's config of a host, with what it takes from elsewhere put where the machine gets it. Asked for while something
 * still runs on the machine, from which it can be seen what it reaches. Throws Fault `ignition-source-out-of-reach`.
 * @param machine what runs on it now
 */
export async function configFor(
  name: string,
  machine: Pick<HostReader, 'reaches' | 'fetch'>,
  {
    cluster,
    run,
    hosts,
    ignition,
    signal,
    note,
  }: Pick<Writers, 'cluster' | 'run' | 'hosts' | 'ignition'> & {
    signal: AbortSignal
    note(text: string): void
  },
): Promise<PreparedIgnition> {
  const shown = cluster.entry.hosts[name]!.ignition
  const identity = { run: run.id, host: name, keys: run.hostKeys(name) }
  const compiled = await ignition(name, signal)
  const tree = findSources(compiled.config, kitOf(cluster), shown)
  const placed = placeSources(tree, cluster.entry.netboot !== undefined)
  if (!placed.some(p => p.found.kept)) return prepareIgnition(compiled.text, shown, identity)
  const served = placed.filter(p => p.place === 'served')
  if (served.length === 0)
    return prepareIgnition(JSON.stringify(writeSources(tree, placed, noUrl)), shown, identity)
  const { urlOf, probe } = await hosts.serveSources(
    name,
    served.map(p => p.found.kept!),
  )
  if ((await machine.fetch(probe, signal)) === undefined) {
    hosts.withdrawSources(name)
    for (const one of served) {
      const { url, what } = one.found
      if (!(await machine.reaches(url, signal))) throw outOfReach(name, what, url, probe)
      note(`${name} does not reach this computer at ${new URL(probe).host}; it is to fetch ${url} itself`)
      one.place = 'elsewhere'
    }
  }
  return prepareIgnition(JSON.stringify(writeSources(tree, placed, urlOf)), shown, identity)
}

function noUrl(): never {
  throw new Error('nothing is served')
}

function outOfReach(name: string, what: string, url: string, probe: string): Fault {
  return new Fault({
    code: 'ignition-source-out-of-reach',
    blame: 'network',
    message: `${name} reaches neither this computer at ${new URL(probe).host}, which serves the kit, nor ${url}, and its config takes ${what} from there: its first boot would wait for it for ever; nothing was written`,
    remedy: `Let ${name} through to this computer (netboot.address and netboot.port in recover.yaml) or to that address; then run \`recover resume --accept cluster-file\``,
  })
}
