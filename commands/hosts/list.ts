import { lookAtHosts } from '../../runbooks/look-at-hosts.ts'
import { BaseCommand, hostsFlags } from '../../src/cli/base-command.ts'
import { showHostList } from '../../src/views/hosts.ts'
import { tellOn } from '../../src/views/terminal.ts'

export default class HostsList extends BaseCommand {
  static override summary =
    'Each host: whether it answers, what runs on it, its disk, and the ways to install it'
  static override description = 'Reads only. Ends with 0 when it could look, whoever answers.'
  static override examples = [
    '<%= config.bin %> hosts list',
    '<%= config.bin %> hosts list --json',
    '<%= config.bin %> hosts list --file examples/home --lab',
  ]

  static override flags = hostsFlags

  async run() {
    const { flags } = await this.parse(HostsList)
    const hosts = await lookAtHosts({
      where: flags.file,

      lab: flags.lab,
      now: new AbortController().signal,
    })
    if (!this.jsonEnabled()) tellOn(page => showHostList(hosts, page))

    return { hosts }
  }
}
