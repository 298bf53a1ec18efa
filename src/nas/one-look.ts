import type { NasDescription, NasReader } from './nas.ts'

/**
 * A NAS as it is when it is first asked, for a plan: that is made by looking alone, and says how things are at one moment.
 * Every list is read once, however many steps ask for it; what could not be read is asked for again. Never for a run: whoever
 * writes looks anew.
 */
export function oneLook(nas: NasReader): NasReader {
  return {
    describe: once<NasDescription>(() => nas.describe()),
    luns: once(() => nas.luns()),
    targets: once(() => nas.targets()),
    shares: once(() => nas.shares()),
    snapshots: onceFor(lun => nas.snapshots(lun)),
    shareSnapshots: onceFor(share => nas.shareSnapshots(share)),
  }
}

function onceFor<T>(ask: (of: string) => Promise<T>): (of: string) => Promise<T> {
  const asked = new Map<string, () => Promise<T>>()
  return of => {
    const again = asked.get(of) ?? once(() => ask(of))
    asked.set(of, again)
    return again()
  }
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined
  return () => {
    if (asked === undefined) {
      const answer = ask()
      answer.catch(() => {
        asked = undefined
      })
      asked = answer
    }
    return asked
  }
}
