import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { unwellObjects } from '../../../src/gitops/unwell.ts'
import type { KubernetesObject } from '../../../src/kubernetes/kubernetes.ts'
import type { Blueprint } from '../../../src/lab/blueprint.ts'
import {
  type Cluster,
  eventually,
  helium,
  install,
  type Json,
  onMachine,
  pathOf,
  startCluster,
} from './cluster.ts'

let cluster: Cluster
const photos = '0f5a7c64-1111-4222-8333-444455556666'

async function start(change: (blueprint: Blueprint) => void = () => {}): Promise<void> {
  cluster = await startCluster(change)
}
afterEach(async () => {
  // A controller that stumbles is a bug of the lab's, whatever the test was about.
  const log = join(cluster.world.dir, 'kubernetes', 'controllers.log')
  const stumbled = existsSync(log) ? readFileSync(log, 'utf8') : ''
  await cluster.close()
  expect(stumbled).toBe('')
})

const apply = async (...objects: KubernetesObject[]): Promise<void> => {
  for (const object of objects) await cluster.api.writer.apply(object, { force: true })
}
const read = async (kind: string, name: string, namespace = 'default'): Promise<Json> => {
  const apiVersion = versions[kind] ?? 'v1'
  const { status, body } = await cluster.ask(
    'GET',
    pathOf({ apiVersion, kind, metadata: { name, namespace } }),
  )
  return status === 200 ? body : undefined
}
const versions: Record<string, string> = {
  Deployment: 'apps/v1',
  StatefulSet: 'apps/v1',
  DaemonSet: 'apps/v1',
  Job: 'batch/v1',
  Application: 'argoproj.io/v1alpha1',
  CustomResourceDefinition: 'apiextensions.k8s.io/v1',
  OnePasswordItem: 'onepassword.com/v1',
}
const remove = async (kind: string, name: string, namespace = 'default') => {
  const apiVersion = versions[kind] ?? 'v1'
  const gone = await cluster.ask('DELETE', pathOf({ apiVersion, kind, metadata: { name, namespace } }))
  expect(gone.status).toBe(200)
}
const phase = async (kind: string, name: string) => (await read(kind, name))?.status?.phase
const reaches = (kind: string, name: string, wanted: string) =>
  eventually(`${kind} ${name} to be ${wanted}`, async () => (await phase(kind, name)) === wanted)
/** Everything that is going to happen has happened: nothing new for a while. */
const rest = async () => {
  let before = ''
  await eventually('rest', async () => {
    await new Promise(resolve => setTimeout(resolve, 120))
    const { body } = await cluster.ask('GET', '/api/v1/nodes')
    const same = body.metadata.resourceVersion === before
    before = body.metadata.resourceVersion
    return same
  })
}
/** What the pod says of itself, as a person is told. */
const why = async (name: string): Promise<string> => {
  const pod = { apiVersion: 'v1', kind: 'Pod', namespace: (await namespaceOf(name)) ?? 'default', name }
  return (await unwellObjects(cluster.api.reader, [pod]))[0]?.why ?? ''
}
const namespaceOf = async (pod: string) =>
  (await cluster.api.reader.list({ apiVersion: 'v1', kind: 'Pod' })).find(p => p.metadata.name === pod)
    ?.metadata.namespace

const workload = (
  kind: 'Deployment' | 'StatefulSet' | 'DaemonSet',
  name: string,
  pod: object = {},
  more: object = {},
): KubernetesObject => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name, namespace: 'default' },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'main' }], ...pod } },
    ...more,
  },
})
const cilium = [
  workload('Deployment', 'cilium-operator', { hostNetwork: true }),
  workload('DaemonSet', 'cilium', { hostNetwork: true }),
]
const csi = [workload('StatefulSet', 'synology-csi-controller'), workload('DaemonSet', 'synology-csi-node')]
const nodeReady = async (name = 'lithium') => {
  const node = await read('Node', name)
  return node?.status?.conditions?.some((c: Json) => c.type === 'Ready' && c.status === 'True') === true
}
const withNetwork = async () => {
  await apply(...cilium)
  await eventually('the node to be Ready', () => nodeReady())
}

