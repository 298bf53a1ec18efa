import { Args, Flags } from '@oclif/core'
import { planResumeAny, resumeAny } from '../runbooks/rehearse.ts'
import { reviewRun } from '../runbooks/review.ts'
import { BaseCommand, runFlags } from '../src/cli/base-command.ts'
import { withSession } from '../src/cli/session.ts'
import { tellPlan } from '../src/views/terminal.ts'

export default class Resume extends BaseCommand {
  static override summary = 'Go on with a run after a failure, a crash, a Ctrl-C or a closed laptop'
  static override examples = [
    '<%= config.bin %> resume',
    '<%= config.bin %> resume --dry-run',
    '<%= config.bin %> resume 20261123-021500-ab12',
    "<%= config.bin %> resume --redo 'hosts/install-flatcar[lithium]'",
  ]
  static override args = {
    run: Args.string({ description: 'The run; the newest when none is named' }),
  }
  static override flags = {
    ...runFlags,
    'dry-run': Flags.boolean({ description: 'Only look, and say what is left to do; changes nothing' }),
    accept: Flags.string({
      description: 'Go on although this changed since the run began',
      options: ['cluster-file', 'runbook'],
      multiple: true,
    }),
    redo: Flags.string({
      description: 'Do this step again although it was done',
      multiple: true,
      helpValue: 'STEP',
    }),
  }

  async run() {
    const { args, flags } = await this.parse(Resume)
    if (flags['dry-run']) {
      const plan = await planResumeAny(args.run, new AbortController().signal)
      if (!this.jsonEnabled()) tellPlan(plan)
      this.endWithPlan(plan)
      return plan
    }
    const result = await withSession(flags, this.config.version, session =>
      resumeAny(args.run, {
        ...session,
        accept: (flags.accept ?? []) as ('cluster-file' | 'runbook')[],
        redo: flags.redo ?? [],
      }),
    )
    this.endWith(result, reviewRun(result.run))
    return result
  }
}
