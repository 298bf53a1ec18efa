import { Flags } from '@oclif/core'
import { checkUp } from '../runbooks/doctor.ts'
import { BaseCommand, hostsFlags } from '../src/cli/base-command.ts'
import { exitCodes } from '../src/cli/exit-codes.ts'
import { showCheckup } from '../src/views/checkup.ts'
import { tellOn, tellWaiting } from '../src/views/terminal.ts'

export default class Doctor extends BaseCommand {
  static override summary =
    'Is this cluster recoverable today? Looks at all that a recovery would need, and changes nothing'
  static override description =
    'Looks by the very steps of the preflight and evidence phases: images, Ignition configs, ways to install, disks, Tang, manifests, secrets, the NAS, which claim is on which LUN, data on the hosts. Where a program butane is on PATH or named in recover.yaml, every Butane file is compiled by both compilers and compared. A host that does not answer today is a warning. Ends with 0 when nothing would stop a recovery, warnings or not; with 3 when something would. For cron, --quiet says nothing then, so that a mail comes only when something is wrong.'
  static override examples = [
    '<%= config.bin %> doctor',
    '<%= config.bin %> doctor --quiet --file ~/home/recover.yaml',
    '<%= config.bin %> doctor --json',
    '<%= config.bin %> doctor --file examples/home --lab',
  ]
  static override flags = {
    ...hostsFlags,
    lab: Flags.boolean({
      description:
        'Look at a lab made from the cluster file; nothing real but your own files and programs is looked at',
    }),
    quiet: Flags.boolean({ char: 'q', description: 'Say nothing when nothing would stop a recovery' }),
  }

  async run() {
    const { flags } = await this.parse(Doctor)
    const checkup = await checkUp({
      where: flags.file,
      lab: flags.lab,
      now: new AbortController().signal,
      waiting: tellWaiting,
    })
    if (!this.jsonEnabled() && !(flags.quiet && checkup.recoverable))
      tellOn(page => showCheckup(checkup, page))
    if (!checkup.recoverable) process.exitCode = exitCodes.blocked
    return checkup
  }
}
