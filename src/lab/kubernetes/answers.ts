import type { ServerResponse } from 'node:http'
import type { Page } from './pages.ts'
import { builtIn, groupVersionOf, type ResourceType } from './resources.ts'
import type { Stored } from './stored.ts'

/** An object with the version and kind that it was asked for as. */
export function shown(resource: ResourceType, object: Stored): object {
  return { ...object, apiVersion: groupVersionOf(resource), kind: resource.kind }
}

/** A list. Of the kinds that the server was made with it says once what its items are. */
export function listOf(resource: ResourceType, { items, metadata }: Page): object {
  const builtInKind = builtIn.includes(resource)
  return {
    kind: `${resource.kind}List`,
    apiVersion: groupVersionOf(resource),
    metadata,
    items: items.map(object => {
      if (!builtInKind) return shown(resource, object)
      const { apiVersion: _, kind: __, ...item } = object
      return item
    }),
  }
}

/** Ends an answer with an object. */
export function json(response: ServerResponse, code: number, value: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

/** Ends an answer with plain text. */
export function text(response: ServerResponse, value: string): void {
  response.writeHead(200, { 'content-type': 'text/plain' })
  response.end(value)
}
