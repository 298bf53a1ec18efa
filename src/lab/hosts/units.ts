import { failed, type Output, type Surroundings, said } from './machine-state.ts'
import { awaitedBy, runScript } from './unit-script.ts'

/** `systemd-run`: a transient unit that runs a script. */
export function systemdRun(machine: Surroundings, args: string[]): Output {
  const name = args.find(a => a.startsWith('--unit='))?.slice('--unit='.length) ?? ''
  if (machine.state.units[name])
    return failed(1, `Failed to start transient service unit: Unit ${name}.service already exists.`)
  // As systemd: $$ is one $, and a variable that it does not know is nothing.
  const script = (args[args.indexOf('-c') + 1] ?? '').replace(/\$(?:\$|\{\w+\})/g, found =>
    found === '$$' ? '$' : '',
  )
  machine.changed(`start unit ${name}`)
  machine.state.units[name] = {
    active: 'activating',
    result: 'success',
    exitCode: 0,
    script,
    endsAt: Date.now() + machine.world.blueprint.latency.install,
  }
  settle(machine)
  return said('')
}

/** Lets everything happen that is due by now: units that end. */
export function settle(machine: Surroundings): void {
  for (const [name, unit] of Object.entries(machine.state.units)) {
    if (unit.endsAt === undefined || Date.now() < unit.endsAt) continue
    const awaited = awaitedBy(unit.script ?? '')
    if (awaited !== undefined && !machine.state.files[awaited]) continue
    const { endsAt } = unit
    delete unit.endsAt
    const code = runScript(machine, unit.script ?? '', startOf(machine, name, endsAt))
    if (code === undefined) {
      unit.endsAt = endsAt
      continue
    }
    if (!machine.isUp() || machine.state.units[name] !== unit) return
    machine.state.units[name] = {
      ...unit,
      active: code === 0 ? 'active' : 'failed',
      result: code === 0 ? 'success' : 'exit-code',
      exitCode: code,
    }
  }
}

/** Tells one start of a unit from every other. */
export function startOf({ state }: Surroundings, name: string, endsAt = 0): string {
  return `${state.bootId} ${name} ${endsAt}`
}
