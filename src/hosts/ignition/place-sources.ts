import { readFileSync } from 'node:fs'
import { Fault } from '../../runbook/fault.ts'
import { type IgnitionConfig, parseIgnition, type Resource } from './config.ts'
import type { KeptSource } from './source-kit.ts'
import { allSources, type FoundSource, findSources, type SourceTree } from './sources.ts'

/**
 * Bytes that a config may have with what is put into it. It lies on Flatcar's OEM partition, which has 128 MiB on every disk
 * that was made before it grew to 1 GiB (262144 blocks of 512, flatcar/scripts build_library/disk_layout.json); the old
 * config lies there beside the new one while flatcar-reset changes them.
 */
export const largestConfig = 64 * 2 ** 20

/** Where a machine gets a source from at its first boot. */
export type SourcePlace =
  /** The kit's copy, inside the config. */
  | 'inside'
  /** The kit's copy, from this computer. */
  | 'served'
  /** Where the config says. */
  | 'elsewhere'

export interface PlacedSource {
  found: FoundSource
  place: SourcePlace
  /** Why the kit's copy is not used, where there is one. */
  why?: string
}

/**
 * Decides where each source comes from. What the kit has goes into the config, the smallest first, as long as there is room:
 * such a machine needs nobody when it boots. The rest is served from this computer, where it serves.
 * @param room bytes that the config may have
 */
export function placeSources(tree: SourceTree, serves: boolean, room = largestConfig): PlacedSource[] {
  const all = allSources(tree)
  const inside = new Set<FoundSource>()
  let size = JSON.stringify(tree.config).length
  for (const found of all) if (found.inner) size += weight(found)
  const bySize = all.filter(f => f.kept && !f.inner).sort((a, b) => a.kept!.bytes - b.kept!.bytes)
  for (const found of bySize) {
    if (size + weight(found) > room) break
    size += weight(found)
    inside.add(found)
  }
  return all.map(found => {
    if (found.inner || inside.has(found)) return { found, place: 'inside' }
    if (!found.kept) return { found, place: 'elsewhere' }
    if (serves) return { found, place: 'served' }
    return {
      found,
      place: 'elsewhere',
      why: `the kit has it, and with its ${found.kept.bytes} bytes the config would be larger than ${room} bytes, which is half of Flatcar’s OEM partition`,
    }
  })
}

/**
 * The config with each source where it was placed. Every copy of the kit gets a hash, so that no other is taken for it.
 * @param urlOf the address at which this computer serves a copy
 */
export function writeSources(
  tree: SourceTree,
  placed: readonly PlacedSource[],
  urlOf: (kept: KeptSource) => string,
): IgnitionConfig {
  const places = new Map(placed.map(p => [p.found, p.place]))
  const written = (within: SourceTree): IgnitionConfig => {
    for (const found of within.sources) {
      const { resource, kept, inner } = found
      if (inner) becomes(resource, dataUrl(Buffer.from(JSON.stringify(written(inner)))))
      else if (kept) {
        const place = places.get(found)
        resource.verification = { hash: resource.verification?.hash || `sha512-${kept.sha512}` }
        if (place === 'inside') resource.source = dataUrl(readFileSync(kept.file))
        else if (place === 'served') resource.source = urlOf(kept)
      }
    }
    for (const { resource, tree } of within.merged)
      if (allSources(tree).some(s => s.kept))
        becomes(resource, dataUrl(Buffer.from(JSON.stringify(written(tree)))))
    return within.config
  }
  return written(tree)
}

/** How a person is told where a source comes from. */
export function showPlace({ found, place, why }: PlacedSource): string {
  const since = found.kept ? `, kept on ${found.kept.since.toISOString().slice(0, 10)}` : ''
  const pinned = found.hashed ? '' : ', not pinned by the config'
  switch (place) {
    case 'inside':
      return `from the kit, inside the config${since}${pinned}`
    case 'served':
      return `from the kit, by this computer at the first boot (${found.kept?.bytes} bytes)${since}${pinned}`
    case 'elsewhere':
      return `from the network at the first boot: ${why ?? found.never ?? 'the kit does not have it'}${pinned}`
  }
}

/**
 * Where a config's sources would come from, told of its text alone: whether this computer serves is not known then. Says why,
 * where that cannot be told, as of a merged config that is none.
 * @param kit folder; undefined where there is none
 */
export function sourcesOfText(
  text: string,
  shown: string,
  kit: string | undefined,
): { sources: { what: string; url: string; from: string }[]; unknown?: string } {
  try {
    const tree = findSources(parseIgnition(text, shown), kit, shown)
    const sources = placeSources(tree, false).map(placed => ({
      what: placed.found.what,
      url: placed.found.url,
      from: showPlace(placed),
    }))
    return { sources }
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
    return { sources: [], unknown: thrown.message }
  }
}

/** Base64 makes four bytes of three, once for every config that it lies within. */
function weight({ kept, depth }: FoundSource): number {
  return Math.ceil((kept?.bytes ?? 0) * (4 / 3) ** (depth + 1)) + 256
}

/** A config of ours has no hash that somebody else has written down. */
function becomes(resource: Resource, source: string): void {
  resource.source = source
  delete resource.compression
  delete resource.verification
}

function dataUrl(bytes: Buffer): string {
  return `data:;base64,${bytes.toString('base64')}`
}
