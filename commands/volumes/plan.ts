import { Args } from '@oclif/core'
import { planSync } from '../../runbooks/begin.ts'
import { BaseCommand, livingClusterFlags } from '../../src/cli/base-command.ts'
import { tellPlan } from '../../src/views/terminal.ts'

export default class VolumesPlan extends BaseCommand {
  static override summary =
    'Which claims of the living cluster would get new disks, and what would stop meanwhile'
  static override description =
    'Compares the claims of a cluster that is well with Git: another class, a smaller size or other access modes cannot be given to a claim that is there, only to a new one. Shows which cluster was asked and every claim with what `recover volumes sync` would do. Changes nothing.'
  static override examples = [
    '<%= config.bin %> volumes plan',
    '<%= config.bin %> volumes plan grafana/data --kubeconfig $HOME/.kube/config --context home',
  ]
  static override strict = false
  static override args = {
    claim: Args.string({ description: 'Claims, as NAMESPACE/CLAIM; all that differ from Git by default' }),
  }
  static override flags = livingClusterFlags

  async run() {
    const { argv, flags } = await this.parse(VolumesPlan)
    const question = { chosen: argv.map(String), kubeconfig: flags.kubeconfig, context: flags.context }
    const plan = await planSync(flags.file, question, new AbortController().signal)
    if (!this.jsonEnabled()) tellPlan(plan)
    this.endWithPlan(plan)
    return plan
  }
}
