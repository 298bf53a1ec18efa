import type { NasReader, NasWriter } from '../src/nas/nas.ts'
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
