import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Cluster } from '../src/cluster/load.ts'
import { knownHostLines, knownHostsFile } from '../src/hosts/known-hosts.ts'
import { turnstile } from '../src/hosts/turnstile.ts'
import { connectApi } from '../src/kubernetes/api.ts'
import { applyK0sctl, fetchKubeconfig, unusable } from '../src/kubernetes/k0sctl.ts'
import { type K0sctlRoute, routed, withWholePaths } from '../src/kubernetes/k0sctl-document.ts'
import { k0sctlVersion, patienceAt } from '../src/kubernetes/k0sctl-process.ts'
import { Fault } from '../src/runbook/fault.ts'
import type { K0sctlWriter, RunIdentity } from './kit.ts'
import { refuseOtherCluster } from './kubernetes/other-cluster.ts'
import type { Whereabouts } from './whereabouts.ts'

/** k0sctl with the hosts where they really are, in a folder of this run's. */
export function connectK0sctl(
  { k0sctl, entry, resolve }: Cluster,
  identity: RunIdentity,
  where: Whereabouts,
  folder: string,
  kubeconfig: string,
): K0sctlWriter {
  const program = {
    command: where.k0sctl,
    folder: join(folder, 'k0sctl'),
    knownHosts: knownHostsFile(folder),
    further: k0sctl.further,
  }
  const own = withWholePaths(k0sctl.document, dirname(resolve(entry.k0sctl)))
  const routes = (): K0sctlRoute[] => {
    const { openssh } = where
    const login = openssh ?? where.login()
    // What an agent holds may be behind a passphrase in its file.
    const keyFile = 'agent' in login ? undefined : login.keyFile
    return k0sctl.hosts.map(({ name }) => {
      const { address, port, user } = where.host(name)
      return {
        address,
        port,
        user,
        ...(keyFile === undefined ? {} : { keyFile }),
        ...(openssh && {
          openssh: {
            name,
            knownHosts: knownHostsFile(folder),
            ...(openssh.config === undefined ? {} : { config: openssh.config }),
          },
        }),
        knownHost: knownHostLines({ address, port, keys: identity.hostKeys(name) }),
      }
    })
  }
  // A kubeconfig may be wanted anew at any moment; two at once would work against each other.
  const alone = turnstile(1)
  const document = (which: 'controllers' | 'all') =>
    routed(own, routes(), i => which === 'all' || k0sctl.hosts[i]?.role !== 'worker')
  const options = (signal: AbortSignal, note: (text: string) => void) => ({
    signal,
    patience: patienceAt(where.pace),
    onPhase: (phase: string) => note(`k0sctl: ${phase}`),
  })
  return {
    version: signal => k0sctlVersion(program, signal),
    joinAddress: () => where.api('for workers'),
    apply: (which, flags, signal, note) =>
      alone(() => applyK0sctl(program, document(which), routes(), flags, options(signal, note))),
    async fetchKubeconfig(mustBe, signal, note) {
      const text = await alone(() =>
        fetchKubeconfig(program, document('all'), routes(), where.api('for us'), options(signal, note)),
      )
      if (!existsSync(folder)) return
      const fresh = `${kubeconfig}.new`
      try {
        writeFileSync(fresh, text, { mode: 0o600 })
        await mustBe?.wait('the API to say which cluster it is', () =>
          answersAs(mustBe.clusterUid, fresh, signal),
        )
        // Renamed into place: a kubeconfig is there whole or not at all.
        renameSync(fresh, kubeconfig)
      } finally {
        rmSync(fresh, { force: true })
      }
    },
  }
}

/** A kubeconfig that opens another cluster than this run's is not kept. Undefined while the API does not answer. */
async function answersAs(
  expectedUid: string,
  kubeconfig: string,
  signal: AbortSignal,
): Promise<true | undefined> {
  const api = connectApi({ kubeconfig, signal })
  try {
    const system = await api.reader.get({ apiVersion: 'v1', kind: 'Namespace', name: 'kube-system' })
    refuseOtherCluster(expectedUid, system?.metadata.uid)
    return true
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === 'api-unreachable') return undefined
    if (thrown instanceof Fault && thrown.code === 'api-unauthorized')
      throw unusable('the API does not know its credentials', thrown)
    throw thrown
  } finally {
    await api.close()
  }
}
