import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { KubernetesObject } from '../../../src/kubernetes/kubernetes.ts'
import type { KubernetesPart } from '../../../src/lab/lab.ts'
import type { MachinesSeam } from '../../../src/lab/seams.ts'
import { type Connected, connectBy } from '../../lab/kubernetes/cluster.ts'
import type { ControlPlane } from './control-plane.ts'

/**
 * A real control plane in the place of a lab's emulated one. It is reached while the lab's controller runs k0s, through a
 * line that is cut when that stops; machines that joined are its nodes, and what their kubelets would do kwok does.
 */
export class RealKubernetes implements KubernetesPart {
  readonly seam: KubernetesPart['seam']
  private readonly machines: MachinesSeam
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  private readonly cluster: Connected
  private readonly nodes = new Map<string, { ready: boolean }>()
  private looking: Promise<void> | undefined
  private readonly tick: NodeJS.Timeout
  private epoch: string | undefined
  private isReady = false
  private uid = ''
  private port = 0

  /** @param at port at which clients reach the API; another program's that stands in front of it, or its own */
  constructor(controlPlane: ControlPlane, machines: MachinesSeam, at?: number) {
    this.machines = machines
    this.cluster = connectBy(controlPlane.kubeconfig)
    const target = at ?? Number(new URL(controlPlane.server).port)
    this.server = createServer(socket => {
      if (!machines.controlPlaneUp()) {
        socket.destroy()
        return
      }
      const onward = connect(target, '127.0.0.1')
      for (const [one, other] of [
        [socket, onward],
        [onward, socket],
      ] as const) {
        this.sockets.add(one)
        one.pipe(other)
        one.on('error', () => other.destroy())
        one.on('close', () => {
          this.sockets.delete(one)
          other.destroy()
        })
      }
    })
    this.seam = {
      adminKubeconfig: () =>
        readFileSync(controlPlane.kubeconfig, 'utf8').replace(
          controlPlane.server,
          `https://127.0.0.1:${this.port}`,
        ),
      clusterUid: () => this.uid,
      ready: () => machines.controlPlaneUp() && this.isReady,
      node: name => this.nodes.get(name),
      apply: () => {
        throw new Error('this control plane is a real one: apply manifests through its API')
      },
    }
    this.tick = setInterval(() => {
      this.looking ??= this.look().finally(() => {
        this.looking = undefined
      })
    }, 100)
  }

  listen(port = 0): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      // At the address for which the real server's certificate is.
      this.server.listen(port, '127.0.0.1', () => {
        this.port = (this.server.address() as AddressInfo).port
        resolve(this.port)
      })
    })
  }

  async close(): Promise<void> {
    clearInterval(this.tick)
    for (const socket of this.sockets) socket.destroy()
    await this.looking
    await this.cluster.close()
    await new Promise(resolve => this.server.close(resolve))
  }

  private async look(): Promise<void> {
    if (!this.machines.controlPlaneUp()) {
      for (const socket of this.sockets) socket.destroy()
      return
    }
    this.epoch ??= this.machines.controlPlaneEpoch()
    if (this.epoch !== this.machines.controlPlaneEpoch())
      throw new Error('the machines began a second control plane; there is only one real one')
    try {
      this.isReady = (await this.cluster.ask('GET', '/readyz')).status === 200
      if (!this.isReady) return
      if (this.uid === '')
        this.uid = (await this.cluster.ask('GET', '/api/v1/namespaces/kube-system')).body.metadata.uid
      for (const node of this.machines.nodes()) {
        const { status, body } = await this.cluster.ask('GET', `/api/v1/nodes/${node.name}`)
        if (status === 404) await this.cluster.ask('POST', '/api/v1/nodes', registered(node))
        const conditions: { type: string; status: string }[] = body?.status?.conditions ?? []
        this.nodes.set(node.name, {
          ready: conditions.some(c => c.type === 'Ready' && c.status === 'True'),
        })
      }
    } catch {
      // It is away for a moment, as some tests want it.
      this.isReady = false
    }
  }
}

/** What a kubelet registers its machine as. */
function registered({
  name,
  address,
  kubeletVersion,
}: ReturnType<MachinesSeam['nodes']>[number]): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
      },
      annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
    },
    status: {
      capacity: { cpu: '8', memory: '16Gi', pods: '250' },
      allocatable: { cpu: '8', memory: '16Gi', pods: '250' },
      addresses: [{ type: 'InternalIP', address }],
      nodeInfo: { kubeletVersion },
    },
  }
}
