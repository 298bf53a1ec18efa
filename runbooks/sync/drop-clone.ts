import { z } from 'zod'
import { step } from '../kit.ts'
import { dropTraces, lookForTraces } from '../volumes/drop-clone.ts'
import { eachMove } from './look-at-claims.ts'
import { measureMove } from './measure.ts'
import { swapDisk } from './swap.ts'

/** The clone that the proof was taken from goes, with the objects that led to it. */
export const dropMovedClone = step({
  id: 'volumes/drop-clone',
  title: volume => `Drop the clone of ${volume.claim}`,
  byHand:
    'Delete the Jobs, the clone’s claim and PersistentVolume, then the clone and its target in SAN Manager. Never the original.',
  each: eachMove,
  needs: [measureMove, swapDisk],
  danger: 'changes',
  bounds: { expected: '10s', limit: '10m' },
  retry: { times: 4, delay: '5s' },
  uses: () => ['nas'],
  output: z.strictObject({}),
  observe: look => lookForTraces(look.volume, look),
  apply: act => dropTraces(act.volume, act.output(measureMove).clone, act),
})
