import { notOffered, refused, unreachable, withoutEffect } from './faults.ts'
import type { BootOrder, BootTarget, PowerWriter } from './power.ts'
import { virtualMedia } from './redfish-media.ts'
import {
  type Answer,
  idOf,
  listOf,
  messagesOf,
  openRedfish,
  type RedfishAccess,
  RedfishRefusal,
  type Resource,
} from './redfish-session.ts'
import { findSystem, identityOf } from './redfish-system.ts'
import { type Order, switching } from './switching.ts'
import { until } from './until.ts'

export interface RedfishMachine extends RedfishAccess {
  /** The machine's serial, UUID, MAC address or name in Redfish: chooses where one BMC serves several. */
  machine?: string | undefined
  /** A MAC address of the machine, known from elsewhere; chooses, too. */
  mac?: string | undefined
}

// What each target is called, the likeliest name first.
const targets: Record<BootTarget, string[]> = {
  pxe: ['Pxe', 'UefiHttp'],
  cd: ['Cd', 'UsbCd'],
  disk: ['Hdd'],
}

const resets: Record<Order, string[]> = {
  'turn it on': ['On', 'ForceOn', 'PushPowerButton'],
  'take its power away': ['ForceOff'],
  'shut it down': ['GracefulShutdown', 'PushPowerButton'],
}

const bootLimitMs = 30_000
const taskLimitMs = 3 * 60_000

