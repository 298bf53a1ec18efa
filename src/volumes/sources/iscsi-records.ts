import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { damaged } from '../datastore/database-damaged.ts'
import type { VolumeSource, VolumeTestimony } from './volume-source.ts'

/**
 * What open-iscsi keeps of the targets that a machine was logged in to (/etc/iscsi, /var/lib/iscsi): which
 * PersistentVolumes it had, by the end of their IQNs. All of that is the NAS's own knowledge, so that it is no second
 * witness beside the NAS. Throws Fault `database-damaged` when it is no such folder.
 */
export function readIscsiRecords(name: string, folder: string): VolumeSource {
  const nodes = [join(folder, 'nodes'), folder].find(f => existsSync(f) && iqnsIn(f).length > 0)
  if (nodes === undefined && !existsSync(join(folder, 'nodes')))
    throw damaged(folder, 'it has no folder nodes with the names of targets: it is none of open-iscsi’s')
  const testimonies = (nodes === undefined ? [] : iqnsIn(nodes)).map((iqn): VolumeTestimony => {
    // iqn.2000-01.com.synology:NAS.PERSISTENTVOLUME
    const volume = /^iqn\.2000-01\.com\.synology:[^.]*\.(.+)$/.exec(iqn)?.[1]
    return {
      source: name,
      claim: '',
      lun: iqn,
      ...(volume === undefined ? {} : { volume }),
      repeats: 'nas',
    }
  })
  return { name, testimonies: testimonies.filter(t => t.volume !== undefined), remarks: [] }
}

function iqnsIn(folder: string): string[] {
  return readdirSync(folder).filter(entry => entry.startsWith('iqn.'))
}

/**
 * Puts LUNs in the place of targets' IQNs, as the NAS maps them. A target that it does not have, or that leads to more
 * than one LUN, names none.
 */
export function resolveTargets(
  source: VolumeSource,
  targets: readonly { iqn: string; mappings: readonly { lun: string }[] }[],
): VolumeSource {
  const remarks: string[] = []
  const testimonies = source.testimonies.flatMap((testimony): VolumeTestimony[] => {
    if (!testimony.lun.startsWith('iqn.')) return [testimony]
    const target = targets.find(t => t.iqn === testimony.lun)
    const [mapping, second] = target?.mappings ?? []
    if (mapping && !second) return [{ ...testimony, lun: mapping.lun }]
    remarks.push(
      target === undefined
        ? `the NAS has no target ${testimony.lun}`
        : `the target ${testimony.lun} leads to ${target.mappings.length} LUNs`,
    )
    return []
  })
  return { ...source, testimonies, remarks: [...source.remarks, ...remarks] }
}
