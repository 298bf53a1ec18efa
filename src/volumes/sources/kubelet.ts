import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { damaged } from '../datastore/database-damaged.ts'
import type { VolumeSource, VolumeTestimony } from './volume-source.ts'

/** What CSI's part of the kubelet leaves beside each mounted volume; `specVolID` is the name of the PersistentVolume. */
const volumeData = z.looseObject({
  driverName: z.string().optional(),
  volumeHandle: z.string().min(1),
  specVolID: z.string().optional(),
})

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
    return namesIn(volumes, remarks).flatMap((volume): VolumeTestimony[] => {
      const file = join(volumes, volume, 'vol_data.json')
      const data = dataIn(file)
      if (!data) {
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

/** One pod's folder that a failing disk does not give back says nothing; the others still do. */
function namesIn(folder: string, remarks: string[]): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    remarks.push(`${folder} cannot be read: ${(error as Error).message}`)
    return []
  }
}

function dataIn(file: string): z.infer<typeof volumeData> | undefined {
  try {
    return volumeData.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data
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
