import type { ServerResponse } from 'node:http'
import { shown } from './answers.ts'
import type { Target } from './requests.ts'
import { groupVersionOf } from './resources.ts'
import { selected } from './selectors.ts'
import { StatusError, statusOf } from './status-error.ts'
import type { ObjectStore } from './store.ts'
import type { Stored } from './stored.ts'
import type { StoreEvent } from './versioned-objects.ts'

/** Sends what is there, as far as it was asked for, and then every change of what a query selects, until somebody ends it. */
export function watch(
  store: ObjectStore,
  response: ServerResponse,
  { resource, namespace, name }: Target,
  query: URLSearchParams,
): void {
  response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' })
  response.flushHeaders()
  const chosen = selected(query)
  const fits = (object: Stored | undefined) =>
    object !== undefined &&
    (namespace === undefined || object.metadata.namespace === namespace) &&
    (name === undefined || object.metadata.name === name) &&
    chosen(object)
  const send = (type: string, object: object) => response.write(`${JSON.stringify({ type, object })}\n`)
  const tell = ({ type, resource: of, object, before }: StoreEvent) => {
    if (of.plural !== resource.plural || of.group !== resource.group) return
    // What a change moves into the selection is new to the watcher, and what it moves out is gone.
    const is = type !== 'DELETED' && fits(object)
    const was = fits(before)
    if (is) send(was ? 'MODIFIED' : 'ADDED', shown(resource, object))
    else if (was) send('DELETED', shown(resource, object))
  }
  const from = query.get('resourceVersion') ?? ''
  const initial = query.get('sendInitialEvents') === 'true'
  if (initial || from === '' || from === '0') {
    for (const object of store.list(resource, namespace))
      if (fits(object)) send('ADDED', shown(resource, object))
    if (initial && query.get('allowWatchBookmarks') === 'true')
      send('BOOKMARK', {
        kind: resource.kind,
        apiVersion: groupVersionOf(resource),
        metadata: {
          resourceVersion: store.resourceVersion,
          creationTimestamp: null,
          annotations: { 'k8s.io/initial-events-end': 'true' },
        },
      })
  } else {
    const events = store.since(Number(from))
    if (!events) {
      send(
        'ERROR',
        statusOf(
          new StatusError(410, 'Expired', `too old resource version: ${from} (${store.resourceVersion})`),
        ),
      )
      response.end()
      return
    }
    for (const event of events) tell(event)
  }
  const stop = store.watch(tell)
  const seconds = Number(query.get('timeoutSeconds') ?? 0)
  const timer =
    seconds > 0
      ? setTimeout(() => {
          stop()
          response.end()
        }, seconds * 1000)
      : undefined
  response.on('error', stop)
  response.on('close', () => {
    stop()
    clearTimeout(timer)
  })
}
