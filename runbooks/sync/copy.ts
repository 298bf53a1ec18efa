import { step } from '../kit.ts'
import { copiedDisk, copyInto, lookAtCopy } from '../volumes/copy.ts'
import { eachMove } from './look-at-claims.ts'
import { measureMove } from './measure.ts'
import { standInOf } from './moves.ts'

/** A new disk as Git wants it, and every file of the old one on it: under a name of its own, beside the claim. */
export const copyMove = step({
  id: 'volumes/copy',
  title: volume => `Copy ${volume.claim} to a new disk`,
  byHand:
    'Apply a claim of another name with the wanted class and size, mount it beside the clone’s claim in a Job, and `rsync -aHAXS --numeric-ids --delete /src/ /dst/`.',
  each: eachMove,
  only: volume => volume.strategy === 'copy',
  needs: [measureMove],
  danger: 'changes',
  bounds: { expected: '2m', limit: '24h' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'volumes/swap',
  uses: () => ['nas'],
  output: copiedDisk,
  observe: look => lookAtCopy(look.volume, standInOf(look.volume, look.run), look),
  async apply(act) {
    const { volume, run } = act
    const as = { accessModes: volume.accessModes, labels: {}, annotations: {} }
    await copyInto(volume, standInOf(volume, run), as, act)
  },
})
