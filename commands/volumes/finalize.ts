import { resolve } from 'node:path'
import { Args, Flags } from '@oclif/core'
import { finalizeInEarnest, planFinalize } from '../../runbooks/begin.ts'
import { reviewRun } from '../../runbooks/review.ts'
import { BaseCommand, livingClusterFlags, runFlags } from '../../src/cli/base-command.ts'
import { withSession } from '../../src/cli/session.ts'
import { tellPlan } from '../../src/views/terminal.ts'

export default class VolumesFinalize extends BaseCommand {
  static override summary =
    'List the old LUNs, shares and snapshots that finished runs left behind, and delete those that you name'
  static override description =
    'Without a uuid it only lists, and changes nothing. What is named is deleted only with your consent to each by name, a week after its run ended at the earliest (--at-once says otherwise), and only while nobody is logged in to it (or let in by a share’s NFS rules) and no PersistentVolume of the cluster leads to it. Mapping, LUN and target go in this order; it can be stopped and resumed. There is no trash on the NAS.'
  static override examples = [
    '<%= config.bin %> volumes finalize',
    '<%= config.bin %> volumes finalize 0f5a7c64-1111-4222-8333-444455556666',
  ]
  static override strict = false
  static override args = {
    uuid: Args.string({ description: 'LUNs, shares and snapshots to delete, by uuid' }),
  }
  static override flags = {
    ...runFlags,
    ...livingClusterFlags,
    'at-once': Flags.boolean({ description: 'Do not wait for the week to be over' }),
  }

  async run() {
    const { argv, flags } = await this.parse(VolumesFinalize)
    const chosen = argv.map(String)
    if (chosen.length === 0) {
      const plan = await planFinalize(flags.file, new AbortController().signal)
      if (!this.jsonEnabled()) tellPlan(plan)
      this.endWithPlan(plan)
      return plan
    }
    const asked = {
      chosen,
      atOnce: flags['at-once'],
      ...(flags.kubeconfig === undefined ? {} : { kubeconfig: resolve(flags.kubeconfig) }),
      ...(flags.context === undefined ? {} : { context: flags.context }),
    }
    const result = await withSession(flags, this.config.version, session =>
      finalizeInEarnest(flags.file, { ...session, asked }),
    )
    this.endWith(result, reviewRun(result.run))
    return result
  }
}
