import { Fault } from '../../runbook/fault.ts'
import { notOffered, withoutEffect } from './faults.ts'
import type { PowerWriter } from './power.ts'
import {
  type Answer,
  idOf,
  listOf,
  type RedfishAccess,
  RedfishRefusal,
  type RedfishSession,
  type Resource,
} from './redfish-session.ts'
import { until } from './until.ts'

/** What changing a resource needs, whichever it is. */
interface Means {
  finish(answer: Answer, what: string, signal: AbortSignal): Promise<void>
  patch(path: string, bodies: object[], signal: AbortSignal): Promise<Answer>
  telling<T>(what: string, work: () => Promise<T>): Promise<T>
}

interface Drive {
  path: string
  body: Resource
}

// A BMC looks at the image before it says that it is in.
const mediaLimitMs = 60_000

/** The virtual drive, wherever this BMC has it: below the machine since 2020, below the BMC itself before. */
export function virtualMedia(
  session: RedfishSession,
  { where, pace = 1, patience = 1 }: RedfishAccess,
  system: (signal: AbortSignal) => Promise<Answer>,
  { finish, patch, telling }: Means,
): Pick<PowerWriter, 'insertMedia' | 'ejectMedia'> {
  const find = async (signal: AbortSignal): Promise<Drive> => {
    const { body } = await system(signal)
    const managers = listOf((body.Links as Resource | undefined)?.ManagedBy)
    const lists = [idOf(body.VirtualMedia)]
    for (const manager of managers.map(idOf))
      if (manager !== undefined) lists.push(idOf((await session.get(manager, signal)).body.VirtualMedia))
    let anything = false
    for (const list of lists.filter(l => l !== undefined)) {
      const members = listOf((await session.get(list, signal)).body.Members)
      for (const path of members.map(idOf).filter(p => p !== undefined)) {
        anything = true
        const drive = (await session.get(path, signal)).body
        const types: unknown[] = Array.isArray(drive.MediaTypes) ? drive.MediaTypes : [drive.MediaTypes]
        if (types.some(type => type === 'CD' || type === 'DVD')) return { path, body: drive }
      }
    }
    throw notOffered(
      where,
      'put an image into a virtual drive',
      anything
        ? 'none of its virtual drives takes a CD'
        : 'it has no virtual drive (often a matter of its licence)',
    )
  }

  const holds = (drive: Resource, url: string) =>
    drive.Inserted === true && (drive.Image === url || !drive.Image)
  const isEmpty = (drive: Resource) => drive.Inserted === false || (!drive.Inserted && !drive.Image)

  /** By the action where there is one, by changing the resource where there is none or it does not work. */
  const change = async (
    drive: Drive,
    action: 'InsertMedia' | 'EjectMedia',
    bodies: object[],
    values: object[],
    signal: AbortSignal,
  ): Promise<Answer> => {
    const known = ((drive.body.Actions ?? {}) as Resource)[`#VirtualMedia.${action}`] as Resource | undefined
    let refusal: RedfishRefusal | undefined
    if (typeof known?.target === 'string')
      for (const body of bodies)
        try {
          return await session.send('POST', known.target, body, signal)
        } catch (thrown) {
          if (!(thrown instanceof RedfishRefusal)) throw thrown
          refusal = thrown
          // Only a body that was not understood is worth another one.
          if (![400, 404, 405, 501].includes(thrown.status)) throw thrown
        }
    try {
      return await patch(drive.path, values, signal)
    } catch (thrown) {
      // The first refusal says why; of the second way this BMC may know nothing.
      throw thrown instanceof RedfishRefusal ? (refusal ?? thrown) : thrown
    }
  }

  const see = async (
    drive: Drive,
    wanted: (drive: Resource) => boolean,
    what: string,
    signal: AbortSignal,
  ): Promise<void> => {
    const limitMs = mediaLimitMs * patience
    let seen: Resource = {}
    const so = await until(
      async () => {
        seen = (await session.get(drive.path, signal)).body
        return wanted(seen) || undefined
      },
      { signal, limitMs, everyMs: 1_000 * pace },
    )
    if (!so)
      throw withoutEffect(
        where,
        what,
        seen.Inserted ? `${seen.Image ?? 'something'} is in it` : 'it is empty',
        limitMs,
      )
  }

  const takeOut = async (drive: Drive, signal: AbortSignal) => {
    const what = 'take the image out of the virtual drive'
    const answer = await change(
      drive,
      'EjectMedia',
      [{}],
      [{ Image: null, Inserted: false }, { Image: null }],
      signal,
    )
    await finish(answer, what, signal)
    await see(drive, isEmpty, what, signal)
  }

  return {
    insertMedia: (url, signal) =>
      telling(`put ${url} into its virtual drive`, async () => {
        const what = `put ${url} into its virtual drive`
        const drive = await find(signal)
        if (drive.body.Inserted === true && drive.body.Image === url) return
        if (!isEmpty(drive.body)) await takeOut(drive, signal)
        const full = { Image: url, Inserted: true, WriteProtected: true }
        const protocol = new URL(url).protocol === 'https:' ? 'HTTPS' : 'HTTP'
        let lost: Fault | undefined
        try {
          const answer = await change(
            drive,
            'InsertMedia',
            [full, { Image: url }, { Image: url, TransferProtocolType: protocol }],
            [full, { Image: url, Inserted: true }, { Image: url }],
            signal,
          )
          await finish(answer, what, signal)
        } catch (thrown) {
          if (!(thrown instanceof Fault) || !thrown.transient) throw thrown
          lost = thrown
        }
        try {
          await see(drive, body => holds(body, url), what, signal)
        } catch (thrown) {
          throw lost ?? thrown
        }
      }),
    ejectMedia: signal =>
      telling('take the image out of its virtual drive', async () => {
        const drive = await find(signal)
        if (!isEmpty(drive.body)) await takeOut(drive, signal)
      }),
  }
}
