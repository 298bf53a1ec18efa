import { fork } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { request } from 'undici'
import { Fault } from '../runbook/fault.ts'
import type { LabEndpoints } from './lab.ts'
import { labProgram } from './programs.ts'
import { World } from './world.ts'

/** A lab that runs in a process of its own, seen from outside. */
export interface KeptLab {
  endpoints: LabEndpoints
  order(
    order: 'stick' | 'off' | 'offer' | 'swap-disk' | 'arm' | 'heal' | 'down',
    parameters?: Record<string, string>,
  ): Promise<void>
  mutations(): Promise<{ hosts: number; nas: number; kubernetes: number; last: string[] }>
}

/** How a lab is kept: `stays` lives until it is told to go, `ends` when nobody has spoken to it for a while. */
export interface Keeping {
  idle?: 'stays' | 'ends'
}

/** Finds the lab of a world, or starts it again where it stopped; with `start: false` only finds it. */
export async function keepLab(folder: string, keeping?: Keeping): Promise<KeptLab>
export async function keepLab(folder: string, keeping: { start: false }): Promise<KeptLab | undefined>
export async function keepLab(
  folder: string,
  keeping: Keeping & { start?: false } = {},
): Promise<KeptLab | undefined> {
  const running = World.open(folder).read<LabEndpoints>('lab')
  if (running && (await answers(running))) return keptLab(running)
  if (keeping.start === false) return undefined
  const log = openSync(join(folder, 'lab.log'), 'a', 0o600)
  // Detached: Ctrl-C at the terminal is for the run, and the world must go on when the run's process dies.
  const child = fork(labProgram('lab'), [folder, keeping.idle ?? 'ends'], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    execArgv: [],
    // It lives on after the run, and the person's secrets are none of its business.
    env: Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('RECOVER_SECRET_')),
    ),
  })
  closeSync(log)
  await new Promise<void>((resolve, reject) => {
    const broken = (cause: unknown) =>
      reject(
        new Fault({
          code: 'lab-broken',
          blame: 'bug',
          message: `the lab in ${folder} did not start`,
          remedy: `Look into ${join(folder, 'lab.log')}`,
          cause,
        }),
      )
    child.once('message', () => resolve())
    child.once('error', broken)
    child.once('exit', code => broken(new Error(`it ended with exit code ${code}`)))
  })
  child.unref()
  return keptLab(World.open(folder).read<LabEndpoints>('lab')!)
}

function keptLab(endpoints: LabEndpoints): KeptLab {
  const { url, token } = endpoints.control
  return {
    endpoints,
    async order(order, parameters = {}) {
      await ask(url, token, 'POST', `/${order}?${new URLSearchParams(parameters)}`)
    },
    async mutations() {
      return (await ask(url, token, 'GET', '/mutations')) as Awaited<ReturnType<KeptLab['mutations']>>
    },
  }
}

async function answers(endpoints: LabEndpoints): Promise<boolean> {
  try {
    await ask(endpoints.control.url, endpoints.control.token, 'GET', '/mutations')
    return true
  } catch {
    return false
  }
}

async function ask(url: string, token: string, method: 'GET' | 'POST', path: string): Promise<unknown> {
  const { statusCode, body } = await request(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, connection: 'close' },
    // One that is gone refuses at once; one that is busy must not be taken for gone, and started twice.
    headersTimeout: 60_000,
  })
  const answer = await body.json()
  if (statusCode !== 200) throw new Error(`the lab refused ${path}: ${JSON.stringify(answer)}`)
  return answer
}
