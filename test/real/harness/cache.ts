import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where what takes long to make is kept from one run of the tests to the next: outside the repository. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'recover-real')
}

const unusedForMs = 30 * 24 * 3600_000

/**
 * A folder made once for a recipe, and again when the recipe changes. It appears under its name when it is whole: one
 * that was half made by a process that died is never used.
 */
export function cached(
  name: string,
  recipe: unknown,
  make: (folder: string) => void,
  tell: (text: string) => void,
): string {
  const home = cacheFolder()
  const hash = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 16)
  const folder = join(home, `${name}-${hash}`)
  const now = new Date()
  if (!existsSync(folder)) {
    mkdirSync(home, { recursive: true })
    forgetOld(home)
    tell(`making ${name}, which is kept in ${home}`)
    const unfinished = join(home, `unfinished-${name}-${process.pid}-${Date.now()}`)
    mkdirSync(unfinished)
    try {
      make(unfinished)
      renameSync(unfinished, folder)
    } catch (thrown) {
      rmSync(unfinished, { recursive: true, force: true })
      // Another process may have been quicker.
      if (!existsSync(folder)) throw thrown
    }
  }
  utimesSync(folder, now, now)
  return folder
}

/** Removes what no run has used for a month, and what was never finished. */
function forgetOld(home: string): void {
  for (const name of readdirSync(home)) {
    const age = Date.now() - statSync(join(home, name)).mtimeMs
    if (age > (name.startsWith('unfinished-') ? 3600_000 : unusedForMs))
      rmSync(join(home, name), { recursive: true, force: true })
  }
}
