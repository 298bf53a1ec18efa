import type { KubernetesObject } from '../../kubernetes/kubernetes.ts'
import { protobufFields } from './protobuf.ts'

/**
 * How a field of a stored message reads: a text, a number, a boolean, a map, another message. Go writes every field that is
 * no pointer; an `int` that is 0 and a `flag` that is false are left out as its JSON leaves them out. Only what the volume map
 * uses and what tells one cluster from another is listed; every other field is skipped, as protobuf wants it. Numbers from the generated.proto files of k8s.io/api.
 */
type Shape =
  | 'text'
  | 'int'
  | 'number'
  | 'bool'
  | 'flag'
  | 'quantity'
  | 'time'
  | { list: Shape }
  | { map: Shape }
  | { inline: Message }
  | Message
interface Message {
  fields: Record<number, readonly [name: string, shape: Shape]>
}

const message = (fields: Message['fields']): Message => ({ fields })
const secretRef = message({ 1: ['name', 'text'], 2: ['namespace', 'text'] })
const objectReference = message({
  1: ['kind', 'text'],
  2: ['namespace', 'text'],
  3: ['name', 'text'],
  4: ['uid', 'text'],
  5: ['apiVersion', 'text'],
  6: ['resourceVersion', 'text'],
  7: ['fieldPath', 'text'],
})
const typedReference = message({
  1: ['apiGroup', 'text'],
  2: ['kind', 'text'],
  3: ['name', 'text'],
  4: ['namespace', 'text'],
})
const labelRequirement = message({
  1: ['key', 'text'],
  2: ['operator', 'text'],
  3: ['values', { list: 'text' }],
})
const nodeTerm = message({
  1: ['matchExpressions', { list: labelRequirement }],
  2: ['matchFields', { list: labelRequirement }],
})
const metadata = message({
  1: ['name', 'text'],
  2: ['generateName', 'text'],
  3: ['namespace', 'text'],
  5: ['uid', 'text'],
  6: ['resourceVersion', 'text'],
  7: ['generation', 'int'],
  8: ['creationTimestamp', 'time'],
  9: ['deletionTimestamp', 'time'],
  11: ['labels', { map: 'text' }],
  12: ['annotations', { map: 'text' }],
  13: [
    'ownerReferences',
    {
      list: message({
        1: ['kind', 'text'],
        3: ['name', 'text'],
        4: ['uid', 'text'],
        5: ['apiVersion', 'text'],
        6: ['controller', 'bool'],
        7: ['blockOwnerDeletion', 'bool'],
      }),
    },
  ],
  14: ['finalizers', { list: 'text' }],
})

const persistentVolumeSource = message({
  3: ['hostPath', message({ 1: ['path', 'text'], 2: ['type', 'text'] })],
  5: ['nfs', message({ 1: ['server', 'text'], 2: ['path', 'text'], 3: ['readOnly', 'flag'] })],
  7: [
    'iscsi',
    message({
      1: ['targetPortal', 'text'],
      2: ['iqn', 'text'],
      3: ['lun', 'number'],
      5: ['fsType', 'text'],
      6: ['readOnly', 'flag'],
    }),
  ],
  20: ['local', message({ 1: ['path', 'text'], 2: ['fsType', 'text'] })],
  22: [
    'csi',
    message({
      1: ['driver', 'text'],
      2: ['volumeHandle', 'text'],
      3: ['readOnly', 'flag'],
      4: ['fsType', 'text'],
      5: ['volumeAttributes', { map: 'text' }],
      6: ['controllerPublishSecretRef', secretRef],
      7: ['nodeStageSecretRef', secretRef],
      8: ['nodePublishSecretRef', secretRef],
      9: ['controllerExpandSecretRef', secretRef],
      10: ['nodeExpandSecretRef', secretRef],
    }),
  ],
})

