import { Flags } from '@oclif/core'
import { labDown } from '../../runbooks/lab.ts'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { tell } from '../../src/views/terminal.ts'

export default class LabDown extends BaseCommand {
  static override summary = 'Stop the lab; its world stays unless it is to be wiped'
  static override examples = ['<%= config.bin %> lab down', '<%= config.bin %> lab down --wipe']
  static override flags = {
    folder: Flags.string({ description: 'Where its world is kept', helpValue: 'FOLDER' }),
    wipe: Flags.boolean({ description: 'Delete its world, too' }),
  }

  async run() {
    const { flags } = await this.parse(LabDown)
    await labDown(flags.folder, flags.wipe)
    if (!this.jsonEnabled()) tell(flags.wipe ? 'The lab and its world are gone.\n' : 'The lab is down.\n')
    return { down: true, wiped: flags.wipe }
  }
}
