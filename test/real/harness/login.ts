import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './commands.ts'
import { place } from './place.ts'

/** The person's own key, as OpenSSH makes it. */
export interface Login {
  private: string
  public: string
  /** The private key's file, as `ssh -i` takes it. */
  file: string
}

/** Makes a key for one file of tests. */
export function makeLogin(): Login {
  const file = join(mkdtempSync(join(place().folder, 'key-')), 'id_ed25519')
  run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'a person', '-f', file)
  return { file, private: readFileSync(file, 'utf8'), public: readFileSync(`${file}.pub`, 'utf8').trim() }
}
