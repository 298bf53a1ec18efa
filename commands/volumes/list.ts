import { Flags } from '@oclif/core'
import { listVolumesFrom } from '../../runbooks/list-volumes.ts'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { exitCodes } from '../../src/cli/exit-codes.ts'
import { tellOn } from '../../src/views/terminal.ts'
import { showVolumes } from '../../src/views/volumes.ts'

export default class VolumesList extends BaseCommand {
  static override summary = 'Which claim is on which LUN or share, by every source that still lives'
  static override description =
    'Reads PersistentVolumes in Git and in its history, the NAS, and what recover.yaml names under `evidence`; with --from, exactly the sources that are named: a dead controller’s kine database (its write-ahead log is applied to what is read, never to the file), etcd, an archive of `k0s backup`, a kubelet directory, open-iscsi’s records, a GitOps repository, the NAS, a cluster that still answers. Shows which sources agree; a contradiction is shown with all its sides and a question, and never decided. LUNs and shares that no claim has and claims without one are listed, too. Changes nothing. Ends with 0; with 3 when a question is open.'
  static override examples = [
    '<%= config.bin %> volumes list',
    '<%= config.bin %> volumes list --from nas --from kine:state.db --from git:.',
    '<%= config.bin %> volumes list --from kubeconfig:$HOME/.kube/config',
    '<%= config.bin %> volumes list --from backup:k0s_backup_2026-01-02.tar.gz --json',
  ]
  static override flags = {
    file: Flags.string({
      char: 'f',
      description: 'recover.yaml, or the folder that holds it',
      default: '.',
      helpValue: 'PATH',
    }),
    from: Flags.string({
      description:
        'Only these sources: nas, or kine, etcd, backup, kubelet, iscsi, git or kubeconfig and its path',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'SOURCE[:PATH]',
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
    if (listed.volumes.some(v => v.question !== undefined)) process.exitCode = exitCodes.blocked
    return listed
  }
}
