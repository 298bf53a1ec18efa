import { Args, Flags } from '@oclif/core'
import { labUp } from '../../runbooks/lab.ts'
import { BaseCommand } from '../../src/cli/base-command.ts'

export default class LabUp extends BaseCommand {
  static override summary = 'Start a lab by itself and print its endpoints and credentials as JSON'
  static override description =
    'The world of a rehearsal without the run: emulated hosts (SSH), NAS (Synology Web API), Kubernetes (once k0s runs on a controller). Everything listens on this machine’s loopback only; the credentials open nothing else.'
  static override examples = [
    '<%= config.bin %> lab up examples/home',
    '<%= config.bin %> lab up examples/home | jq -r .nas.url',
  ]
  static override args = {
    where: Args.string({ description: 'recover.yaml, or the folder that holds it', default: '.' }),
  }
  static override flags = {
    iscsi: Flags.boolean({
      description:
        'LUNs are real disks that real initiators on this machine log in to, at the NAS’s address and port 3260 (needs root and Debian’s tgt). The lab’s own pods cannot read them',
    }),
    folder: Flags.string({ description: 'Where its world is kept', helpValue: 'FOLDER' }),
    latency: Flags.string({
      description:
        'How long a part takes for each thing it does: ssh, install, boot, nas, clone, api, controllers',
      multiple: true,
      helpValue: 'PART=DURATION',
    }),
  }

  async run() {
    const { args, flags } = await this.parse(LabUp)
    const endpoints = await labUp(args.where, flags.folder, flags.latency, { iscsi: flags.iscsi })
    if (!this.jsonEnabled()) this.log(JSON.stringify(endpoints, null, 2))
    return endpoints
  }
}
