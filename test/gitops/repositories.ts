import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Commits everything in a folder, making a repository of it where it is none. Returns the commit. */
export function commitAll(folder: string, message = 'All of it'): string {
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.net', ...args])
      .toString()
      .trim()
  if (!existsSync(join(folder, '.git'))) git('init', '-q', '-b', 'main')
  git('add', '.')
  git('commit', '-q', '-m', message)
  return git('rev-parse', 'HEAD')
}
