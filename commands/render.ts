import { Args, Flags } from '@oclif/core'
import { keepSources } from '../runbooks/keep-sources.ts'
import { mirror, type RenderedSource, render } from '../runbooks/render.ts'
import { BaseCommand } from '../src/cli/base-command.ts'

export default class Render extends BaseCommand {
  static override summary = 'Render the bootstrap or an application, as a run would apply it'
  static override description =
    'Renders each part with kustomize (or kubectl) and helm in a private copy of the repository, says its hash, what it was made with and what it took from elsewhere; prints the manifests when one part is named. Reads the repository and never writes into it. What Secrets hold is not shown. Ends with 0; with 3 or 4 when something cannot be rendered.'
  static override examples = [
    '<%= config.bin %> render',
    '<%= config.bin %> render cilium',
    '<%= config.bin %> render --fill-kit          # keep charts and remote bases for the day without network',
    '<%= config.bin %> render --offline           # would it work without the network?',
    '<%= config.bin %> render --output rendered && <%= config.bin %> render --diff rendered',
  ]
  static override strict = false
  static override args = {
    name: Args.string({ description: 'Part of the bootstrap or application; several may be named' }),
  }
  static override flags = {
    file: Flags.string({
      char: 'f',
      description: 'recover.yaml or its folder',
      default: '.',
      helpValue: 'FILE',
    }),
    applications: Flags.boolean({ description: 'All applications, too' }),
    offline: Flags.boolean({ description: 'Refuse what the kit does not hold' }),
    'fill-kit': Flags.boolean({
      description:
        'Put what comes from the network into the kit, what the hosts fetch at their first boot, and a mirror of the repository',
    }),
    output: Flags.string({
      char: 'o',
      description: 'Write one file a part into this folder (0600)',
      helpValue: 'FOLDER',
    }),
    diff: Flags.string({
      description: 'Say what differs from the renderings in this folder',
      helpValue: 'FOLDER',
    }),
  }

  async run() {
    const { argv, flags } = await this.parse(Render)
    const names = argv.map(String)
    const whole = names.length === 1 && flags.output === undefined && flags.diff === undefined
    const told: object[] = []
    for await (const one of render(flags.file, {
      names,
      applications: flags.applications,
      offline: flags.offline,
      fillKit: flags['fill-kit'],
      output: flags.output,
      compareWith: flags.diff,
      signal: new AbortController().signal,
    })) {
      if (whole) this.log(one.text())
      else for (const line of linesOf(one)) this.log(line)
      if (this.jsonEnabled()) told.push(toldOf(one))
    }
    const kept = flags['fill-kit'] ? await mirror(flags.file, new AbortController().signal) : undefined
    if (kept) this.log(`the repository is mirrored at ${kept.commit.slice(0, 12)} in ${kept.path}`)
    const sources = flags['fill-kit'] ? await keepSources(flags.file, new AbortController().signal) : []
    for (const { host, fresh, pinned, left } of sources) {
      for (const what of fresh) this.log(`${host}: now in the kit: ${what}`)
      for (const what of pinned)
        this.log(`${host}: not pinned by its config, and kept with the hash of what was fetched: ${what}`)
      for (const what of left) this.log(`${host}: not for the kit: ${what}`)
    }
    return told
  }
}

function toldOf({ name, kind, rendering, kept, differences }: RenderedSource) {
  const { sha256, objects, tools, remote } = rendering
  return {
    name,
    kind,
    sha256,
    objects,
    tools,
    remote,
    kept,
    ...(differences === undefined ? {} : { differences }),
  }
}

function linesOf({ name, rendering, kept, differences }: RenderedSource): string[] {
  const { objects, sha256, tools, remote } = rendering
  return [
    `${name}: ${objects.length} objects, sha256 ${sha256.slice(0, 12)}${tools.length > 0 ? `, by ${tools.join(', ')}` : ', as rendered in Git'}`,
    ...remote.map(r => `  ${r.what}, from the ${r.from}`),
    ...kept.map(what => `  now in the kit: ${what}`),
    ...(differences ?? []).flatMap(d => [`  ${d.change}: ${d.object}`, ...d.fields.map(f => `    ${f}`)]),
    ...(differences?.length === 0 ? ['  the same as before'] : []),
  ]
}
