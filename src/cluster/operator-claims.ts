import type { FoundObject } from './found-objects.ts'
import type { Claim } from './inventory.ts'
import { get, list, templateClaims, textAt, texts } from './manifest-fields.ts'
import { parseSize } from './size.ts'

/** Custom resources whose operators make claims of names that can be foreseen, by API group and kind. */
const makers: Record<string, (object: FoundObject, folder: string) => Claim[]> = {
  'postgresql.cnpg.io/Cluster': databaseClaims,
  'elasticsearch.k8s.elastic.co/Elasticsearch': elasticsearchClaims,
  'monitoring.coreos.com/Prometheus': (object, folder) => monitoringClaims('prometheus', object, folder),
  'monitoring.coreos.com/Alertmanager': (object, folder) => monitoringClaims('alertmanager', object, folder),
}

/** `group/Kind` of an object; the core group's name is empty. */
export function kindOf({ apiVersion, kind }: { apiVersion: string; kind: string }): string {
  return `${apiVersion.includes('/') ? apiVersion.split('/')[0] : ''}/${kind}`
}

/** Whether {@link operatorClaims} knows what is made of such an object. */
export function isForeseen(object: { apiVersion: string; kind: string }): boolean {
  return kindOf(object) in makers
}

/** The claims that an operator makes for a custom resource, as far as their names can be foreseen. */
export function operatorClaims(object: FoundObject, folder: string): Claim[] {
  return makers[kindOf(object)]?.(object, folder) ?? []
}

/**
 * The claims that CloudNativePG makes for a `Cluster`: `<cluster>-<serial>`, and `<cluster>-<serial>-wal` where
 * `walStorage` asks for it, with the labels and annotations without which its operator takes the cluster for a new one
 * and makes an empty database beside the data (CloudNativePG 1.30, its reconciler). Serials are counted from 1; a
 * cluster that has lost instances in its life has higher ones, which no file says.
 */
function databaseClaims(object: FoundObject, folder: string): Claim[] {
  const namespace = object.namespace ?? 'default'
  const instances = Number(get(object.value, 'spec', 'instances') ?? 1)
  const claim = (serial: number, storage: unknown, role: 'PG_DATA' | 'PG_WAL'): Claim => {
    const name = `${object.name}-${serial}${role === 'PG_WAL' ? '-wal' : ''}`
    const template = get(storage, 'pvcTemplate')
    const modes = texts(get(template, 'accessModes'))
    return {
      id: `${namespace}/${name}`,
      namespace,
      name,
      sizeBytes: parseSize(
        String(get(storage, 'size') ?? get(template, 'resources', 'requests', 'storage') ?? '0'),
        object.at,
      ),
      accessModes: modes.length > 0 ? modes : ['ReadWriteOnce'],
      storageClass: textAt(storage, 'storageClass') ?? textAt(template, 'storageClassName'),
      owners: [`Cluster ${namespace}/${object.name}`],
      folder,
      labels: {
        'cnpg.io/cluster': object.name,
        'cnpg.io/instanceName': `${object.name}-${serial}`,
        'cnpg.io/pvcRole': role,
      },
      annotations: { 'cnpg.io/nodeSerial': String(serial), 'cnpg.io/pvcStatus': 'ready' },
      at: object.at,
    }
  }
  const wal = get(object.value, 'spec', 'walStorage')
  return Array.from({ length: instances }, (_, i) => i + 1).flatMap(serial => [
    claim(serial, get(object.value, 'spec', 'storage'), 'PG_DATA'),
    ...(wal === undefined || wal === null ? [] : [claim(serial, wal, 'PG_WAL')]),
  ])
}

/**
 * ECK's StatefulSets are called `<cluster>-es-<node set>`; a node set without templates gets one claim of 1 GiB called
 * `elasticsearch-data` (cloud-on-k8s, volume defaults).
 */
function elasticsearchClaims(object: FoundObject, folder: string): Claim[] {
  const byDefault = {
    metadata: { name: 'elasticsearch-data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  }
  return list(get(object.value, 'spec', 'nodeSets')).flatMap(nodes => {
    const templates = list(nodes.volumeClaimTemplates)
    return templateClaims(object, folder, {
      set: `${object.name}-es-${nodes.name}`,
      replicas: nodes.count,
      templates: templates.length > 0 ? templates : [byDefault],
    })
  })
}

/**
 * The Prometheus operator's StatefulSets are called `prometheus-<name>`, further shards `prometheus-<name>-shard-<n>`;
 * their template is called `prometheus-<name>-db` unless it has a name. Without `storage` nothing is kept
 * (prometheus-operator, statefulset builders).
 */
function monitoringClaims(prefix: string, object: FoundObject, folder: string): Claim[] {
  const template = get(object.value, 'spec', 'storage', 'volumeClaimTemplate') as
    | Record<string, unknown>
    | undefined
  if (!template) return []
  const name = `${prefix}-${object.name}`
  const named = {
    ...template,
    metadata: { name: `${name}-db`, ...(template.metadata as object | undefined) },
  }
  const shards = Number(get(object.value, 'spec', 'shards') ?? 1)
  return Array.from({ length: shards }, (_, shard) =>
    shard === 0 ? name : `${name}-shard-${shard}`,
  ).flatMap(set =>
    templateClaims(object, folder, {
      set,
      replicas: get(object.value, 'spec', 'replicas'),
      templates: [named],
    }),
  )
}
