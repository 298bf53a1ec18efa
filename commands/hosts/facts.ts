import { Args } from '@oclif/core'
import { lookAtHosts } from '../../runbooks/look-at-hosts.ts'
import { BaseCommand, hostsFlags } from '../../src/cli/base-command.ts'
import { exitCodes } from '../../src/cli/exit-codes.ts'
import { showHostFacts } from '../../src/views/hosts.ts'
import { tellOn } from '../../src/views/terminal.ts'

export default class HostsFacts extends BaseCommand {
  static override summary =
    'Everything that one look at a host tells: system, firmware, network, k0s, every disk with what is on it'
  static override description =
    'Reads only, in one round trip a host. Ends with 4 when a host does not answer.'
  static override examples = [
    '<%= config.bin %> hosts facts',
    '<%= config.bin %> hosts facts lithium',
    '<%= config.bin %> hosts facts lithium --json',
  ]
  static override args = {
    host: Args.string({ description: 'The host, as k0sctl.yaml calls it; all when none is named' }),
  }
  static override flags = hostsFlags

  async run() {
    const { args, flags } = await this.parse(HostsFacts)
    const hosts = await lookAtHosts({
      where: flags.file,
      host: args.host,
      lab: flags.lab,
      now: new AbortController().signal,
    })
    if (!this.jsonEnabled())
      for (const [i, host] of hosts.entries()) tellOn(page => (i > 0 ? '\n' : '') + showHostFacts(host, page))
    if (hosts.some(h => !h.answers)) process.exitCode = exitCodes.failed
    return { hosts }
  }
}
