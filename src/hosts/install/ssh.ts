import type { InstallerRung } from './rung.ts'
import { runsFromMemory } from './running-from-memory.ts'

/** The rung for a machine on which an installer, or any system that runs from memory, is there already. */
export const ssh: InstallerRung = {
  name: 'ssh',
  leadsTo: 'installer',
  refuses({ seen, silence }) {
    if (!seen) return silence
    if (!runsFromMemory(seen.facts))
      return `${seen.facts.os.name || 'the system'} that runs on it lives on a disk, not in memory`
    return seen.facts.access === 'none' ? 'we are not root on it, and sudo asks for a password' : undefined
  },
  says: ({ host, seen }) =>
    `use ${seen?.facts.os.name || 'the installer'}, which runs in the memory of ${host}`,
  async bringUp({ host }, hands, { wait }) {
    await wait(`the installer on ${host} to let its disk be written`, () => hands.found(), {
      every: '2s',
      limit: '1m',
    })
  },
}
