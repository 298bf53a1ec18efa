import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { KubernetesObject } from '../../../src/kubernetes/kubernetes.ts'
import { running, until } from './commands.ts'
import { type CsiClient, type CsiMessage, openCsi } from './csi-client.ts'
import type { LiveMachine } from './live-machine.ts'

/** A node with the real CSI driver on it, called as its kubelet and the sidecars call it. */
export interface CsiNode {
  driver: CsiClient
  /** Runs a script there as root, on one line that stays: logging in anew each time takes an emulated processor seconds. */
  shell(script: string, timeoutMs?: number): Promise<string>
  /** Starts the driver for a NAS's Web API; resolves when it answers. */
  start(nas: { host: string; port: number; https: boolean; account: string; password: string }): Promise<void>
  stop(): Promise<void>
  /** Mounts a PersistentVolume where kubelet has it mounted for all pods of the node, and gives that folder. */
  stage(volume: KubernetesObject): Promise<string>
  unstage(volume: KubernetesObject): Promise<void>
  /** Brings a staged volume to a pod, and gives the folder that the pod sees. */
  publish(volume: KubernetesObject): Promise<string>
  unpublish(volume: KubernetesObject): Promise<void>
  /** Grows what is mounted there to the disk's size. */
  grow(volume: KubernetesObject, at: string): Promise<void>
  /** What the driver has written since it was started. */
  log(): Promise<string>
}

const port = 9000
const pod = '/var/lib/kubelet/pods/0c1d2e3f/volumes/kubernetes.io~csi'

/** Brings a driver's program to a machine. */
export async function makeCsiNode(live: LiveMachine, program: string): Promise<CsiNode> {
  const shell = lineTo(live)
  await bring(live, program, shell)
  const driver = openCsi(live.machine.address, port)
  return {
    driver,
    shell,
    async start({ host, port: webApi, https, account, password }) {
      // What it asks of a cluster it asks for shares of NFS alone, but without a token it does not start.
      await shell(`mkdir -p /var/run/secrets/kubernetes.io/serviceaccount
echo token >/var/run/secrets/kubernetes.io/serviceaccount/token
cat >/run/client-info.yml <<'CLIENTS'
${JSON.stringify({ clients: [{ host, port: webApi, https, username: account, password }] })}
CLIENTS
rm -f /run/csi.log
systemd-run --quiet --unit=csi -E KUBERNETES_SERVICE_HOST=${host} -E KUBERNETES_SERVICE_PORT=6443 \\
  -p StandardOutput=append:/run/csi.log -p StandardError=append:/run/csi.log \\
  /usr/local/bin/synology-csi-driver --nodeid=${live.machine.name} --endpoint=tcp://0.0.0.0:${port} --client-info=/run/client-info.yml`)
      await until('the CSI driver', 180_000, () => driver.call('Identity/GetPluginInfo', {}))
    },
    stop: async () => void (await shell('systemctl stop csi')),
    async stage(volume) {
      const { handle, attributes } = csiOf(volume)
      const at = globalMount(volume)
      await shell(`mkdir -p ${at}`)
      await driver.call('Node/NodeStageVolume', {
        ...{ 1: handle, 3: at, 4: capabilityOf(volume), 6: { map: attributes } },
      })
      return at
    },
    unstage: async volume =>
      void (await driver.call('Node/NodeUnstageVolume', { 1: csiOf(volume).handle, 2: globalMount(volume) })),
    async publish(volume) {
      const { handle, attributes } = csiOf(volume)
      const at = `${pod}/${volume.metadata.name}/mount`
      await shell(`mkdir -p ${pod}/${volume.metadata.name}`)
      await driver.call('Node/NodePublishVolume', {
        ...{ 1: handle, 3: globalMount(volume), 4: at, 5: capabilityOf(volume), 8: { map: attributes } },
      })
      return at
    },
    unpublish: async volume =>
      void (await driver.call('Node/NodeUnpublishVolume', {
        ...{ 1: csiOf(volume).handle, 2: `${pod}/${volume.metadata.name}/mount` },
      })),
    grow: async (volume, at) =>
      void (await driver.call('Node/NodeExpandVolume', {
        ...{ 1: csiOf(volume).handle, 2: at, 4: globalMount(volume), 5: capabilityOf(volume) },
      })),
    log: () => shell('cat /run/csi.log'),
  }
}

/** A capability as the external provisioner and kubelet make it of a PersistentVolume. */
function capabilityOf({ spec }: KubernetesObject): CsiMessage {
  const { csi, accessModes, mountOptions } = spec as {
    csi: { fsType?: string }
    accessModes: string[]
    mountOptions?: string[]
  }
  return {
    2: { 1: csi.fsType ?? '', ...(mountOptions ? { 2: mountOptions } : {}) },
    3: { 1: accessModes.includes('ReadWriteMany') ? 5 : 1 },
  }
}

function csiOf({ spec }: KubernetesObject) {
  const { volumeHandle, volumeAttributes } = (
    spec as { csi: { volumeHandle: string; volumeAttributes: Record<string, string> } }
  ).csi
  return { handle: volumeHandle, attributes: volumeAttributes }
}

/** Where kubelet has it: two volumes of one handle are one mount. */
function globalMount(volume: KubernetesObject): string {
  const hash = createHash('sha256').update(csiOf(volume).handle).digest('hex')
  return `/var/lib/kubelet/plugins/kubernetes.io/csi/csi.san.synology.com/${hash}/globalmount`
}

/** OpenSSH's own, which keeps one connection open for a while. */
function lineTo({ login, machine }: LiveMachine): CsiNode['shell'] {
  const shared = ['ControlMaster=auto', `ControlPath=${login.file}.%n`, 'ControlPersist=600']
  const trusting = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR']
  const options = [...shared, ...trusting, 'ConnectTimeout=60'].flatMap(option => ['-o', option])
  const args = ['-i', login.file, ...options, `core@${machine.address}`, 'sudo sh -eu']
  return (script, timeoutMs = 120_000) => running('ssh', args, timeoutMs, script)
}

/** By HTTP: 30 MB by SSH are too much for an emulated processor. */
async function bring(live: LiveMachine, program: string, shell: CsiNode['shell']): Promise<void> {
  const server = createServer((_, response) => createReadStream(program).pipe(response))
  await new Promise<void>(resolve => server.listen(0, live.network.own, resolve))
  const url = `http://${live.network.own}:${(server.address() as AddressInfo).port}/`
  const to = '/usr/local/bin/synology-csi-driver'
  await shell(`wget -q -O ${to} ${url} && chmod +x ${to}`, 300_000)
  server.close()
}