/** Of a pod's volumes, those that are claims. */
const podVolume = message({
  1: ['name', 'text'],
  2: [
    '',
    {
      inline: message({
        10: ['persistentVolumeClaim', message({ 1: ['claimName', 'text'], 2: ['readOnly', 'flag'] })],
      }),
    },
  ],
})

const kinds: Record<string, Message> = {
  'v1 PersistentVolume': message({
    1: ['metadata', metadata],
    2: [
      'spec',
      message({
        1: ['capacity', { map: 'quantity' }],
        2: ['', { inline: persistentVolumeSource }],
        3: ['accessModes', { list: 'text' }],
        4: ['claimRef', objectReference],
        5: ['persistentVolumeReclaimPolicy', 'text'],
        6: ['storageClassName', 'text'],
        7: ['mountOptions', { list: 'text' }],
        8: ['volumeMode', 'text'],
        9: [
          'nodeAffinity',
          message({ 1: ['required', message({ 1: ['nodeSelectorTerms', { list: nodeTerm }] })] }),
        ],
        10: ['volumeAttributesClassName', 'text'],
      }),
    ],
    3: ['status', message({ 1: ['phase', 'text'], 2: ['message', 'text'], 3: ['reason', 'text'] })],
  }),
  'v1 PersistentVolumeClaim': message({
    1: ['metadata', metadata],
    2: [
      'spec',
      message({
        1: ['accessModes', { list: 'text' }],
        2: [
          'resources',
          message({ 1: ['limits', { map: 'quantity' }], 2: ['requests', { map: 'quantity' }] }),
        ],
        3: ['volumeName', 'text'],
        5: ['storageClassName', 'text'],
        6: ['volumeMode', 'text'],
        7: ['dataSource', typedReference],
        8: ['dataSourceRef', typedReference],
        9: ['volumeAttributesClassName', 'text'],
      }),
    ],
    3: [
      'status',
      message({
        1: ['phase', 'text'],
        2: ['accessModes', { list: 'text' }],
        3: ['capacity', { map: 'quantity' }],
      }),
    ],
  }),
  'storage.k8s.io/v1 StorageClass': message({
    1: ['metadata', metadata],
    2: ['provisioner', 'text'],
    3: ['parameters', { map: 'text' }],
    4: ['reclaimPolicy', 'text'],
    5: ['mountOptions', { list: 'text' }],
    6: ['allowVolumeExpansion', 'bool'],
    7: ['volumeBindingMode', 'text'],
  }),
  'storage.k8s.io/v1 VolumeAttachment': message({
    1: ['metadata', metadata],
    2: [
      'spec',
      message({
        1: ['attacher', 'text'],
        2: ['source', message({ 1: ['persistentVolumeName', 'text'] })],
        3: ['nodeName', 'text'],
      }),
    ],
    3: ['status', message({ 1: ['attached', 'bool'] })],
  }),
  'v1 Pod': message({
    1: ['metadata', metadata],
    2: ['spec', message({ 1: ['volumes', { list: podVolume }] })],
  }),
  'apps/v1 ReplicaSet': message({ 1: ['metadata', metadata] }),
  // Which cluster it was, and of which release.
  'v1 Namespace': message({ 1: ['metadata', metadata] }),
  'v1 Node': message({
    1: ['metadata', metadata],
    3: [
      'status',
      message({ 7: ['nodeInfo', message({ 3: ['bootID', 'text'], 7: ['kubeletVersion', 'text'] })] }),
    ],
  }),
}

const magic = Buffer.from('k8s\0')
const envelopeShape = message({
  1: ['typeMeta', message({ 1: ['apiVersion', 'text'], 2: ['kind', 'text'] })],
})

/** Why a value of a datastore gives no object. */
export type Undecoded = 'encrypted' | 'other-kind' | 'garbage'

/**
 * A value as Kubernetes stores it: protobuf behind `k8s\0` in the envelope `runtime.Unknown` for its own kinds, JSON for
 * custom resources. Of a kind that the map does not use only its type and metadata are read where that is possible.
 */
