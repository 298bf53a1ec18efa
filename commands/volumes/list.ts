import { Flags } from '@oclif/core'
import { listVolumesFrom } from '../../runbooks/list-volumes.ts'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { exitCodes } from '../../src/cli/exit-codes.ts'
import { tellOn } from '../../src/views/terminal.ts'
import { showVolumes } from '../../src/views/volumes.ts'

export default class VolumesList extends BaseCommand {
  static override summary = 'Which claim is on which LUN, by every source that still lives'
  static override description =
    'Reads PersistentVolumes in Git, the NAS, and whatever is named with --from: a dead controller’s kine database (its write-ahead log is applied to what is read, never to the file), etcd, an archive of `k0s backup`, a kubelet directory. Shows which sources agree; a contradiction is shown with all its sides and never decided. Changes nothing. Without a recover.yaml only the named sources are read. Ends with 0; with 3 when sources disagree or a claim has no LUN.'
  static override examples = [
    '<%= config.bin %> volumes list',
    '<%= config.bin %> volumes list --from kine:state.db',
    '<%= config.bin %> volumes list --offline --from backup:k0s_backup_2026-01-02.tar.gz --json',
  ]
  static override flags = {
    file: Flags.string({
      char: 'f',
      description: 'recover.yaml, or the folder that holds it',
      default: '.',
      helpValue: 'PATH',
    }),
    from: Flags.string({
      description: 'A further source: kine, etcd, backup or kubelet, and its path',
      multiple: true,
      helpValue: 'KIND:PATH',
    }),
    offline: Flags.boolean({ description: 'Do not ask the NAS' }),
  }

  async run() {
    const { flags } = await this.parse(VolumesList)
    const listed = await listVolumesFrom({
      where: flags.file,
      from: flags.from ?? [],
      offline: flags.offline,
      now: new AbortController().signal,
    })
    if (!this.jsonEnabled()) tellOn(page => showVolumes(listed, page))
    if (listed.volumes.some(v => v.contradiction || (v.luns.length === 0 && v.strategy !== 'new')))
      process.exitCode = exitCodes.blocked
    return listed
  }
}
