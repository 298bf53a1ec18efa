import { spawnSync } from 'node:child_process'
import { type Measurement, median, round } from './bound.ts'

/** How much longer than an empty Node program `--version` and `--help` take. The three take turns. */
export function measureStart(run: string, rounds: number): Measurement[] {
  const cases = { node: ['-e', '0'], version: [run, '--version'], help: [run, '--help'] }
  const took = { node: [] as number[], version: [] as number[], help: [] as number[] }
  for (let i = -2; i < rounds; i += 1)
    for (const name of ['node', 'version', 'help'] as const) {
      const began = performance.now()
      const { status } = spawnSync(process.execPath, cases[name], { stdio: 'ignore' })
      const ms = performance.now() - began
      if (status !== 0) throw new Error(`${cases[name].join(' ')} ended with exit code ${status}`)
      // The first rounds fill the file cache.
      if (i >= 0) took[name].push(ms)
    }
  const node = median(took.node)
  return (['version', 'help'] as const).map(name => ({
    name: `recover --${name}, against node -e 0`,
    value: round(median(took[name]) / node),
    unit: 'x',
    bound: { atMost: 2 },
    from: { [name]: round(median(took[name])), node: round(node), rounds },
  }))
}
