import { Args, Flags } from '@oclif/core'
import { syncInEarnest } from '../../runbooks/begin.ts'
import { reviewRun } from '../../runbooks/review.ts'
import { BaseCommand, livingClusterFlags, runFlags } from '../../src/cli/base-command.ts'
import { withSession } from '../../src/cli/session.ts'

export default class VolumesSync extends BaseCommand {
  static override summary = 'Give claims of the living cluster new disks, as Git wants them, with their data'
  static override description =
    'For a day when nothing is broken: another StorageClass, from iSCSI to NFS, a smaller size, a disk of its own before an upgrade. What uses a claim is held back and stopped, its disk is snapshot and copied (or cloned, as recover.yaml says), the new disk is proven, and only then does it take the place of the old one, with your consent to each claim by name. The old LUN is kept, with its target off, until `recover volumes finalize`. It can be stopped or killed at any moment; `recover resume` goes on.'
  static override examples = [
    '<%= config.bin %> volumes sync',
    '<%= config.bin %> volumes sync grafana/data --kubeconfig $HOME/.kube/config --context home',
  ]
  static override strict = false
  static override args = {
    claim: Args.string({ description: 'Claims, as NAMESPACE/CLAIM; all that differ from Git by default' }),
  }
  static override flags = {
    ...runFlags,
    ...livingClusterFlags,
    approve: Flags.string({
      description: 'Agree to exactly this plan by its hash, for runs that nobody watches',
      helpValue: 'HASH',
    }),
  }

  async run() {
    const { argv, flags } = await this.parse(VolumesSync)
    const question = { chosen: argv.map(String), kubeconfig: flags.kubeconfig, context: flags.context }
    const result = await withSession(flags, this.config.version, session =>
      syncInEarnest(flags.file, question, {
        ...session,
        ...(flags.approve === undefined ? {} : { approve: flags.approve }),
      }),
    )
    this.endWith(result, reviewRun(result.run))
    return result
  }
}
