/**
 * Preloaded into a process (`node --import`): its clock jumps as CLOCK_JUMPS says, `MS:HOURS` by blanks: so many
 * milliseconds after its start it is so many hours off. Only the run's own process; the lab is another computer.
 */
const jumps = (process.env.CLOCK_JUMPS ?? '').split(' ').map(text => text.split(':').map(Number))

if (process.argv[1]?.endsWith('run.js')) {
  const now = Date.now
  const shift = () => jumps.findLast(([at = 0]) => performance.now() >= at)?.[1] ?? 0
  const Real = Date
  Real.now = () => now() + shift() * 3_600_000
  globalThis.Date = class extends Real {
    constructor(...args: [] | [number | string | Date]) {
      super(...((args.length === 0 ? [Real.now()] : args) as [number]))
    }
  } as DateConstructor
}
