import { Args } from '@oclif/core'
import { planHosts } from '../../runbooks/look-at-hosts.ts'
import { BaseCommand, hostsFlags } from '../../src/cli/base-command.ts'
import { exitCodes } from '../../src/cli/exit-codes.ts'
import { showHostPlan } from '../../src/views/hosts.ts'
import { tellOn } from '../../src/views/terminal.ts'

export default class HostsPlan extends BaseCommand {
  static override summary =
    'Which disk of a host would be wiped, with everything on it, and which ways to install it can be tried now'
  static override description =
    'Reads only. The disk is looked up now, by serial or WWN; data on it that would be lost is named with the claims whose it is. Ends with 3 when something keeps a host from being installed: its disk is refused, or no way can be tried.'
  static override examples = [
    '<%= config.bin %> hosts plan',
    '<%= config.bin %> hosts plan lithium',
    '<%= config.bin %> hosts plan lithium --json',
  ]
  static override args = {
    host: Args.string({ description: 'The host, as k0sctl.yaml calls it; all when none is named' }),
  }
  static override flags = hostsFlags

  async run() {
    const { args, flags } = await this.parse(HostsPlan)
    const hosts = await planHosts({
      where: flags.file,
      host: args.host,
      lab: flags.lab,
      now: new AbortController().signal,
    })
    if (!this.jsonEnabled())
      for (const [i, host] of hosts.entries()) tellOn(page => (i > 0 ? '\n' : '') + showHostPlan(host, page))
    if (hosts.some(h => !h.possible)) process.exitCode = exitCodes.blocked
    return { hosts }
  }
}
