import type { NasInspection, NasReader, NasWriter } from '../src/nas/nas.ts'
import { anonymise } from '../src/nas/synology/anonymise.ts'
import { inspectSynology } from '../src/nas/synology/inspect.ts'
import { connectSynology } from '../src/nas/synology/synology.ts'
import type { Whereabouts } from './connect.ts'

/** A NAS as a handle to look and a handle to change, whatever kind it is. */
export interface NasConnection {
  reader: NasReader
  writer: NasWriter
  close(): Promise<void>
}

/** Opens nothing yet: the first question connects. */
export function connectNas(where: Whereabouts['nas'], signal: AbortSignal, pace: number): NasConnection {
  return connectSynology({ ...where, signal, pace })
}

/** Asks the NAS all that matters for a recovery, by reading alone. What it said is given without anybody's names, too. */
export async function inspectNas(
  where: Whereabouts['nas'],
  signal: AbortSignal,
): Promise<NasInspection & { anonymous: NasInspection['exchanges'] }> {
  const found = await inspectSynology({ ...where, signal })
  return { ...found, anonymous: anonymise(found.exchanges) }
}