const storageClass = (reclaimPolicy: string, annotations: Record<string, string> = {}): KubernetesObject => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'synology', annotations },
  provisioner: 'csi.san.synology.com',
  reclaimPolicy,
  parameters: { fsType: 'btrfs' },
})
const claim = (name: string, spec: object = {}): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace: 'default' },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'synology',
    resources: { requests: { storage: '1Gi' } },
    ...spec,
  },
})
const volume = (name: string, spec: object = {}, metadata: object = {}): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name, ...metadata },
  spec: {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Retain',
    storageClassName: 'synology',
    csi: { driver: 'csi.san.synology.com', volumeHandle: photos, fsType: 'btrfs' },
    ...spec,
  },
})
const owner = (name: string, uid?: string) => ({
  claimRef: { namespace: 'default', name, ...(uid === undefined ? {} : { uid }) },
})
const luns = (): Json[] => cluster.world.read<Json>('nas').luns
const sessions = (): string[] =>
  cluster.world.read<Json>('nas').targets.flatMap((t: Json) => t.sessions.map((s: Json) => s.iqn))
const mounting = (claimName: string) => ({
  containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
  volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
})
const filesOf = (uuid: string) => readdirSync(join(cluster.world.dir, 'nas', 'luns', uuid))

describe('binding', () => {
  beforeEach(() => start())

  test('a volume that waits for a claim by name gets that one, and its uid', async () => {
    // The free one comes first by name and fits as well.
    await apply(volume('a-free'), volume('promised', owner('data')), claim('data'))
    await reaches('PersistentVolumeClaim', 'data', 'Bound')
    const bound = await read('PersistentVolumeClaim', 'data')
    expect(bound.spec.volumeName).toBe('promised')
    const pv = await read('PersistentVolume', 'promised')
    expect(pv.spec.claimRef.uid).toBe(bound.metadata.uid)
    expect(pv.status.phase).toBe('Bound')
    expect(await phase('PersistentVolume', 'a-free')).toBe('Available')
  })

  test('a volume of another incarnation of the claim is Released and stays so, until its uid is taken out', async () => {
    await apply(
      volume('old', owner('data', '11111111-1111-4111-8111-111111111111')),
      claim('data', { volumeName: 'old' }),
    )
    await reaches('PersistentVolume', 'old', 'Released')
    await rest()
    expect(await phase('PersistentVolumeClaim', 'data')).toBe('Pending')
    await cluster.ask(
      'PATCH',
      '/api/v1/persistentvolumes/old',
      [{ op: 'remove', path: '/spec/claimRef/uid' }],
      'application/json-patch+json',
    )
    await reaches('PersistentVolumeClaim', 'data', 'Bound')
  })

  test('a claim whose volume was lost says so', async () => {
    await apply(volume('v', owner('data')), claim('data', { volumeName: 'v' }))
    await reaches('PersistentVolumeClaim', 'data', 'Bound')
    await remove('PersistentVolume', 'v')
    await rest()
    // In use it stays, unless somebody takes away what holds it.
    expect(await phase('PersistentVolumeClaim', 'data')).toBe('Bound')
    await cluster.ask(
      'PATCH',
      '/api/v1/persistentvolumes/v',
      { metadata: { finalizers: null } },
      'application/merge-patch+json',
    )
    await reaches('PersistentVolumeClaim', 'data', 'Lost')
  })

  test('volumeName is the only volume that a claim takes', async () => {
    await apply(volume('other'), claim('data', { volumeName: 'mine' }))
    await rest()
    expect(await phase('PersistentVolumeClaim', 'data')).toBe('Pending')
    await apply(volume('mine'))
    await reaches('PersistentVolumeClaim', 'data', 'Bound')
    expect(await phase('PersistentVolume', 'other')).toBe('Available')
  })

  test.each<[string, object, object]>([
    ['class', {}, { storageClassName: 'other' }],
    ['no class', {}, { storageClassName: '' }],
    ['size', {}, { resources: { requests: { storage: '2Gi' } } }],
    ['access mode', {}, { accessModes: ['ReadWriteMany'] }],
    ['volume mode', { volumeMode: 'Block' }, {}],
    ['owner', owner('somebody-else'), {}],
  ])('another %s stays Pending', async (_, ofVolume, ofClaim) => {
    await apply(volume('v', ofVolume), claim('data', ofClaim))
    await rest()
    expect(await phase('PersistentVolumeClaim', 'data')).toBe('Pending')
    expect(await phase('PersistentVolume', 'v')).toBe('Available')
  })

  test('of free volumes the smallest that fits is taken', async () => {
    const sized = (name: string, storage: string) => volume(name, { capacity: { storage } })
    await apply(sized('a', '10Gi'), sized('b', '1Gi'), sized('c', '512Mi'), claim('data'))
    await reaches('PersistentVolumeClaim', 'data', 'Bound')
    expect((await read('PersistentVolumeClaim', 'data')).spec.volumeName).toBe('b')
  })
})

