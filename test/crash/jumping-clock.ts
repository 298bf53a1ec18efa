/**
 * Preloaded into a process (`node --import`): its clock jumps to and fro between the hours that CLOCK_JUMPS names, every
 * 20 times that it is asked. Only the run's own process; the lab is another computer.
 */
const hours = (process.env.CLOCK_JUMPS ?? '0').split(' ').map(Number)

if (process.argv[1]?.endsWith('run.js')) {
  const Real = Date
  const { now } = Real
  let asked = 0
  Real.now = () => {
    const ahead = hours[Math.floor(asked / 20) % hours.length] ?? 0
    asked += 1
    return now() + ahead * 3_600_000
  }
  globalThis.Date = class extends Real {
    constructor(...args: [] | [number | string | Date]) {
      super(...((args.length === 0 ? [Real.now()] : args) as [number]))
    }
  } as DateConstructor
}
