import type { KubernetesObject } from '../../../src/kubernetes/kubernetes.ts'
import { type Connected, connectBy, type Json } from '../../lab/kubernetes/cluster.ts'
import { ArgoCd } from './argocd.ts'
import type { ControlPlane } from './control-plane.ts'
import { partFile } from './parts.ts'

/**
 * What would run in the pods that kwok only says are running: Argo CD's and Cilium's own controllers as processes, as
 * soon as their pods are; and stand-ins for
 * what cannot be had as a program or not without a kernel: 1Password's operator, a CSI provisioner, Cilium's agents.
 */
export class Operators {
  private readonly controlPlane: ControlPlane
  private readonly cluster: Connected
  private readonly argocd: ArgoCd
  private ciliumRuns = false
  private ended = false
  private readonly working: Promise<void>
  /** What went wrong in a look; a test asks in the end. */
  readonly stumbles: string[] = []

  constructor(controlPlane: ControlPlane) {
    this.controlPlane = controlPlane
    this.cluster = connectBy(controlPlane.kubeconfig)
    this.argocd = new ArgoCd(controlPlane)
    this.working = this.work()
  }

  async close(): Promise<void> {
    this.ended = true
    await this.working
    await this.cluster.close()
  }

  private async work(): Promise<void> {
    while (!this.ended) {
      try {
        await this.deliverItems()
        await this.provision()
        await this.announceNodes()
        if (!this.ciliumRuns && (await this.hasPod('kube-system', 'name=cilium-operator'))) this.startCilium()
        if (
          !this.argocd.started &&
          (await this.hasPod('argocd', 'app.kubernetes.io/name=argocd-application-controller'))
        )
          await this.argocd.start(this.cluster)
        if (this.argocd.started) await this.argocd.mountCertificates(this.cluster)
      } catch (error) {
        this.stumbles.push(String((error as Error).stack ?? error))
      }
      await new Promise(resolve => setTimeout(resolve, 150))
    }
  }

  private async hasPod(namespace: string, selector: string): Promise<boolean> {
    const query = new URLSearchParams({ labelSelector: selector, fieldSelector: 'status.phase=Running' })
    const { body } = await this.cluster.ask('GET', `/api/v1/namespaces/${namespace}/pods?${query}`)
    return (body.items?.length ?? 0) > 0
  }

  /** As 1Password's operator: a Secret for each item, and a word in the item's status. */
  private async deliverItems(): Promise<void> {
    for (const item of await this.all('/apis/onepassword.com/v1/onepassworditems')) {
      if (item.status?.conditions !== undefined) continue
      const { namespace, name } = item.metadata
      await this.cluster.apply('onepassword-operator', {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace },
        stringData: { password: `made up for ${item.spec.itemPath}` },
      })
      await this.cluster.ask(
        'PATCH',
        `/apis/onepassword.com/v1/namespaces/${namespace}/onepassworditems/${name}/status`,
        { status: { conditions: [{ type: 'Ready', status: 'True', reason: 'ItemUpdated' }] } },
        'application/merge-patch+json',
      )
    }
  }

  /** As a CSI driver's provisioner: a volume, promised to its claim, for each claim of its class that names none. */
  private async provision(): Promise<void> {
    for (const claim of await this.all('/api/v1/persistentvolumeclaims')) {
      const { metadata, spec, status } = claim
      if (status?.phase !== 'Pending' || spec.volumeName || spec.storageClassName !== 'synology-iscsi')
        continue
      const volume: KubernetesObject = {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: `pvc-${metadata.uid}` },
        spec: {
          capacity: { storage: spec.resources.requests.storage },
          accessModes: spec.accessModes,
          persistentVolumeReclaimPolicy: 'Retain',
          storageClassName: spec.storageClassName,
          claimRef: { namespace: metadata.namespace, name: metadata.name, uid: metadata.uid },
          csi: { driver: 'csi.san.synology.com', volumeHandle: metadata.uid },
        },
      }
      await this.cluster.apply('csi-provisioner', volume)
    }
  }

  /** As Cilium's agents: each node on which one runs is known to Cilium, once the operator has brought the kind. */
  private async announceNodes(): Promise<void> {
    const path = '/apis/cilium.io/v2/ciliumnodes'
    const { status, body } = await this.cluster.ask('GET', path)
    if (status !== 200) return
    const known = new Set(body.items.map((n: Json) => n.metadata.name))
    const query = new URLSearchParams({
      labelSelector: 'k8s-app=cilium',
      fieldSelector: 'status.phase=Running',
    })
    for (const pod of await this.all(`/api/v1/namespaces/kube-system/pods?${query}`))
      if (!known.has(pod.spec.nodeName))
        await this.cluster.ask('POST', path, {
          apiVersion: 'cilium.io/v2',
          kind: 'CiliumNode',
          metadata: { name: pod.spec.nodeName },
          spec: {},
        })
  }

  private async all(path: string): Promise<Json[]> {
    const { body } = await this.cluster.ask('GET', path)
    return body.items ?? []
  }

  private startCilium(): void {
    this.ciliumRuns = true
    this.controlPlane.processes.start('cilium-operator', {
      program: partFile('cilium', 'cilium-operator-generic'),
      args: [
        `--k8s-kubeconfig-path=${this.controlPlane.kubeconfig}`,
        '--cluster-name=home',
        '--cluster-id=0',
        '--enable-ipv4=true',
        '--enable-ipv6=false',
        '--ipam=cluster-pool',
        '--cluster-pool-ipv4-cidr=10.244.0.0/16',
        '--cluster-pool-ipv4-mask-size=24',
        // Its default; one operator of a test file at a time is what two files at once would have to agree on.
        '--operator-api-serve-addr=127.0.0.1:0',
        '--enable-metrics=false',
        '--operator-pprof=false',
      ],
      env: { K8S_NODE_NAME: 'lithium', CILIUM_K8S_NAMESPACE: 'kube-system' },
    })
  }
}