describe('the CSI driver', () => {
  test('makes a LUN for a claim only while its controller runs, and deletes it with Delete', async () => {
    await start()
    await withNetwork()
    await apply(storageClass('Delete'), claim('data'))
    await rest()
    expect(await phase('PersistentVolumeClaim', 'data')).toBe('Pending')
    expect(luns()).toHaveLength(1)
    await apply(...csi)
    await reaches('PersistentVolumeClaim', 'data', 'Bound')
    const pv = `pvc-${(await read('PersistentVolumeClaim', 'data')).metadata.uid}`
    expect(luns()[1]).toMatchObject({ name: `k8s-csi-${pv}`, size: 1_073_741_824, fsType: null })
    expect(await read('PersistentVolume', pv)).toMatchObject({
      spec: {
        persistentVolumeReclaimPolicy: 'Delete',
        csi: { volumeHandle: luns()[1].uuid, fsType: 'btrfs' },
      },
      status: { phase: 'Bound' },
    })
    await remove('PersistentVolumeClaim', 'data')
    await eventually('the LUN to be deleted', () => luns().length === 1)
    expect(await read('PersistentVolume', pv)).toBeUndefined()
  })

  test('keeps the LUN with Retain', async () => {
    await start()
    await withNetwork()
    await apply(...csi, storageClass('Retain'), claim('data'))
    await reaches('PersistentVolumeClaim', 'data', 'Bound')
    const pv = (await read('PersistentVolumeClaim', 'data')).spec.volumeName
    await remove('PersistentVolumeClaim', 'data')
    await reaches('PersistentVolume', pv, 'Released')
    await rest()
    expect(luns()).toHaveLength(2)
  })

  test('deletes the data of a volume that is put back with its old uid and Delete: the trap', async () => {
    await start()
    await withNetwork()
    const stale = owner('data', '11111111-1111-4111-8111-111111111111')
    const policy = { persistentVolumeReclaimPolicy: 'Delete' }
    const ours = { annotations: { 'pv.kubernetes.io/provisioned-by': 'csi.san.synology.com' } }
    // Without the driver's mark nobody feels responsible.
    await apply(...csi, volume('unmarked', { ...stale, ...policy }))
    await reaches('PersistentVolume', 'unmarked', 'Failed')
    expect(luns()).toHaveLength(1)
    await apply(volume('marked', { ...stale, ...policy }, ours))
    await eventually('the LUN to be deleted', () => luns().length === 0)
  })

  test('a claim without a class gets the default one, also when that comes later', async () => {
    await start()
    await withNetwork()
    const { storageClassName: _, ...spec } = claim('data').spec as Json
    await apply(...csi, { ...claim('data'), spec })
    await rest()
    expect(luns()).toHaveLength(1)
    await apply(storageClass('Retain', { 'storageclass.kubernetes.io/is-default-class': 'true' }))
    await reaches('PersistentVolumeClaim', 'data', 'Bound')
  })

  test('a full NAS leaves the claim Pending', async () => {
    await start(b => {
      b.nas.volumeSizeBytes = 1_073_741_824
    })
    await withNetwork()
    await apply(...csi, storageClass('Retain'), claim('data'))
    await eventually('the refusal', async () =>
      (await read('PersistentVolumeClaim', 'data')).status?.conditions?.some(
        (c: Json) => c.type === 'ProvisioningFailed',
      ),
    )
    expect(await phase('PersistentVolumeClaim', 'data')).toBe('Pending')
  })
})

