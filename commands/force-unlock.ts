import { Args, Flags } from '@oclif/core'
import { clusterFileIn } from '../runbooks/cluster-file.ts'
import { forceUnlock } from '../runbooks/runs.ts'
import { BaseCommand } from '../src/cli/base-command.ts'
import { tell } from '../src/views/terminal.ts'

export default class ForceUnlock extends BaseCommand {
  static override summary = 'Break the lock of a run that will never release it, and say whose it was'
  static override description =
    'A lock of a process that ended on this machine is broken by itself. Use this only when the holder is on another machine or is known to be gone: two people who recover at once destroy each other’s work.'
  static override examples = [
    '<%= config.bin %> force-unlock --yes',
    '<%= config.bin %> force-unlock ~/home --yes',
  ]
  static override args = {
    where: Args.string({ description: 'recover.yaml, or the folder that holds it', default: '.' }),
  }
  static override flags = {
    yes: Flags.boolean({ description: 'I know that nobody else is at work', required: true }),
  }

  async run() {
    const { args } = await this.parse(ForceUnlock)
    const broken = forceUnlock(clusterFileIn(args.where))
    if (!this.jsonEnabled())
      tell(
        broken
          ? `Broke the lock of ${broken.user}@${broken.host}, who began ${broken.doing} at ${broken.since} (run ${broken.run}).\n`
          : 'There was no lock.\n',
      )
    return { broken: broken ?? null }
  }
}
