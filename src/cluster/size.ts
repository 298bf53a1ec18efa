import { ClusterFileFault } from './problem.ts'

const factors: Record<string, number> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
}

/** Bytes of a Kubernetes quantity: `20Gi`, `500M`, `1073741824`. */
export function parseSize(text: string, at: string): number {
  const match = /^(\d+(?:\.\d+)?)(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/.exec(text)
  const factor = factors[match?.[2] ?? '']
  if (!match || factor === undefined)
    throw new ClusterFileFault(
      'cluster-file-invalid',
      [{ at, path: '', message: `expected a size like 10Gi, got ${JSON.stringify(text)}` }],
      at,
    )
  return Math.ceil(Number(match[1]) * factor)
}

/** The shortest exact quantity: `20Gi`, `1536Mi`, `5M`; plain bytes when nothing else fits. */
export function showSize(bytes: number): string {
  for (const unit of ['Ti', 'Gi', 'Mi', 'Ki'])
    if (bytes >= factors[unit]! && bytes % factors[unit]! === 0) return `${bytes / factors[unit]!}${unit}`
  return String(bytes)
}
