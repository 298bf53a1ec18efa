import { randomBytes } from 'node:crypto'
import { StatusError } from './status-error.ts'
import type { Stored } from './stored.ts'

/** A list, or a part of one. */
export interface Page {
  items: Stored[]
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number }
}

// The real server forgets after five minutes, when its store is compacted; a lab is short of neither.
const remembered = 100

/** Lists in pages, all of them of the moment in which the first was asked for. */
export class Pages {
  private readonly rests = new Map<string, { items: Stored[]; resourceVersion: string }>()

  /** The page that a query asks for. @param items everything that it selects now */
  of(items: Stored[], query: URLSearchParams, resourceVersion: string): Page {
    const token = query.get('continue') ?? ''
    const rest = token === '' ? { items, resourceVersion } : this.rests.get(token)
    if (!rest)
      throw new StatusError(400, 'BadRequest', `invalid continue token: continue key is not valid: ${token}`)
    const limit = Number(query.get('limit') ?? 0)
    const page = limit > 0 ? rest.items.slice(0, limit) : rest.items
    const left = rest.items.slice(page.length)
    const metadata = { resourceVersion: rest.resourceVersion }
    if (left.length === 0) return { items: page, metadata }
    const next = randomBytes(12).toString('base64url')
    this.rests.set(next, { items: left, resourceVersion: rest.resourceVersion })
    const [oldest] = this.rests.keys()
    if (this.rests.size > remembered && oldest !== undefined) this.rests.delete(oldest)
    return { items: page, metadata: { ...metadata, continue: next, remainingItemCount: left.length } }
  }
}
