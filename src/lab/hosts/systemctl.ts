import { startK0s } from './k0s.ts'
import { failed, type Output, type Surroundings, said } from './machine-state.ts'
import { startOf } from './units.ts'

/** `systemctl`, as far as a recovery asks it. */
export function systemctl(machine: Surroundings, args: string[]): Output {
  const [verb, ...rest] = args
  const names = rest.filter(a => !a.startsWith('-')).map(n => n.replace(/\.service$/, ''))
  if (verb === 'reboot' || verb === 'kexec') {
    machine.changed(verb)
    const { loaded } = machine.state
    if (verb === 'kexec' && !loaded) return failed(1, 'No kexec kernel loaded and autodetection failed.')
    if (verb === 'reboot' || !loaded) machine.boot()
    else if (machine.world.strikes('kexec-hangs', machine.state.name)) machine.hang()
    else machine.bootLoaded(loaded)
    return { code: 0, stdout: '', stderr: '', drops: true }
  }
  if (verb === 'show') {
    const unit = machine.state.units[names.at(-1) ?? '']
    return said(
      unit
        ? `LoadState=loaded\nActiveState=${unit.active}\nResult=${unit.result}\nExecMainStatus=${unit.exitCode}\n`
        : 'LoadState=not-found\nActiveState=inactive\nResult=success\nExecMainStatus=0\n',
    )
  }
  if (verb === 'is-active')
    return said(`${names.map(n => machine.state.units[n]?.active ?? 'inactive').join('\n')}\n`)
  if (verb === 'daemon-reload') return said('')
  if (verb === 'stop' || verb === 'start' || verb === 'restart' || verb === 'reset-failed') {
    machine.changed(`${verb} ${names.join(' ')}`)
    for (const name of names) {
      const unit = machine.state.units[name]
      if (/^k0s/.test(name)) {
        if (!unit) return failed(5, `Failed to ${verb} ${name}.service: Unit ${name}.service not found.`)
        const refused = verb === 'start' || verb === 'restart' ? startK0s(machine, name) : undefined
        if (refused) return refused
      }
      // A transient unit is gone once it is stopped or its failure forgotten.
      if (unit?.script !== undefined) {
        machine.nodes()?.endCopy(startOf(machine, name, unit.endsAt))
        delete machine.state.units[name]
      } else
        machine.state.units[name] = {
          active: verb === 'start' || verb === 'restart' ? 'active' : 'inactive',
          result: 'success',
          exitCode: 0,
        }
    }
    return said('')
  }
  return failed(1, `Unknown command verb ${verb}.`)
}