/** A machine behind a Redfish BMC. Nothing is connected before it is used. */
export function connectRedfish(access: RedfishMachine): { writer: PowerWriter; close(): Promise<void> } {
  const session = openRedfish(access)
  const { where, pace = 1, patience = 1 } = access
  let path: string | undefined

  const system = async (signal: AbortSignal): Promise<Answer & { path: string }> => {
    path ??= await findSystem(session, access, signal)
    return { ...(await session.get(path, signal)), path }
  }

  /** Says what a refusal means to a person. */
  const telling = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (thrown) {
      throw thrown instanceof RedfishRefusal ? refused(where, what, thrown.said) : thrown
    }
  }

  /** A long order is a task that is looked after until it ends; a task that is gone has ended. */
  const finish = async (answer: Answer, what: string, signal: AbortSignal): Promise<void> => {
    const task = answer.status === 202 ? (answer.location ?? idOf(answer.body)) : undefined
    if (task === undefined) return
    let state = 'unknown'
    const limitMs = taskLimitMs * patience
    const ended = await until(
      async () => {
        let now: Answer
        try {
          now = await session.get(task, signal)
        } catch (thrown) {
          if (thrown instanceof RedfishRefusal && [404, 410].includes(thrown.status)) return true
          throw thrown
        }
        state = String(now.body.TaskState ?? (now.status === 202 ? 'Running' : 'Completed'))
        if (state === 'Completed') return true
        if (!/^(?:Exception|Killed|Cancelled|Interrupted|Suspended)$/.test(state)) return undefined
        const said = messagesOf(now.body)
          .map(m => m.text)
          .filter(Boolean)
        throw refused(where, what, `its task ended as ${[state, ...said].join(': ')}`)
      },
      { signal, limitMs, everyMs: 2_000 * pace },
    )
    if (!ended) throw withoutEffect(where, what, `its task is still ${state}`, limitMs)
  }

  /**
   * Changes a resource, with its ETag where it has one. Where that is not accepted, in turn: read anew, since somebody
   * may have changed it meanwhile; as a strong tag, which is how some compare; whatever is there.
   */
  const patch = async (resource: string, bodies: object[], signal: AbortSignal): Promise<Answer> => {
    let refusal: RedfishRefusal | undefined
    for (const body of bodies)
      for (const form of ['given', 'anew', 'strong', 'any'] as const) {
        const { etag } = form === 'any' ? { etag: '*' } : await session.get(resource, signal)
        try {
          return await session.send(
            'PATCH',
            resource,
            body,
            signal,
            form === 'strong' ? etag?.replace(/^W\//, '') : etag,
          )
        } catch (thrown) {
          if (!(thrown instanceof RedfishRefusal)) throw thrown
          refusal = thrown
          if (thrown.status !== 412 && thrown.status !== 428) break
        }
      }
    throw refusal ?? unreachable(where, new Error('nothing was sent'))
  }

  /** The settings of the next boot, where the BMC keeps them apart from what is now. */
  const boots = async (signal: AbortSignal) => {
    const now = await system(signal)
    const settings = idOf((now.body['@Redfish.Settings'] as Resource | undefined)?.SettingsObject)
    const boot = (now.body.Boot ?? {}) as Resource
    if (settings === undefined) return { now, boot, settings, next: undefined }
    const next = await session.get(settings, signal).then(
      a => a.body.Boot as Resource | undefined,
      () => undefined,
    )
    return { now, boot, settings, next }
  }

  const patchBoot = async (candidates: Resource[], what: string, signal: AbortSignal) => {
    const { now, settings } = await boots(signal)
    const bodies = candidates.map(Boot => ({ Boot }))
    const answer = await patch(now.path, bodies, signal).catch(thrown => {
      const elsewhere = thrown instanceof RedfishRefusal && settings !== undefined
      if (!elsewhere) throw thrown
      return patch(settings, bodies, signal)
    })
    await finish(answer, what, signal)
  }

  const order = async (what: Order, signal: AbortSignal) => {
    const { body } = await system(signal)
    const action = ((body.Actions ?? {}) as Resource)['#ComputerSystem.Reset'] as Resource | undefined
    const target = action?.target
    if (typeof target !== 'string')
      throw notOffered(where, what, 'this BMC has no action ComputerSystem.Reset')
    const allowed = await allowedResets(action!, signal)
    const type = resets[what].find(name => allowed?.includes(name) ?? true)
    if (type === undefined) throw notOffered(where, what, `it allows ${allowed?.join(', ') || 'nothing'}`)
    await telling(what, async () =>
      finish(await session.send('POST', target, { ResetType: type }, signal), what, signal),
    )
  }

  const allowedResets = async (action: Resource, signal: AbortSignal): Promise<string[] | undefined> => {
    const direct = strings(action['ResetType@Redfish.AllowableValues'])
    const info = action['@Redfish.ActionInfo']
    if (direct !== undefined || typeof info !== 'string') return direct
    const { body } = await session.get(info, signal)
    return strings(listOf(body.Parameters).find(p => p.Name === 'ResetType')?.AllowableValues)
  }

  const reader = {
    kind: 'redfish' as const,
    where,
    can: { turnOff: true, boot: ['pxe', 'cd', 'disk'] as const, media: true },
    identity: (signal: AbortSignal) =>
      telling('say which machine it belongs to', async () =>
        identityOf(session, (await system(signal)).body, signal),
      ),
    state: (signal: AbortSignal) =>
      telling('say whether the machine is on', async () => {
        const state = String((await system(signal)).body.PowerState)
        return state === 'On' ? 'on' : state === 'Off' ? 'off' : 'unknown'
      }),
  }

  const writer: PowerWriter = {
    ...reader,
    ...switching(reader, order, access),
    ...virtualMedia(session, access, signal => system(signal), { finish, patch, telling }),

    bootNext: (target, signal) =>
      telling(`boot from ${target} next`, async (): Promise<BootOrder> => {
        const what = `boot from ${target} next`
        const { boot } = await boots(signal)
        const allowed = strings(boot['BootSourceOverrideTarget@Redfish.AllowableValues'])
        const name = targets[target].find(t => allowed?.includes(t) ?? true)
        if (name === undefined) throw notOffered(where, what, `it allows ${allowed?.join(', ') || 'nothing'}`)
        const mode = boot.BootSourceOverrideMode
        const once = { BootSourceOverrideEnabled: 'Once', BootSourceOverrideTarget: name }
        // As it is: without it some BMCs fall back to Legacy, and others (Supermicro) have no such property.
        const candidates =
          typeof mode === 'string' ? [{ ...once, BootSourceOverrideMode: mode }, once] : [once]
        await patchBoot(candidates, what, signal)
        const limitMs = bootLimitMs * patience
        let seen: Resource = {}
        const lasts = await until(
          async () => {
            const after = await boots(signal)
            for (const shown of [after.next, after.boot]) {
              seen = shown ?? seen
              if (shown?.BootSourceOverrideTarget !== name) continue
              if (shown.BootSourceOverrideEnabled === 'Once') return 'once' as const
              if (shown.BootSourceOverrideEnabled === 'Continuous') return 'until-cleared' as const
            }
            return undefined
          },
          { signal, limitMs, everyMs: 1_000 * pace },
        )
        if (lasts) return { lasts }
        throw withoutEffect(where, what, `it shows ${shownBoot(seen)}`, limitMs)
      }),

    clearBootNext: signal =>
      telling('take back the order for the next boot', async () => {
        const what = 'take back the order for the next boot'
        const { boot, next } = await boots(signal)
        if (isClear(boot) && (next === undefined || isClear(next))) return
        const off = { BootSourceOverrideEnabled: 'Disabled' }
        // With the target that is there: iLO refuses None, others refuse an order without a target.
        const target = next?.BootSourceOverrideTarget ?? boot.BootSourceOverrideTarget
        await patchBoot(
          [
            ...(typeof target === 'string' ? [{ ...off, BootSourceOverrideTarget: target }] : []),
            off,
            { ...off, BootSourceOverrideTarget: 'None' },
          ],
          what,
          signal,
        )
        const limitMs = bootLimitMs * patience
        let seen: Resource = {}
        const cleared = () =>
          until(
            async () => {
              const after = await boots(signal)
              seen = after.next ?? after.boot
              if (isClear(after.boot) || (after.next && isClear(after.next))) return 'clear' as const
              return seen.BootSourceOverrideEnabled === 'Continuous' ? ('kept' as const) : undefined
            },
            { signal, limitMs, everyMs: 1_000 * pace },
          )
        if ((await cleared()) === 'clear') return
        // One that knows only lasting orders is given the order that a machine at rest has.
        if (seen.BootSourceOverrideEnabled === 'Continuous') {
          if (seen.BootSourceOverrideTarget !== 'Hdd')
            await patchBoot(
              [{ BootSourceOverrideEnabled: 'Continuous', BootSourceOverrideTarget: 'Hdd' }],
              what,
              signal,
            )
          const after = await boots(signal)
          seen = after.next ?? after.boot
          if (seen.BootSourceOverrideTarget === 'Hdd') return
        }
        throw withoutEffect(where, what, `it shows ${shownBoot(seen)}`, limitMs)
      }),
  }
  return { writer, close: () => session.close() }
}

function isClear(boot: Resource): boolean {
  const { BootSourceOverrideEnabled: enabled, BootSourceOverrideTarget: target } = boot
  return enabled === 'Disabled' || enabled === undefined || target === 'None'
}

function shownBoot(boot: Resource): string {
  return `${boot.BootSourceOverrideTarget ?? 'no target'} (${boot.BootSourceOverrideEnabled ?? 'not said how long'})`
}

function strings(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.map(String) : undefined
}
