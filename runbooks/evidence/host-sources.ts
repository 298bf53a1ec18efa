import { type EvidenceReader, layOut } from '../../src/hosts/evidence.ts'
import { readHostFiles, speaksOfVolumes } from '../../src/volumes/sources/host-files.ts'
import type { VolumeSource } from '../../src/volumes/sources/volume-source.ts'
import type { HostsReader } from '../kit.ts'
import type { Surveyed } from './survey.ts'

/**
 * What the machines' own files say of which claim was which volume: as the run has kept them, or else as they are read
 * now, into a folder that is gone afterwards. A machine of which nothing can be read is no source.
 */
export async function fromHosts(
  surveys: ReadonlyMap<string, Surveyed>,
  evidence: EvidenceReader,
  hosts: Pick<HostsReader, 'anyone'>,
  signal: AbortSignal,
): Promise<VolumeSource[]> {
  const sources: VolumeSource[] = []
  for (const [host, found] of surveys) {
    const folder = evidence.folder(host)
    if (folder !== undefined)
      sources.push(...readHostFiles(host, folder, [...(evidence.kept(host)?.keys() ?? [])]))
    else {
      const files = await volumeFilesOf(host, found, hosts, signal)
      if (files.size > 0)
        sources.push(...layOut(files, folder => readHostFiles(host, folder, [...files.keys()])))
    }
  }
  return sources
}

async function volumeFilesOf(
  host: string,
  { files, pods }: Surveyed,
  hosts: Pick<HostsReader, 'anyone'>,
  signal: AbortSignal,
): Promise<Map<string, Buffer>> {
  const wanted = files.map(f => f.path).filter(speaksOfVolumes)
  if (wanted.length === 0) return new Map()
  const fetched = await hosts.anyone(host, signal, h => h.fetchFiles(wanted, signal))
  return withPods(fetched, pods)
}

/** Which pod had which volume only the names of its logs' folders say: they are kept as empty files in such folders. */
export function withPods(files: Map<string, Buffer>, pods: readonly string[]): Map<string, Buffer> {
  return new Map([...files, ...pods.map(pod => [`/var/log/pods/${pod}/name`, Buffer.alloc(0)] as const)])
}
