import { Fault } from '../runbook/fault.ts'
import { type HostWriter, lockPath } from './host.ts'

/**
 * Marks a machine as this run's, where a second operator on another computer sees it. Fault `host-locked` when another
 * run's mark is there; gone with the next boot.
 */
export async function lockHost(host: HostWriter, run: string, signal: AbortSignal): Promise<void> {
  const mine = `recover run ${run}\n`
  const there = await host.placeLock(mine, signal)
  if (there === mine) return
  throw new Fault({
    code: 'host-locked',
    blame: 'operator',
    message: `${host.name} is marked as being worked on by ${there.trim()}; nothing was done to it`,
    remedy: `Find out whether that run is going on, on this or another computer. If nobody is at work, remove ${lockPath} on ${host.name} or reboot it, then run \`recover resume\``,
  })
}