describe('pods', () => {
  test('wait for a node, a claim, a secret and the CSI driver, and then run', async () => {
    await start()
    const secret = { secretRef: { name: 'password' } }
    const { containers, volumes } = mounting('data')
    await apply(
      workload('Deployment', 'app', { volumes, containers: [{ ...containers[0], envFrom: [secret] }] }),
    )
    const waits = (reason: string) =>
      eventually(`the pod to wait for ${reason}`, async () => (await why('app-0')).includes(reason))
    await waits('persistentvolumeclaim "data" is not bound')
    await apply(volume('v', owner('data')), claim('data', { volumeName: 'v' }))
    await waits('untolerated taint {node.kubernetes.io/not-ready}')
    await withNetwork()
    await waits('secret "password" not found')
    await apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'password', namespace: 'default' } })
    await waits('driver name csi.san.synology.com not found')
    expect(sessions()).toEqual([])
    await apply(...csi)
    await reaches('Pod', 'app-0', 'Running')
    expect(sessions()).toHaveLength(1)
    expect(filesOf(photos)).toEqual(['2019', '2021'])
    expect((await read('Deployment', 'app')).status).toMatchObject({ readyReplicas: 1 })
    // Its claim is let go when nobody uses it any more.
    await remove('Deployment', 'app')
    await eventually('the session to end', () => sessions().length === 0)
    expect(await read('Pod', 'app-0')).toBeUndefined()
  })

  test('get a disk as the file system that it has, also where none is named, and never as another', async () => {
    await start()
    await withNetwork()
    const csiOf = (fsType?: string) => ({
      csi: { driver: 'csi.san.synology.com', volumeHandle: photos, ...(fsType ? { fsType } : {}) },
    })
    await apply(
      ...csi,
      volume('v', { ...owner('data'), ...csiOf('ext4') }),
      claim('data', { volumeName: 'v' }),
    )
    await apply(workload('Deployment', 'app', mounting('data')))
    await eventually('the pod to be refused', async () => (await why('app-0')).includes('which holds btrfs'))
    expect(filesOf(photos)).toEqual(['2019', '2021'])
    await remove('Deployment', 'app')
    await apply(volume('w', { ...owner('other'), ...csiOf() }), claim('other', { volumeName: 'w' }))
    await apply(workload('Deployment', 'found', mounting('other')))
    await reaches('Pod', 'found-0', 'Running')
  })

  test('that find an empty volume begin anew: the harm that must not happen', async () => {
    await start()
    await withNetwork()
    await apply(
      ...csi,
      storageClass('Retain'),
      workload('StatefulSet', 'db', mounting('x'), {
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim('x').spec }],
        template: {
          metadata: { labels: { app: 'db' } },
          spec: { containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: '/data' }] }] },
        },
      }),
    )
    await reaches('Pod', 'db-0', 'Running')
    const made = luns()[1]
    expect(made.fsType).toBe('btrfs')
    expect(filesOf(made.uuid)).toEqual(['initialised.txt'])
    expect((await read('PersistentVolumeClaim', 'data-db-0')).status.phase).toBe('Bound')
  })

  test('take the claim of their StatefulSet that is there already, with its data', async () => {
    await start()
    await withNetwork()
    await apply(...csi, volume('v', owner('data-db-0')), claim('data-db-0', { volumeName: 'v' }))
    await apply(
      workload(
        'StatefulSet',
        'db',
        { containers: mounting('').containers },
        {
          volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim('x').spec }],
        },
      ),
    )
    await reaches('Pod', 'db-0', 'Running')
    expect(filesOf(photos)).toEqual(['2019', '2021'])
  })

  test('one initiator writes at a time: a machine that was not fenced keeps the volume', async () => {
    await start(b => b.hosts.push(helium))
    await install(cluster.endpoints, 'helium').catch(() => {})
    const token = await onMachine(cluster.endpoints, 'lithium', sudo =>
      sudo('/opt/bin/k0s token create --role=worker'),
    )
    await onMachine(cluster.endpoints, 'helium', async sudo => {
      await sudo('install -D -m 0750 /dev/stdin /opt/bin/k0s', 'v1.34.2+k0s.0')
      await sudo('install -D -m 0600 /dev/stdin /etc/k0s/k0stoken', token)
      await sudo('/opt/bin/k0s install worker --data-dir=/var/lib/k0s --token-file=/etc/k0s/k0stoken')
      await sudo('systemctl start k0sworker')
    })
    await withNetwork()
    await eventually('helium to be Ready', () => nodeReady('helium'))
    await apply(...csi, volume('v', owner('data')), claim('data', { volumeName: 'v' }))
    const pinned = (name: string, nodeName: string) =>
      workload('Deployment', name, { ...mounting('data'), nodeName })
    await apply(pinned('one', 'lithium'))
    await reaches('Pod', 'one-0', 'Running')
    await apply(pinned('two', 'helium'))
    await eventually('the second to be refused', async () =>
      (await why('two-0')).includes('non-retryable iSCSI login failure'),
    )
    expect(sessions()).toHaveLength(1)
    await remove('Deployment', 'one')
    await reaches('Pod', 'two-0', 'Running')
    expect(sessions()).toHaveLength(1)
  })

  test('that crash say so, and their Deployment is given up', async () => {
    await start()
    await withNetwork()
    cluster.world.arm('application-degraded', 'shop', 1_000)
    const app = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'app' }
    const deployment = workload('Deployment', 'app')
    await apply(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
      { ...deployment, metadata: { ...deployment.metadata, namespace: 'shop' } },
    )
    await eventually('the end of its patience', async () => {
      const live = (await cluster.api.reader.get(app)) as Json
      return (live?.status?.conditions ?? []).some(
        (c: Json) => c.type === 'Progressing' && c.reason === 'ProgressDeadlineExceeded',
      )
    })
    await eventually('its pod to say why', async () =>
      /^pod app-0: main waits \(CrashLoopBackOff: back-off/.test(
        (await unwellObjects(cluster.api.reader, [app]))[0]?.why ?? '',
      ),
    )
  })

  test('of one node share a volume; what has a template of its own is made anew', async () => {
    await start()
    await withNetwork()
    await apply(...csi, volume('v', owner('data')), claim('data', { volumeName: 'v' }))
    await apply(
      workload('Deployment', 'one', mounting('data')),
      workload('Deployment', 'two', mounting('data')),
    )
    await reaches('Pod', 'one-0', 'Running')
    await reaches('Pod', 'two-0', 'Running')
    expect(sessions()).toHaveLength(1)
    const before = (await read('Pod', 'one-0')).metadata.uid
    await apply(workload('Deployment', 'one', { ...mounting('data'), dnsPolicy: 'Default' }))
    await eventually('a new pod', async () => {
      const pod = await read('Pod', 'one-0')
      return pod !== undefined && pod.metadata.uid !== before && pod.status?.phase === 'Running'
    })
  })
})

