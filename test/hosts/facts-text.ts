/** One block device as sysfs would tell. */
export interface FakeBlock {
  name: string
  gb: number
  /** Number of a partition, whose disk is `on`. */
  partition?: number
  on?: string
  device: string
  mapped?: string
  mapperId?: string
  raid?: string
  serial?: string
  wwid?: string
  model?: string
  slaves?: string[]
  path?: string
  removable?: boolean
  readOnly?: boolean
}

/** What the fact script would print on a machine with these devices; parts that are not named stay empty. */
export function factsText(blocks: FakeBlock[], parts: Record<string, string> = {}): string {
  const paths = new Map<string, string>()
  const lines = blocks.map(b => {
    const path = b.path ?? (b.on ? `${paths.get(b.on)}/${b.name}` : `/sys/devices/virtual/block/${b.name}`)
    paths.set(b.name, path)
    return [
      b.name,
      (b.gb * 1e9) / 512,
      b.partition ?? '',
      b.readOnly ? 1 : 0,
      b.removable ? 1 : 0,
      b.device,
      b.mapped ?? '',
      b.mapperId ?? '',
      b.raid ?? '',
      '',
      b.wwid ?? '',
      b.serial ?? '',
      b.model ?? '',
      (b.slaves ?? []).join(' '),
      path,
    ].join('\t')
  })
  const all: Record<string, string> = { access: 'root', block: lines.join('\n'), ...parts, end: '' }
  return Object.entries(all)
    .map(([name, text]) => `\n=== ${name}\n${text}\n`)
    .join('')
}
