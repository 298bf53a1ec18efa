import { Args, Flags } from '@oclif/core'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { compileButaneFile } from '../../src/hosts/butane/compile-file.ts'
import { showDanger } from '../../src/hosts/butane/dangers.ts'
import type { IgnitionSpec } from '../../src/hosts/butane/messages.ts'
import { sourcesOfText } from '../../src/hosts/ignition/place-sources.ts'
import { tell } from '../../src/views/terminal.ts'

export default class HostsIgnition extends BaseCommand {
  static override summary = 'Compile a Butane file to the Ignition config that a host gets, as butane does'
  static override description =
    'Prints the config that Butane 0.29 makes of the file to stdout, and what Butane says of it to stderr, word for word. Knows the variants flatcar and fcos. Ends as butane does: with 0 when there is a config, warnings or not; with 1 when there is none, or there are warnings and --strict was given; with 2 when the command is wrong. Changes nothing; variables stay as they are.'
  static override examples = [
    '<%= config.bin %> hosts ignition hydrogen.bu',
    '<%= config.bin %> hosts ignition hydrogen.bu --files-dir . --strict --warn-more',
    'envsubst < hydrogen.bu | <%= config.bin %> hosts ignition - --files-dir .',
    '<%= config.bin %> hosts ignition hydrogen.bu --spec 3.6.0-experimental --json',
  ]
  static override args = {
    file: Args.string({
      description: 'Butane file; - for stdin',
      default: '-',
      ignoreStdin: true,
    }),
  }
  static override flags = {
    'files-dir': Flags.string({
      char: 'd',
      description: 'Folder that local files of the config are relative to; without it they are refused',
      helpValue: 'DIR',
    }),
    strict: Flags.boolean({ char: 's', description: 'Fail on any warning' }),
    pretty: Flags.boolean({ char: 'p', description: 'Print the config over several lines' }),
    spec: Flags.string({
      description: 'Ignition spec that the image accepts, for experimental versions, whose spec moved',
      helpValue: '3.6.0-experimental',
    }),
    'warn-more': Flags.boolean({
      description:
        'Also tell what Butane passes over: keys without effect, local files that Git ignores, secrets in the text, and what the machine fetches at its first boot',
    }),
    kit: Flags.string({
      description: 'Folder of the kit (kit in recover.yaml), to tell what of that it holds',
      helpValue: 'FOLDER',
    }),
  }

  async run() {
    const { args, flags } = await this.parse(HostsIgnition)
    const { spec } = flags
    if (spec !== undefined && !/^3\.[0-9]+\.0(?:-experimental)?$/.test(spec))
      this.error(`--spec ${spec} is no version of Ignition's spec, such as 3.6.0-experimental`)
    const { config, messages, dangers, localFiles, ...result } = compileButaneFile(args.file, {
      strict: flags.strict,
      pretty: flags.pretty,
      ...(flags['files-dir'] === undefined ? {} : { filesDir: flags['files-dir'] }),
      ...(spec === undefined ? {} : { spec: spec as IgnitionSpec }),
    })
    const { sources, unknown } =
      config === undefined ? { sources: [] } : sourcesOfText(result.text, args.file, flags.kit)
    if (!this.jsonEnabled()) {
      if (result.report !== '') tell(`${result.report}\n`)
      if (flags['warn-more']) for (const danger of dangers) tell(`warning: ${showDanger(danger)}\n`)
      if (flags['warn-more']) {
        for (const { what, url, from } of sources)
          tell(`fetched at the first boot: ${what} (${url}), ${from}\n`)
        if (unknown !== undefined)
          tell(`warning: what is fetched at the first boot cannot be told: ${unknown}\n`)
      }
      if (result.text !== '') this.log(result.text.trimEnd())
    }
    process.exitCode = result.exitCode
    return { exit: result.exitCode, config: config ?? null, messages, dangers, localFiles, sources }
  }
}
