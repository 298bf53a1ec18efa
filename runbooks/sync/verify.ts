import { step } from '../kit.ts'
import { comparison, lookAtContent, measureAgain } from '../volumes/verify.ts'
import { cloneMove } from './clone.ts'
import { copyMove } from './copy.ts'
import { eachMove } from './look-at-claims.ts'
import { measureMove } from './measure.ts'
import { standInOf } from './moves.ts'

/** What the new disk holds is what the old one held: proven while the claim still has the old one. */
export const verifyMove = step({
  id: 'volumes/verify',
  title: volume => `Prove the content of the new disk of ${volume.claim}`,
  byHand: 'Hash the new claim’s files as before; the two hashes must be equal.',
  each: eachMove,
  needs: [measureMove, copyMove, cloneMove],
  danger: 'changes',
  bounds: { expected: '1m', limit: '12h' },
  retry: { times: 4, delay: '5s' },
  holdsUntil: 'volumes/swap',
  uses: () => ['nas'],
  output: comparison,
  observe: look => lookAtContent(look.volume, look.output(measureMove), look),
  apply: act => measureAgain(act.volume, standInOf(act.volume, act.run), undefined, act),
})
