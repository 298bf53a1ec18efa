import { Args, Flags } from '@oclif/core'
import { trustNas } from '../runbooks/trust-nas.ts'
import { BaseCommand } from '../src/cli/base-command.ts'
import { exitCodes } from '../src/cli/exit-codes.ts'
import { init, parseAnswers, showInit } from '../src/cluster/init.ts'
import { agreesToCertificate, tell } from '../src/views/terminal.ts'

export default class Init extends BaseCommand {
  static override summary = 'Read your k0sctl.yaml and GitOps repository, write recover.yaml'
  static override description =
    'Everything that your files say is derived; what no file answers becomes a question in the file, with how to find out. Nothing but that one file is written. At a terminal, the certificate that the NAS shows is offered for your yes: from then on no other one is accepted.'
  static override examples = [
    '<%= config.bin %> init ~/home',
    '<%= config.bin %> init ~/home --output ~/home/recover.yaml',
    '<%= config.bin %> init ~/home --answer hosts.lithium.disk.serial=S4EVNX0M123456',
  ]
  static override args = {
    repository: Args.string({ description: 'Your GitOps repository, checked out here', default: '.' }),
  }
  static override flags = {
    output: Flags.string({
      char: 'o',
      description: 'The file to write',
      default: './recover.yaml',
      helpValue: 'FILE',
    }),
    k0sctl: Flags.string({
      description: 'k0sctl.yaml, when it is not in the repository',
      helpValue: 'FILE',
    }),
    force: Flags.boolean({ description: 'Replace a file that is there already' }),
    answer: Flags.string({
      description: 'Answer a question at once; may be given several times',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: 'PATH=VALUE',
    }),
  }

  async run() {
    const { args, flags } = await this.parse(Init)
    const written = init({
      repository: args.repository,
      output: flags.output,
      k0sctl: flags.k0sctl,
      force: flags.force,
      answers: parseAnswers(flags.answer ?? []),
    })
    const result = this.jsonEnabled() ? written : await trustNas(written, agreesToCertificate)
    if (!this.jsonEnabled()) tell(showInit(result))
    if (result.problems.length > 0) process.exitCode = exitCodes.usage
    return {
      file: result.file,
      questions: result.questions.map(({ path, question }) => ({ path, question })),
      ...(result.problems.length > 0 ? { problems: result.problems } : {}),
      claims: result.claims.map(({ id, sizeBytes, storageClass, owners }) => ({
        id,
        sizeBytes,
        storageClass,
        owners,
      })),
      hosts: result.hosts,
    }
  }
}