describe('Cilium', () => {
  beforeEach(() => start())

  test('a node is not Ready before the agent runs, and the agent waits for the operator’s definitions', async () => {
    await eventually('the node', async () => (await read('Node', 'lithium')) !== undefined)
    expect(await nodeReady()).toBe(false)
    const [operator, agent] = cilium as [KubernetesObject, KubernetesObject]
    await apply(agent)
    await eventually('the agent to wait', async () =>
      (await why('cilium-lithium')).includes('CustomResourceDefinitions'),
    )
    expect(await nodeReady()).toBe(false)
    expect(await cluster.api.reader.serves({ apiVersion: 'cilium.io/v2', kind: 'CiliumNode' })).toBe(false)
    await apply(operator)
    await eventually('the node to be Ready', () => nodeReady())
    expect(await cluster.api.reader.serves({ apiVersion: 'cilium.io/v2', kind: 'CiliumNode' })).toBe(true)
    await remove('DaemonSet', 'cilium')
    await eventually('the node to be NotReady again', async () => !(await nodeReady()))
  })

  test('pods off the host network wait for it', async () => {
    await apply(workload('Deployment', 'app'))
    await rest()
    expect(await phase('Pod', 'app-0')).toBe('Pending')
    await withNetwork()
    await reaches('Pod', 'app-0', 'Running')
  })
})

test('what belongs to something that is gone goes too', async () => {
  await start()
  const parent: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'parent', namespace: 'default' },
  }
  const { metadata } = await cluster.api.writer.apply(parent)
  const child = (name: string, uid: string): KubernetesObject => ({
    ...parent,
    metadata: {
      name,
      namespace: 'default',
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'parent', uid }],
    },
  })
  await apply(child('child', metadata.uid ?? ''))
  await rest()
  expect(await read('ConfigMap', 'child')).toBeDefined()
  await apply(child('stranger', '11111111-1111-4111-8111-111111111111'))
  await eventually('the stranger to go', async () => (await read('ConfigMap', 'stranger')) === undefined)
  await remove('ConfigMap', 'parent')
  await eventually('the child to go', async () => (await read('ConfigMap', 'child')) === undefined)
})

const definition = (group: string, plural: string, kind: string): KubernetesObject => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural, kind },
    versions: [
      {
        name: group === 'argoproj.io' ? 'v1alpha1' : 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
})

describe('1Password', () => {
  const operator = workload('Deployment', 'onepassword-connect-operator', {
    containers: [{ name: 'main', envFrom: [{ secretRef: { name: 'onepassword-token' } }] }],
  })
  const item = (name: string, itemPath: string): KubernetesObject => ({
    apiVersion: 'onepassword.com/v1',
    kind: 'OnePasswordItem',
    metadata: { name, namespace: 'default' },
    spec: { itemPath },
  })
  const ready = async (name: string) =>
    (await read('OnePasswordItem', name))?.status?.conditions?.find((c: Json) => c.type === 'Ready')
  beforeEach(async () => {
    await start(b => {
      b.items = { 'vaults/home/items/grafana': { password: 'hunter2' } }
    })
    await withNetwork()
    await apply(
      definition('onepassword.com', 'onepassworditems', 'OnePasswordItem'),
      operator,
      item('grafana', 'vaults/home/items/grafana'),
      item('typo', 'vaults/home/items/grafanna'),
    )
  })

  test('makes nothing before it has its own secret; then secrets, and Ready False for an item that is not there', async () => {
    await rest()
    expect(await ready('grafana')).toBeUndefined()
    await apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'onepassword-token', namespace: 'default' },
    })
    await eventually('the item', async () => (await ready('grafana'))?.status === 'True')
    expect((await read('Secret', 'grafana')).data).toEqual({ password: 'aHVudGVyMg==' })
    await eventually('the refusal', async () => (await ready('typo'))?.status === 'False')
    expect((await ready('typo')).message).toContain('vaults/home/items/grafanna not found')
    expect(await read('Secret', 'typo')).toBeUndefined()
  })

  test('rate-limited, it says nothing at all', async () => {
    cluster.world.arm('onepassword-rate-limited', 'grafana', 1_000)
    await apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'onepassword-token', namespace: 'default' },
    })
    await eventually('the other item', async () => (await ready('typo'))?.status === 'False')
    expect((await read('OnePasswordItem', 'grafana')).status).toBeUndefined()
    cluster.world.heal()
    await eventually('the item', async () => (await ready('grafana'))?.status === 'True')
  })
})

