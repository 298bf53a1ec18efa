import { listRuns } from '../runbooks/runs.ts'
import { BaseCommand } from '../src/cli/base-command.ts'
import { tell } from '../src/views/terminal.ts'

export default class Runs extends BaseCommand {
  static override summary = 'List the runs on this machine'
  static override examples = ['<%= config.bin %> runs', '<%= config.bin %> runs --json']

  async run() {
    await this.parse(Runs)
    const runs = listRuns()
    if (!this.jsonEnabled()) {
      if (runs.length === 0) tell('There is no run yet.\n')
      for (const r of runs) tell(`${r.run}  ${r.state.padEnd(11)}  ${r.mode.padEnd(9)}  ${r.input}\n`)
    }
    return { runs }
  }
}
