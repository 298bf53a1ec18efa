import { describe, expect, test } from 'vitest'
import { deliveryBy } from '../../src/gitops/delivery.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'

const flux = deliveryBy('flux')
const kustomization = (status?: object, generation = 1): KubernetesObject => ({
  apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
  kind: 'Kustomization',
  metadata: { name: 'notes', namespace: 'flux-system', generation },
  spec: { path: './apps/notes' },
  ...(status ? { status } : {}),
})
const ready = (status: string, reason: string, message: string, more: object = {}) => ({
  observedGeneration: 1,
  conditions: [{ type: 'Ready', status, reason, message }],
  ...more,
})

test('a Kustomization is held by suspending it, and let go by what Git has', () => {
  const inGit = kustomization()
  expect(flux.isHeld(inGit)).toBe(false)
  expect(flux.isHeld(flux.hold(inGit))).toBe(true)
  expect(flux.hold(inGit).spec).toEqual({ path: './apps/notes', suspend: true })
})

describe('what Flux says of one', () => {
  test.each([
    [undefined, 'application-not-looked-at', 'has not looked at'],
    [{ observedGeneration: 0, conditions: [] }, 'application-not-looked-at', 'has not looked at'],
    [
      ready('False', 'ArtifactFailed', 'Source artifact not found'),
      'application-not-rendered',
      'artifact not found',
    ],
    [ready('False', 'BuildFailed', 'cannot get sops Secret'), 'application-not-rendered', 'sops Secret'],
    [ready('False', 'DependencyNotReady', "dependency 'a/b' is not ready"), 'application-waits', 'a/b'],
    [
      ready('False', 'HealthCheckFailed', 'timeout waiting for: [Deployment/notes/notes]'),
      'application-degraded',
      'Deployment/notes/notes',
    ],
    [ready('False', 'ReconciliationFailed', 'no matches for kind'), 'application-sync-failed', 'no matches'],
    [
      ready('Unknown', 'Progressing', 'Running health checks'),
      'application-sync-unfinished',
      'health checks',
    ],
  ])('%j', (status, code, says) => {
    expect(flux.diagnose('notes', kustomization(status))).toMatchObject({
      code,
      message: expect.stringContaining(says),
    })
  })

  test('Ready is well; Ready of an older generation is not', () => {
    const well = ready('True', 'ReconciliationSucceeded', 'Applied revision: main@sha1:abc')
    expect(flux.diagnose('notes', kustomization(well))).toBeUndefined()
    expect(flux.diagnose('notes', kustomization(well, 2))).toMatchObject({
      code: 'application-not-looked-at',
    })
  })

  test('what it brought is read from its inventory', () => {
    const status = ready('False', 'HealthCheckFailed', 'timeout', {
      inventory: {
        entries: [
          { id: '_notes__Namespace', v: 'v1' },
          { id: 'notes_web_apps_Deployment', v: 'v1' },
        ],
      },
    })
    expect(flux.state(kustomization(status)).resources.map(r => r.ref)).toEqual([
      { apiVersion: 'v1', kind: 'Namespace', namespace: undefined, name: 'notes' },
      { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'notes', name: 'web' },
    ])
  })
})
