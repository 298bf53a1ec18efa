import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { madeUpBackup } from '../../../runbooks/rehearsal/backups.ts'
import { loadCluster } from '../../../src/cluster/load.ts'
import { run } from './commands.ts'
import type { DiskNode } from './disk-node.ts'
import { place } from './place.ts'

/** Where backups were made of: the path of every volume in its snapshot. */
export function backedUpFolder(): string {
  return join(place().folder, 'data')
}

/**
 * Gives a machine Debian's restic and a repository that it finds by itself, with a snapshot of each claim. A rehearsal makes up
 * where the repository is and which snapshots it has; what is made up is put right in front of restic.
 * @param mount mounts the disk of a claim at {@link backedUpFolder} while something is done
 */
export async function giveBackups(
  node: DiskNode,
  home: string,
  claims: readonly string[],
  mount: (claim: string, at: string, action: () => void) => void,
): Promise<void> {
  const tree = mkdtempSync(join(place().folder, 'restic-'))
  const repository = join(tree, 'repository')
  const password = join(tree, 'password')
  writeFileSync(password, 'only-in-a-test')
  const restic = (...args: string[]) =>
    run('restic', '--repo', repository, '--password-file', password, '--no-cache', '--quiet', ...args)
  restic('init')
  const cluster = loadCluster(join(home, 'recover.yaml'))
  const folder = backedUpFolder()
  mkdirSync(folder, { recursive: true })
  const known = claims.map(claim => {
    mount(claim, folder, () => void restic('backup', '--tag', claim, folder))
    const [snapshot] = JSON.parse(restic('snapshots', '--json', '--tag', claim)) as { id: string }[]
    return `    ${madeUpBackup(cluster, claim).id}) word=${snapshot!.id} ;;`
  })
  copyFileSync('/usr/bin/restic', join(tree, 'restic'))
  await node.put(tree, '/srv/restic')
  await node.shell(`chmod 755 /srv/restic/restic
cat >/usr/local/bin/restic <<'END'
#!/bin/sh
export RESTIC_REPOSITORY=/srv/restic/repository RESTIC_PASSWORD_FILE=/srv/restic/password
unset RESTIC_PASSWORD
for word; do
  shift
  case $word in
${known.join('\n')}
  esac
  set -- "$@" "$word"
done
exec /srv/restic/restic "$@"
END
chmod 755 /usr/local/bin/restic`)
}
