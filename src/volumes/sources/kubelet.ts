import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { damaged } from '../datastore/database-damaged.ts'
import type { VolumeSource, VolumeTestimony } from './volume-source.ts'

/** What CSI's part of the kubelet leaves beside each mounted volume. */
interface VolumeData {
  driverName?: string
  volumeHandle?: string
  /** Name of the PersistentVolume. */
  specVolID?: string
}

/**
 * A node's kubelet directory, copied from its dead disk (/var/lib/kubelet, /var/lib/k0s/kubelet): which PersistentVolume had
 * which handle, and which pod mounted it. It does not know claims; the pod's name stands in for one where the node's
 * /var/log/pods lies beside it. Throws Fault `database-damaged` when it is no such directory.
 */
export function readKubelet(name: string, folder: string): VolumeSource {
  const pods = join(folder, 'pods')
  if (!existsSync(pods)) throw damaged(folder, 'it has no folder pods: it is no kubelet directory')
  const podNames = podsByUid(folder)
  const remarks: string[] = []
  const testimonies = readdirSync(pods).flatMap(uid => {
    const volumes = join(pods, uid, 'volumes', 'kubernetes.io~csi')
    const pod = podNames.get(uid)
    if (!existsSync(volumes)) return []
    return readdirSync(volumes).flatMap((volume): VolumeTestimony[] => {
      const file = join(volumes, volume, 'vol_data.json')
      const data = existsSync(file) ? volumeData(file) : undefined
      if (data?.volumeHandle === undefined) {
        // A file of no bytes is what a crash leaves (kubernetes/kubernetes#108217).
        remarks.push(`${file} says nothing`)
        return []
      }
      return [
        {
          source: name,
          claim: '',
          lun: data.volumeHandle,
          volume: data.specVolID ?? volume,
          ...(data.driverName === undefined ? {} : { driver: data.driverName }),
          ...(pod === undefined ? {} : { owner: `Pod ${pod}`, namespace: pod.split('/')[0] ?? '' }),
        },
      ]
    })
  })
  return { name, testimonies, remarks }
}

function volumeData(file: string): VolumeData | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VolumeData
  } catch {
    return undefined
  }
}

/** `namespace_pod_uid`, as /var/log/pods calls its folders. */
function podsByUid(folder: string): Map<string, string> {
  const places = ['log/pods', '../log/pods', '../../log/pods', '../../../log/pods'].map(p => join(folder, p))
  const logs = places.find(p => existsSync(p))
  return new Map(
    (logs === undefined ? [] : readdirSync(logs)).flatMap(entry => {
      const [namespace, pod, uid] = entry.split('_')
      return uid === undefined ? [] : [[uid, `${namespace}/${pod}`] as const]
    }),
  )
}
