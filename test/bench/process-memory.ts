import { readdirSync, readFileSync } from 'node:fs'

/** MiB. Resident memory counts pages that processes share once for each, proportional memory once for all. */
export interface Memory {
  rss: number
  pss: number
}

/** What a tree of processes holds now. @param also text in the command line of others that count, too */
export function memoryOf(root: number, also?: string): Memory {
  const parents = new Map<number, number>()
  const extra = new Set<number>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!(pid > 0)) continue
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
      if (also !== undefined && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(also)) extra.add(pid)
    } catch {
      // It ended meanwhile.
    }
  }
  const isOurs = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 1 && (pid === root || isOurs(parents.get(pid)))
  const sum: Memory = { rss: 0, pss: 0 }
  for (const pid of parents.keys()) {
    if (!isOurs(pid) && !extra.has(pid)) continue
    try {
      const told = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
      sum.rss += Number(/^Rss:\s+(\d+)/m.exec(told)?.[1] ?? 0) / 1_024
      sum.pss += Number(/^Pss:\s+(\d+)/m.exec(told)?.[1] ?? 0) / 1_024
    } catch {
      // It ended meanwhile.
    }
  }
  return sum
}
