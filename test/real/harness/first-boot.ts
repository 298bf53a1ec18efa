import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, running } from './commands.ts'
import { place } from './place.ts'

const named = process.env.RECOVER_TEST_IGNITION

/** The `ignition` program as Flatcar builds it; undefined where there is none. */
export const ignition = named !== undefined && existsSync(named) ? named : undefined

/** What the real Ignition made of a config in the root of a Debian system. */
export interface FirstBoot {
  /** A folder: the system that the machine would start with. */
  root: string
  /** It asked for the network before it went on. */
  neededNetwork: boolean
  /** The config with everything merged, as Ignition wrote it down. */
  merged: Record<string, unknown>
}

/**
 * Has Ignition do what it does in a machine's initramfs, stage by stage, with a system in a folder instead of the disk's.
 * Throws with what it complained about, when it gives the boot up.
 */
export async function firstBoot(config: string): Promise<FirstBoot> {
  const folder = mkdtempSync(join(place().folder, 'first-boot-'))
  // It writes a user's keys as that user.
  chmodSync(folder, 0o711)
  const at = (name: string) => join(folder, name)
  for (const name of ['upper', 'work', 'root']) mkdirSync(at(name))
  const layers = `lowerdir=${place().debian},upperdir=${at('upper')},workdir=${at('work')}`
  run('mount', '-t', 'overlay', 'first-boot', '-o', layers, at('root'))
  // A root that nobody has set up has no name.
  rmSync(at('root/etc/hostname'))
  writeFileSync(at('config.ign'), config, { mode: 0o600 })
  for (const stage of ['fetch-offline', 'fetch', 'files']) {
    const places = { root: 'root', 'config-cache': 'merged.json', 'state-file': 'state', neednet: 'neednet' }
    const options = Object.entries(places).map(([name, file]) => `--${name}=${at(file)}`)
    const args = ['--platform=file', `--stage=${stage}`, ...options, '--log-to-stdout']
    const command = ['env', `IGNITION_CONFIG_FILE=${at('config.ign')}`, ignition!, ...args]
    await running('sh', ['-c', '"$@" >"$0"', at('log'), ...command], 30_000).catch(() => {
      const log = readFileSync(at('log'), 'utf8').split('\n')
      const why = log.filter(line => /^(?:CRITICAL|ERROR|WARNING)|\[failed\]/.test(line)).slice(-5)
      throw new Error(`Ignition’s stage ${stage}: ${why.join('\n')}`)
    })
  }
  return {
    root: at('root'),
    neededNetwork: existsSync(at('neednet')),
    merged: JSON.parse(readFileSync(at('merged.json'), 'utf8')) as Record<string, unknown>,
  }
}
