import { Flags } from '@oclif/core'
import { labStatus } from '../../runbooks/lab.ts'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { tell } from '../../src/views/terminal.ts'

export default class LabStatus extends BaseCommand {
  static override summary = 'Say whether the lab runs, where, and how many requests changed something in it'
  static override examples = ['<%= config.bin %> lab status', '<%= config.bin %> lab status --json']
  static override flags = {
    folder: Flags.string({ description: 'Where its world is kept', helpValue: 'FOLDER' }),
  }

  async run() {
    const { flags } = await this.parse(LabStatus)
    const status = await labStatus(flags.folder)
    if (!this.jsonEnabled()) {
      const { mutations } = status
      tell(status.running ? `The lab runs (process ${status.endpoints?.pid}).\n` : 'The lab does not run.\n')
      if (mutations)
        tell(
          `Requests that changed something: ${mutations.hosts} on hosts, ${mutations.nas} on the NAS, ${mutations.kubernetes} in Kubernetes.\n`,
        )
    }
    return status
  }
}
