import { afterAll, beforeAll, describe, expect } from 'vitest'
import type { Connected } from '../cluster.ts'
import { apply } from './apply.ts'
import { definitions } from './definitions.ts'
import { discovery } from './discovery.ts'
import { patching } from './patching.ts'
import { volumes } from './volumes.ts'
import { watching } from './watching.ts'
import { writing } from './writing.ts'

/**
 * What a Kubernetes API does, as far as this program and its users' tools lean on it. The real server is held to it where
 * there is one, the lab's always: so the lab cannot be what we would like Kubernetes to be.
 */
export function keepsTheContract(title: string, start: () => Promise<Connected>): void {
  describe(title, () => {
    let started: Connected | undefined
    beforeAll(async () => {
      started = await start()
    })
    afterAll(() => started?.close())
    // The tests are written down before there is a cluster, and run when there is one.
    const cluster = new Proxy({} as Connected, {
      get: (_, name) => started?.[name as keyof Connected],
    })
    let counter = 0
    /** A namespace of its own for each test, so that none sees another's objects. */
    const namespace = async () => {
      counter += 1
      const name = `test-${counter}`
      const made = await cluster.ask('POST', '/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name },
      })
      expect(made.status).toBe(201)
      return name
    }
    for (const part of [discovery, writing, patching, apply, watching, definitions, volumes])
      part(cluster, namespace)
  })
}
