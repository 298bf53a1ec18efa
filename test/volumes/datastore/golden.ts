import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One golden file: an object as Kubernetes stores it, and as it prints it. */
export interface Golden {
  /** `v1.PersistentVolume`. */
  name: string
  stored: Buffer
  printed: Record<string, unknown>
}

/** Every pair of golden files in a folder. */
export function goldenFiles(folder: string): Golden[] {
  return readdirSync(folder)
    .filter(file => file.endsWith('.pb'))
    .sort()
    .flatMap(file => {
      const path = join(folder, file.slice(0, -3))
      // An older release's files are there a second time, as the module's own release writes them.
      const name = file
        .slice(0, -3)
        .replace('.after_roundtrip', '')
        .replace(/^core\./, '')
      const printed = jsonIn(`${path}.json`)
      return printed === undefined ? [] : [{ name, stored: readFileSync(`${path}.pb`), printed }]
    })
}

function jsonIn(file: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw thrown
  }
}

/** What the volume map has no use for and does not read, by kind. Everything else must be read, and be right. */
const notRead: Record<string, string[]> = {
  every: ['metadata.selfLink', 'metadata.deletionGracePeriodSeconds', 'metadata.managedFields'],
  'v1.PersistentVolume': [
    ...[
      ...[
        'gcePersistentDisk',
        'awsElasticBlockStore',
        'glusterfs',
        'rbd',
        'cinder',
        'cephfs',
        'fc',
        'flocker',
      ],
      ...['flexVolume', 'azureFile', 'vsphereVolume', 'quobyte', 'azureDisk', 'photonPersistentDisk'],
      ...['portworxVolume', 'scaleIO', 'storageos'],
      ...[
        'iscsiInterface',
        'portals',
        'chapAuthDiscovery',
        'chapAuthSession',
        'secretRef',
        'initiatorName',
      ].map(field => `iscsi.${field}`),
    ].map(field => `spec.${field}`),
    'status.lastPhaseTransitionTime',
  ],
  'v1.PersistentVolumeClaim': [
    'spec.selector',
    ...['conditions', 'allocatedResources', 'allocatedResourceStatuses'].map(field => `status.${field}`),
    'status.currentVolumeAttributesClassName',
    'status.modifyVolumeStatus',
  ],
  'storage.k8s.io.v1.StorageClass': ['allowedTopologies'],
  'storage.k8s.io.v1.VolumeAttachment': [
    'spec.source.inlineVolumeSpec',
    'status.attachmentMetadata',
    'status.attachError',
    'status.detachError',
  ],
}

/** Of a pod the claims that it mounts, of a ReplicaSet only whose it is, of a node its release and its boot. */
const onlyRead: Record<string, (printed: Record<string, unknown>) => object> = {
  'v1.Pod': ({ spec }) => {
    const { volumes = [] } = spec as { volumes?: { name: string; persistentVolumeClaim?: object }[] }
    return {
      spec: {
        volumes: volumes.map(({ name, persistentVolumeClaim }) => ({
          name,
          ...(persistentVolumeClaim ? { persistentVolumeClaim } : {}),
        })),
      },
    }
  },
  'apps.v1.ReplicaSet': () => ({}),
  'v1.Namespace': () => ({}),
  'v1.Node': ({ status }) => {
    const { bootID, kubeletVersion } = (status as { nodeInfo: Record<string, string> }).nodeInfo
    return { status: { nodeInfo: { bootID, kubeletVersion } } }
  },
}

/** What must be read of a golden file; undefined for a kind that the map does not know. */
export function expected({ name, printed }: Golden): unknown {
  const part = onlyRead[name]
  if (part === undefined && notRead[name] === undefined) return undefined
  const { apiVersion, kind, metadata } = printed
  const whole = part === undefined ? printed : { apiVersion, kind, metadata, ...part(printed) }
  return without(whole, [...(notRead.every ?? []), ...(notRead[name] ?? [])])
}

function without(value: unknown, paths: string[], here = ''): unknown {
  if (Array.isArray(value)) return value.map(item => without(item, paths, here))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inside]) => {
      const path = here === '' ? key : `${here}.${key}`
      return paths.includes(path) ? [] : [[key, without(inside, paths, path)]]
    }),
  )
}
