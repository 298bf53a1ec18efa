import { hash } from 'node:crypto'
import { showSize } from '../cluster/size.ts'
import type { KubernetesObject } from '../kubernetes/kubernetes.ts'
import { copyProgram, measureProgram } from './programs.ts'
import { restoreProgram, restoreRoot } from './restore-program.ts'

/** What objects of ours carry, so that they are found again and nobody else's is ever touched. */
export const runLabel = 'recover.dev/run'
export const volumeLabel = 'recover.dev/volume'

/** A disk on the NAS as the CSI driver must be told of it. */
export interface CsiDisk {
  driver: string
  handle: string
  /** Absent for a share, which the NAS itself keeps, and where it is to be found out from the disk. */
  fsType?: string
  sizeBytes: number
  attributes: Record<string, string>
  /** How it is mounted beyond what the driver says itself: `nfsvers=4.1`. */
  mountOptions?: readonly string[]
}

/** A short name for a claim that fits into object names: the first eight digits of its id's SHA-256. */
export function shortId(claim: string): string {
  return hash('sha256', claim, 'hex').slice(0, 8)
}

/**
 * A PersistentVolume that is bound to one claim by name and to no older incarnation of it (no uid), and that keeps its
 * disk whatever happens to the claim.
 */
export function persistentVolume(
  name: string,
  claim: { namespace: string; name: string },
  disk: CsiDisk,
  options: {
    storageClass: string
    accessModes: string[]
    readOnly?: boolean
    labels?: Record<string, string>
  },
): KubernetesObject {
  // `ro` switches off kubelet's mkfs and fsck; a journal of the clone is still replayed, as it must be.
  const mountOptions = [...(disk.mountOptions ?? []), ...(options.readOnly ? ['ro'] : [])]
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name, ...(options.labels ? { labels: options.labels } : {}) },
    spec: {
      capacity: { storage: showSize(disk.sizeBytes) },
      accessModes: options.accessModes,
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: options.storageClass,
      ...(mountOptions.length > 0 ? { mountOptions } : {}),
      claimRef: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace: claim.namespace,
        name: claim.name,
      },
      csi: {
        driver: disk.driver,
        volumeHandle: disk.handle,
        ...(disk.fsType === undefined ? {} : { fsType: disk.fsType }),
        // At each mount the driver gives a share's root folder a mode, 0750 where nothing is said; a mount that is read-only
        // refuses that, and with it the mount fails. With 0 it lets the folder be.
        volumeAttributes: options.readOnly
          ? { ...disk.attributes, ...(disk.attributes.protocol === 'nfs' ? { mountPermissions: '0' } : {}) }
          : disk.attributes,
      },
    },
  }
}

/** A claim; with `volumeName` the provisioner leaves it alone and it binds to exactly that volume. */
export function persistentVolumeClaim(
  claim: { namespace: string; name: string },
  options: {
    sizeBytes: number
    storageClass: string
    accessModes: string[]
    volumeName?: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
  },
): KubernetesObject {
  const { labels = {}, annotations = {} } = options
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: claim.name,
      namespace: claim.namespace,
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
      // Argo CD must not prune what an outage made us create ahead of it.
      annotations: { 'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false', ...annotations },
    },
    spec: {
      accessModes: options.accessModes,
      // No class keeps every provisioner away, as a claim to a volume that is there wants it; nobody else means that.
      ...(options.storageClass === '' && options.volumeName === undefined
        ? {}
        : { storageClassName: options.storageClass }),
      resources: { requests: { storage: showSize(options.sizeBytes) } },
      ...(options.volumeName === undefined ? {} : { volumeName: options.volumeName }),
    },
  }
}

/** A Job that hashes every file of a claim, mounted read-only. */
export function measureJob(
  name: string,
  claim: { namespace: string; name: string },
  labels: Record<string, string>,
  image: string,
  /** A node that it should rather not run on. */
  awayFrom?: string,
): KubernetesObject {
  const made = job(name, claim.namespace, labels, image, measureProgram, {}, [
    { path: '/data', claim: claim.name, readOnly: true },
  ])
  if (awayFrom === undefined) return made
  const { spec } = (made.spec as { template: { spec: Record<string, unknown> } }).template
  spec.affinity = elsewhere(awayFrom)
  return made
}

/** Preferred, not required: where there is one node alone, it has to do. */
function elsewhere(node: string): object {
  const other = { key: 'kubernetes.io/hostname', operator: 'NotIn', values: [node] }
  return {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, preference: { matchExpressions: [other] } },
      ],
    },
  }
}

/** A Job that copies one claim to another of the same namespace and compares both. */
export function copyJob(
  name: string,
  namespace: string,
  from: string,
  to: string,
  run: string,
  labels: Record<string, string>,
  image: string,
  /** What of its files the person gives up. */
  without: readonly string[] = [],
): KubernetesObject {
  const environment = { RUN: run, ...(without.length > 0 ? { WITHOUT: without.join(' ') } : {}) }
  return job(name, namespace, labels, image, copyProgram, environment, [
    { path: '/src', claim: from, readOnly: true },
    { path: '/dst', claim: to, readOnly: false },
  ])
}

/** A Job that restores a folder of a snapshot into a claim; what opens the repository is in a Secret of its namespace. */
export function restoreJob(
  name: string,
  claim: { namespace: string; name: string },
  backup: { snapshot: string; path: string; secret: string; run: string },
  labels: Record<string, string>,
  image: string,
): KubernetesObject {
  const folder = backup.path === '/' ? '' : backup.path
  const environment = { RUN: backup.run, SNAPSHOT: backup.snapshot, FOLDER: folder }
  const made = job(name, claim.namespace, labels, image, restoreProgram, environment, [
    // Where restic puts that folder, so that its owner and mode come to be the volume's.
    { path: `${restoreRoot}${folder}`, claim: claim.name, readOnly: false },
  ])
  const { spec } = (made.spec as { template: { spec: { containers: Record<string, unknown>[] } } }).template
  for (const container of spec.containers) container.envFrom = [{ secretRef: { name: backup.secret } }]
  return made
}

/** What opens a repository, for as long as the Job that restores from it needs it. */
export function restoreSecret(
  secret: { namespace: string; name: string },
  fields: Record<string, string>,
  labels: Record<string, string>,
): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { ...secret, labels },
    type: 'Opaque',
    data: Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    ),
  }
}

function job(
  name: string,
  namespace: string,
  labels: Record<string, string>,
  image: string,
  script: string,
  environment: Record<string, string>,
  mounts: { path: string; claim: string; readOnly: boolean }[],
): KubernetesObject {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace, labels },
    spec: {
      backoffLimit: 4,
      template: {
        metadata: { labels: { ...labels, 'recover.dev/job': name } },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          // Never an fsGroup: kubelet would change the owner of every file before we had read one.
          securityContext: { runAsUser: 0, runAsGroup: 0 },
          containers: [
            {
              name: 'recover',
              image,
              command: ['sh', '-c', script],
              env: Object.entries(environment).map(([key, value]) => ({ name: key, value })),
              securityContext: {
                allowPrivilegeEscalation: false,
                capabilities: {
                  drop: ['ALL'],
                  add: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'SETFCAP', 'MKNOD'],
                },
              },
              volumeMounts: mounts.map((m, i) => ({
                name: `volume-${i}`,
                mountPath: m.path,
                ...(m.readOnly ? { readOnly: true } : {}),
              })),
            },
          ],
          volumes: mounts.map((m, i) => ({
            name: `volume-${i}`,
            persistentVolumeClaim: { claimName: m.claim },
          })),
        },
      },
    },
  }
}
