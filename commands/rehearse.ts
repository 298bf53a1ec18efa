import { Args, Flags } from '@oclif/core'
import { faults } from '../runbooks/rehearsal/faults.ts'
import { parseFault, parseLatency, planRehearsal, rehearse } from '../runbooks/rehearse.ts'
import { reviewRun } from '../runbooks/review.ts'
import { BaseCommand, onlyFlag, phasesOf, runFlags } from '../src/cli/base-command.ts'
import { withSession } from '../src/cli/session.ts'
import { tell, tellPlan } from '../src/views/terminal.ts'

export default class Rehearse extends BaseCommand {
  static override summary = 'Rehearse the recovery against an embedded lab; no real machine can be reached'
  static override description =
    'Builds a world of emulated machines and an emulated NAS from your own cluster file, all dead, and recovers it by the same runbook as in earnest.'
  static override examples = [
    '<%= config.bin %> rehearse',
    '<%= config.bin %> rehearse ~/home/recover.yaml',
    '<%= config.bin %> rehearse examples/home --fault host-dies-during-install:lithium',
    '<%= config.bin %> rehearse --fault list',
    '<%= config.bin %> rehearse examples/home --latency boot=20s --latency nas=200ms',
  ]
  static override args = {
    where: Args.string({ description: 'recover.yaml, or the folder that holds it', default: '.' }),
  }
  static override flags = {
    ...runFlags,
    ...onlyFlag,
    'dry-run': Flags.boolean({ description: 'Only plan, in a lab of its own' }),
    ask: Flags.boolean({ description: 'Ask for consent as in earnest, to practise that too' }),
    latency: Flags.string({
      description:
        'How long a part of the lab takes for each thing it does: ssh, install, boot, nas, clone, api, controllers',
      multiple: true,
      helpValue: 'PART=DURATION',
    }),
    fault: Flags.string({
      description: 'Something to go wrong, NAME or NAME:TARGET; `list` explains each',
      multiple: true,
      helpValue: 'NAME[:TARGET]',
    }),
  }

  async run() {
    const { args, flags } = await this.parse(Rehearse)
    if (flags.fault?.includes('list')) {
      for (const fault of faults) tell(`${fault.name}[:${fault.target}]\n    ${fault.explains}\n`)
      return { faults }
    }
    const only = phasesOf(flags.only)
    if (flags['dry-run']) {
      const plan = await planRehearsal(args.where, new AbortController().signal, only)
      if (!this.jsonEnabled()) tellPlan(plan)
      this.endWithPlan(plan)
      return plan
    }
    const asked = (flags.fault ?? []).map(parseFault)
    const result = await withSession(flags, this.config.version, session =>
      rehearse(args.where, {
        ...session,
        faults: asked,
        practise: flags.ask,
        ...(only === undefined ? {} : { only }),
        latency: parseLatency(flags.latency ?? []),
      }),
    )
    this.endWith(result, reviewRun(result.run))
    return result
  }
}
