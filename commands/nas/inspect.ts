import { Flags } from '@oclif/core'
import { inspect } from '../../runbooks/inspect-nas.ts'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { showInspection } from '../../src/views/nas.ts'
import { tellOn } from '../../src/views/terminal.ts'

export default class NasInspect extends BaseCommand {
  static override summary =
    'What the NAS is, what is on it and how it answers, as far as a recovery depends on it; changes nothing'
  static override description =
    'Logs in as a recovery would and asks by methods that only get and list: model, limits and how far they are used, volumes, LUNs and targets that the CSI driver would not find, names of claims in descriptions, protection against CSRF, host masking, versions of the APIs, how it refuses. With --record, all that it said is written to DIR/nas.json for whoever works on recover, with made-up names, IQNs, addresses and serials in the place of yours: read it before you give it away.'
  static override examples = [
    '<%= config.bin %> nas inspect',
    '<%= config.bin %> nas inspect --record ./my-nas',
    '<%= config.bin %> nas inspect --file examples/home --lab --json',
  ]
  static override flags = {
    file: Flags.string({
      description: 'recover.yaml, or the folder that holds it',
      default: '.',
      helpValue: 'PATH',
    }),
    lab: Flags.boolean({ description: 'Look at the NAS of a lab made from the cluster file' }),
    record: Flags.string({
      description: 'Write what the NAS said into this folder, anonymised',
      helpValue: 'DIR',
    }),
  }

  async run() {
    const { flags } = await this.parse(NasInspect)
    const inspected = await inspect({
      where: flags.file,
      lab: flags.lab,
      record: flags.record,
      now: new AbortController().signal,
    })
    if (!this.jsonEnabled()) tellOn(page => showInspection(inspected, page))
    return inspected
  }
}