export function decodeStored(value: Buffer): KubernetesObject | Undecoded {
  if (value.subarray(0, 8).toString('latin1') === 'k8s:enc:') return 'encrypted'
  if (value[0] === 0x7b) return fromJson(value)
  if (!value.subarray(0, 4).equals(magic)) return 'garbage'
  try {
    const envelope = value.subarray(4)
    const { typeMeta } = read(envelope, envelopeShape) as {
      typeMeta?: { apiVersion?: string; kind?: string }
    }
    const { apiVersion = '', kind = '' } = typeMeta ?? {}
    const shape = kinds[`${apiVersion} ${kind}`]
    const raw = rawOf(envelope)
    if (shape === undefined || raw === undefined) return 'other-kind'
    const object = read(raw, shape)
    return { apiVersion, kind, metadata: {}, ...object }
  } catch (thrown) {
    if (thrown instanceof RangeError) return 'garbage'
    throw thrown
  }
}

function fromJson(value: Buffer): KubernetesObject | Undecoded {
  try {
    const object = JSON.parse(value.toString()) as KubernetesObject
    return typeof object.kind === 'string' && typeof object.apiVersion === 'string' ? object : 'garbage'
  } catch {
    return 'garbage'
  }
}

function rawOf(envelope: Buffer): Buffer | undefined {
  for (const field of protobufFields(envelope))
    if (field.number === 2 && Buffer.isBuffer(field.value)) return field.value
  return undefined
}

function read(bytes: Buffer, { fields }: Message): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const { number, value } of protobufFields(bytes)) {
    const known = fields[number]
    if (known === undefined) continue
    const [name, shape] = known
    if (isInline(shape)) Object.assign(result, Buffer.isBuffer(value) ? read(value, shape.inline) : {})
    else if (isList(shape)) result[name] = [...((result[name] as unknown[]) ?? []), single(value, shape.list)]
    else if (isMap(shape)) {
      const [key, inside] = entry(value, shape.map)
      result[name] = { ...((result[name] as object) ?? {}), [key]: inside }
    } else {
      const one = single(value, shape)
      const empty = one === '' || (shape === 'int' && one === 0) || (shape === 'flag' && one === false)
      if (!empty && one !== undefined) result[name] = one
    }
  }
  return result
}

function entry(value: Buffer | bigint, shape: Shape): [key: string, value: unknown] {
  let key = ''
  let inside: unknown = ''
  if (Buffer.isBuffer(value))
    for (const field of protobufFields(value))
      if (field.number === 1) key = String(single(field.value, 'text'))
      else if (field.number === 2) inside = single(field.value, shape)
  return [key, inside]
}

function single(value: Buffer | bigint, shape: Shape): unknown {
  if (shape === 'int' || shape === 'number') return Number(value)
  if (shape === 'bool' || shape === 'flag') return value === 1n
  if (!Buffer.isBuffer(value)) return undefined
  if (shape === 'text') return value.toString()
  if (shape === 'quantity') return textOf(value)
  if (shape === 'time') return timeOf(value)
  if (isList(shape) || isMap(shape) || isInline(shape)) return undefined
  return read(value, shape)
}

function textOf(value: Buffer): string {
  for (const field of protobufFields(value))
    if (field.number === 1) return String(single(field.value, 'text'))
  return '0'
}

function timeOf(value: Buffer): string | undefined {
  for (const field of protobufFields(value))
    if (field.number === 1 && typeof field.value === 'bigint')
      return new Date(Number(BigInt.asIntN(64, field.value)) * 1000).toISOString().replace('.000Z', 'Z')
  return undefined
}

function isInline(shape: Shape): shape is { inline: Message } {
  return typeof shape === 'object' && 'inline' in shape
}

function isList(shape: Shape): shape is { list: Shape } {
  return typeof shape === 'object' && 'list' in shape
}

function isMap(shape: Shape): shape is { map: Shape } {
  return typeof shape === 'object' && 'map' in shape
}
