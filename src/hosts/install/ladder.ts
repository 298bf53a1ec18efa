import { Fault } from '../../runbook/fault.ts'
import { isLost } from '../ssh-faults.ts'
import { byHand } from './by-hand.ts'
import { flatcarReset } from './flatcar-reset.ts'
import { kexec } from './kexec.ts'
import { pxe } from './pxe.ts'
import type { Guidance, Hands, InstallRung, RungName, Situation } from './rung.ts'
import { ssh } from './ssh.ts'
import { virtualMedia } from './virtual-media.ts'

/** Every rung there is. A new one is a file beside these and a word in the schema. */
const all: Record<RungName, InstallRung> = {
  'flatcar-reset': flatcarReset,
  ssh,
  kexec,
  pxe,
  'virtual-media': virtualMedia,
  'by-hand': byHand,
}

/** What one rung would do now, or why it cannot be tried. */
export interface RungOutlook {
  name: RungName
  /** One imperative sentence. */
  says: string
  refuses?: string
}

/** Goes through a host's rungs, in the order of recover.yaml, without doing anything. */
export function outlook(names: readonly RungName[], situation: Situation): RungOutlook[] {
  return names.map(name => {
    const refuses = all[name].refuses(situation)
    return { name, says: all[name].says(situation), ...(refuses === undefined ? {} : { refuses }) }
  })
}

/** The first rung that can be tried now. */
export function firstRung(names: readonly RungName[], situation: Situation): InstallRung | undefined {
  return names.map(name => all[name]).find(rung => rung.refuses(situation) === undefined)
}

/**
 * Gets an installer running by the first rung that leads to one; a rung that fails leaves the next one. Faults of rungs
 * are told and kept; what is no Fault, and the person's wish to stop, ends it at once. Throws Fault `ladder-exhausted`
 * with every reason.
 * @param look looks anew before each rung: what the one before left behind decides what can be tried
 */
export async function climb(
  names: readonly RungName[],
  look: () => Promise<Situation>,
  hands: (situation: Situation) => Hands,
  guidance: Guidance,
): Promise<RungName> {
  const reasons: string[] = []
  let host = ''
  for (const name of names) {
    const rung = all[name]
    if (rung.leadsTo !== 'installer') continue
    guidance.signal.throwIfAborted()
    const situation = await look()
    host = situation.host
    const with_ = hands(situation)
    // What the rung before began may have come about after all.
    if (await with_.found()) return name
    const refuses = rung.refuses(situation)
    if (refuses !== undefined) {
      guidance.note(`${name} cannot be tried on ${host}: ${refuses}`)
      reasons.push(`${name}: ${refuses}`)
      continue
    }
    guidance.note(`${name}: ${rung.says(situation)}`)
    try {
      await rung.bringUp(situation, with_, guidance)
      return name
    } catch (thrown) {
      // A line that breaks says nothing of the way: the step is tried again from the beginning.
      if (isLost(thrown)) throw thrown
      if (!(thrown instanceof Fault) || guidance.signal.aborted) throw thrown
      if (thrown.code === 'step-timed-out') throw thrown
      guidance.note(`${name} led nowhere on ${host}: ${thrown.message}`)
      reasons.push(`${name}: ${thrown.message} (${thrown.code})`)
    }
  }
  throw new Fault({
    code: 'ladder-exhausted',
    blame: 'operator',
    message: `no way to install that recover.yaml gives led to an installer${host === '' ? '' : ` on ${host}`}: ${reasons.join('; ') || 'it gives none that can'}; nothing was written`,
    remedy:
      'Mend what one of them says, or add by-hand to hosts.….install and boot the machine from a stick; then run `recover resume --accept cluster-file`',
  })
}
