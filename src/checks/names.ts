import { lookup } from 'node:dns/promises'

/** What names resolve to, from this computer. */
export interface Names {
  /** Addresses behind a name, none when it does not resolve; undefined where it must not be asked for. */
  addresses(host: string): Promise<string[] | undefined>
}

/** @param mayAsk false in a rehearsal, from which nothing of the real home is asked */
export function connectNames(mayAsk: boolean): Names {
  return {
    async addresses(host) {
      if (!mayAsk) return undefined
      try {
        return (await lookup(host, { all: true })).map(a => a.address)
      } catch {
        return []
      }
    },
  }
}