describe('Argo CD', () => {
  const config = (name: string, more: { wave?: string; data?: Record<string, string> } = {}) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name,
      ...(more.wave ? { annotations: { 'argocd.argoproj.io/sync-wave': more.wave } } : {}),
    },
    data: more.data ?? { from: 'git' },
  })
  const application = (
    path: string,
    spec: object = {},
    annotations: Record<string, string> = {},
  ): KubernetesObject => ({
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: { name: path, namespace: 'default', annotations },
    spec: {
      source: { repoURL: 'git', path },
      destination: { namespace: 'default' },
      ...spec,
    },
  })
  const automated = (options: object = {}) => ({ syncPolicy: { automated: options } })
  const held = { 'argocd.argoproj.io/skip-reconcile': 'true' }
  const status = async (name: string) => (await read('Application', name))?.status
  const synced = (name: string) =>
    eventually(`${name} to be synced`, async () => (await status(name))?.sync?.status === 'Synced')
  const order = (name: string, operation: object) =>
    cluster.ask(
      'PATCH',
      `/apis/argoproj.io/v1alpha1/namespaces/default/applications/${name}`,
      { operation },
      'application/merge-patch+json',
    )

  beforeEach(async () => {
    await start(b => {
      b.repository = {
        plain: [config('plain')],
        waves: [
          config('last', { wave: '2' }),
          { ...workload('Deployment', 'slow'), metadata: { name: 'slow' } },
          config('first', { wave: '-1' }),
        ],
        custom: [
          config('beside'),
          {
            apiVersion: 'monitoring.coreos.com/v1',
            kind: 'ServiceMonitor',
            metadata: { name: 'm' },
            spec: {},
          },
        ],
        secret: [{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { a: 'b' } }],
        away: [{ ...config('away'), metadata: { name: 'away', namespace: 'not-there' } }],
      }
    })
    await apply(
      definition('argoproj.io', 'applications', 'Application'),
      workload('StatefulSet', 'argocd-application-controller', { hostNetwork: true }),
    )
    await reaches('Pod', 'argocd-application-controller-0', 'Running')
  })

  test('automated, it makes what Git says; otherwise it only looks', async () => {
    await apply(application('plain'))
    await eventually('a look', async () => (await status('plain'))?.sync?.status === 'OutOfSync')
    expect((await status('plain')).health.status).toBe('Missing')
    expect(await read('ConfigMap', 'plain')).toBeUndefined()
    await apply(application('plain', automated()))
    await synced('plain')
    expect((await read('ConfigMap', 'plain')).data).toEqual({ from: 'git' })
    expect(await status('plain')).toMatchObject({
      health: { status: 'Healthy' },
      operationState: { phase: 'Succeeded', message: 'successfully synced (all tasks run)' },
      resources: [{ kind: 'ConfigMap', name: 'plain', status: 'Synced' }],
    })
  })

  test('switched off by enabled: false, it only looks', async () => {
    await apply(application('plain', automated({ enabled: false })))
    await eventually('a look', async () => (await status('plain'))?.sync?.status === 'OutOfSync')
    await rest()
    expect(await read('ConfigMap', 'plain')).toBeUndefined()
  })

  test('held, it has no status at all and its operation stays standing; released, it goes on', async () => {
    await apply(application('plain', automated(), held))
    await order('plain', { sync: { revision: 'main' } })
    await rest()
    const waiting = await read('Application', 'plain')
    expect(waiting.status).toBeUndefined()
    expect(waiting.operation).toEqual({ sync: { revision: 'main' } })
    expect(await read('ConfigMap', 'plain')).toBeUndefined()
    await cluster.ask(
      'PATCH',
      '/apis/argoproj.io/v1alpha1/namespaces/default/applications/plain',
      { metadata: { annotations: { 'argocd.argoproj.io/skip-reconcile': null } } },
      'application/merge-patch+json',
    )
    await synced('plain')
    expect((await read('Application', 'plain')).operation).toBeUndefined()
  })

  test('a dry run says that it succeeded and changes nothing, pruning neither', async () => {
    await apply(application('plain'), {
      ...config('extra'),
      metadata: {
        name: 'extra',
        namespace: 'default',
        annotations: { 'argocd.argoproj.io/tracking-id': 'plain:/ConfigMap:default/extra' },
      },
    })
    await order('plain', { sync: { revision: 'main', dryRun: true, prune: true } })
    await eventually('its end', async () => (await status('plain'))?.operationState?.phase === 'Succeeded')
    expect((await status('plain')).operationState.message).toBe('successfully synced (no more tasks)')
    expect((await status('plain')).sync.status).toBe('OutOfSync')
    await rest()
    expect(await read('ConfigMap', 'plain')).toBeUndefined()
    expect(await read('ConfigMap', 'extra')).toBeDefined()
  })

  test('selfHeal reverts what a person changed; without it the change is only reported', async () => {
    const path = '/api/v1/namespaces/default/configmaps/plain'
    const meddle = () =>
      cluster.ask('PATCH', path, { data: { from: 'hand' } }, 'application/merge-patch+json')
    await apply(application('plain', automated()))
    await synced('plain')
    await meddle()
    await eventually('the report', async () => (await status('plain'))?.sync?.status === 'OutOfSync')
    await rest()
    expect((await read('ConfigMap', 'plain')).data.from).toBe('hand')
    await apply(application('plain', automated({ selfHeal: true })))
    await synced('plain')
    await meddle()
    await eventually('the reversal', async () => (await read('ConfigMap', 'plain')).data.from === 'git')
  })

  test('prune takes what Git has no more, except what says Prune=false', async () => {
    const extra = (name: string, options?: string) => ({
      ...config(name),
      metadata: {
        name,
        namespace: 'default',
        annotations: {
          'argocd.argoproj.io/tracking-id': `plain:/ConfigMap:default/${name}`,
          ...(options ? { 'argocd.argoproj.io/sync-options': options } : {}),
        },
      },
    })
    await apply(extra('old'), extra('kept', 'Prune=false,Delete=false'), application('plain', automated()))
    await eventually('the sync', async () => (await read('ConfigMap', 'plain')) !== undefined)
    await rest()
    expect(await read('ConfigMap', 'old')).toBeDefined()
    expect((await status('plain')).sync.status).toBe('OutOfSync')
    await apply(application('plain', automated({ prune: true })))
    await eventually('the pruning', async () => (await read('ConfigMap', 'old')) === undefined)
    await rest()
    expect(await read('ConfigMap', 'kept')).toBeDefined()
  })

  test('an Application with the finalizer takes its objects along, except what says Delete=false', async () => {
    const app = application('plain', automated())
    app.metadata.finalizers = ['resources-finalizer.argocd.argoproj.io']
    await apply(app)
    await synced('plain')
    await apply({
      ...config('kept'),
      metadata: {
        name: 'kept',
        namespace: 'default',
        annotations: {
          'argocd.argoproj.io/tracking-id': 'plain:/ConfigMap:default/kept',
          'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false',
        },
      },
    })
    await remove('Application', 'plain')
    await eventually('the Application to go', async () => (await read('Application', 'plain')) === undefined)
    expect(await read('ConfigMap', 'plain')).toBeUndefined()
    expect(await read('ConfigMap', 'kept')).toBeDefined()
  })

  test('waves wait for the health of the one before', async () => {
    await apply(application('waves', automated()))
    await eventually('the second wave', async () => (await read('Deployment', 'slow')) !== undefined)
    await rest()
    expect(await read('ConfigMap', 'first')).toBeDefined()
    expect(await read('ConfigMap', 'last')).toBeUndefined()
    expect(await status('waves')).toMatchObject({
      operationState: { phase: 'Running', message: 'waiting for healthy state of apps/Deployment/slow' },
    })
    await withNetwork()
    await eventually('the last wave', async () => (await read('ConfigMap', 'last')) !== undefined)
    await eventually('health', async () => (await status('waves')).health.status === 'Healthy')
  })

  test('a kind that nobody defines fails the whole sync, before anything is made', async () => {
    await apply(application('custom', automated()))
    await eventually('the failure', async () => (await status('custom'))?.operationState?.retryCount === 1)
    expect((await status('custom')).operationState).toMatchObject({
      phase: 'Running',
      message: expect.stringMatching(
        /tasks are not valid: .*monitoring\.coreos\.com\/v1.* Retrying attempt #1 at /,
      ),
      syncResult: {
        resources: [
          {
            kind: 'ServiceMonitor',
            status: 'SyncFailed',
            message: expect.stringContaining('Make sure the "ServiceMonitor" CRD is installed'),
          },
        ],
      },
    })
    expect(await read('ConfigMap', 'beside')).toBeUndefined()
    await apply(definition('monitoring.coreos.com', 'servicemonitors', 'ServiceMonitor'))
    await synced('custom')
  })

  test('a namespace that is not there fails with its name; CreateNamespace makes the target', async () => {
    await apply(application('away', automated()))
    await eventually('the failure', async () =>
      (await status('away'))?.operationState?.message?.includes('namespaces "not-there" not found'),
    )
    await apply(
      application('away', {
        destination: { namespace: 'not-there' },
        syncPolicy: { automated: {}, syncOptions: ['CreateNamespace=true'] },
      }),
    )
    await synced('away')
  })

  test('a path that Git does not have is a comparison error, and not unhealthy', async () => {
    await apply(application('nowhere', automated()))
    await eventually('the error', async () => (await status('nowhere'))?.conditions !== undefined)
    expect(await status('nowhere')).toMatchObject({
      sync: { status: 'Unknown' },
      health: { status: 'Healthy' },
      conditions: [{ type: 'ComparisonError', message: expect.stringContaining('nowhere') }],
    })
  })

  test('what could not be rendered is not looked at again before somebody asks for it', async () => {
    cluster.world.arm('application-not-rendered', 'plain', 1_000)
    await apply(application('plain', automated()))
    await eventually(
      'the error',
      async () => (await status('plain'))?.conditions?.[0]?.type === 'ComparisonError',
    )
    cluster.world.heal()
    await rest()
    expect((await status('plain')).sync.status).toBe('Unknown')
    await cluster.ask(
      'PATCH',
      '/apis/argoproj.io/v1alpha1/namespaces/default/applications/plain',
      { metadata: { annotations: { 'argocd.argoproj.io/refresh': 'hard' } } },
      'application/merge-patch+json',
    )
    await synced('plain')
    expect((await read('Application', 'plain')).metadata.annotations ?? {}).not.toHaveProperty([
      'argocd.argoproj.io/refresh',
    ])
  })

  test('a hook that fails is run anew as often as the policy says, and the sync has failed for good; an operation begins anew', async () => {
    await withNetwork()
    cluster.world.arm('application-hook-fails', 'plain', 1_000)
    await apply(application('plain', { syncPolicy: { automated: {}, retry: { limit: 2 } } }))
    await eventually('the end', async () => (await status('plain'))?.operationState?.phase === 'Failed')
    expect(await status('plain')).toMatchObject({
      sync: { status: 'OutOfSync' },
      operationState: {
        retryCount: 2,
        message: 'one or more synchronization tasks completed unsuccessfully (retried 2 times).',
        syncResult: {
          resources: [
            {
              kind: 'Job',
              hookType: 'PreSync',
              hookPhase: 'Failed',
              message: 'Job has reached the specified backoff limit',
            },
          ],
        },
      },
      conditions: [{ type: 'SyncError' }],
    })
    const job = { apiVersion: 'batch/v1', kind: 'Job', namespace: 'default', name: 'plain-before-sync' }
    expect(await unwellObjects(cluster.api.reader, [job])).toEqual([
      {
        object: 'Job default/plain-before-sync',
        why: expect.stringMatching(
          /^pod plain-before-sync-0: migrate ended with 1 \(Error: migration failed/,
        ),
      },
    ])
    cluster.world.heal()
    await rest()
    expect(await read('ConfigMap', 'plain')).toBeUndefined()
    await order('plain', { sync: { revision: 'main' } })
    await synced('plain')
  })

  test('a Secret with stringData comes to rest', async () => {
    await apply(application('secret', automated({ selfHeal: true })))
    await synced('secret')
    await rest()
    expect((await read('Secret', 's')).data).toEqual({ a: 'Yg==' })
  })

  test('two kinds of one name are not mixed up', async () => {
    await apply(definition('app.k8s.io', 'applications', 'Application'))
    await apply({ ...application('plain', {}), apiVersion: 'app.k8s.io/v1' })
    await apply(application('plain', automated()))
    await synced('plain')
    const { body } = await cluster.ask('GET', '/apis/app.k8s.io/v1/namespaces/default/applications/plain')
    expect(body.status).toBeUndefined()
  })

  test('nothing happens without its controller', async () => {
    await remove('StatefulSet', 'argocd-application-controller')
    await rest()
    await apply(application('plain', automated()))
    await rest()
    expect(await status('plain')).toBeUndefined()
  })
})
