import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { pushPatch, stateOf } from '../../src/gitops/argocd.ts'
import { type Ailment, diagnose } from '../../src/gitops/diagnosis.ts'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'

/** An Application as Argo CD 3.5.7 left it in a real cluster. */
function seen(name: string): KubernetesObject {
  return JSON.parse(readFileSync(new URL(`seen/${name}.json`, import.meta.url), 'utf8')) as KubernetesObject
}

test.each<[string, Partial<Ailment> | undefined]>([
  ['well', undefined],
  [
    'not-rendered',
    {
      code: 'application-not-rendered',
      message: expect.stringContaining('Failed to unmarshal "a.yaml"') as unknown as string,
      push: 'refresh',
    },
  ],
  [
    'spec-invalid',
    {
      code: 'application-spec-invalid',
      message:
        'Argo CD cannot use the Application x as it is: Application referencing project nope which does not exist',
    },
  ],
  [
    'hook-failed',
    {
      code: 'application-hook-failed',
      message: 'the PreSync hook Job hook/migrate of x failed: Job was active longer than specified deadline',
      push: 'sync',
      objects: [{ apiVersion: 'batch/v1', kind: 'Job', namespace: 'hook', name: 'migrate' }],
    },
  ],
  [
    'hook-stuck',
    {
      code: 'application-hook-stuck',
      message: 'the sync of x waits for its hook batch/Job/stuck to end',
      objects: [{ apiVersion: 'batch/v1', kind: 'Job', namespace: 'hook-stuck', name: 'stuck' }],
    },
  ],
  [
    'wave-blocked',
    {
      code: 'application-wave-blocked',
      message:
        'the sync of x waits for PersistentVolumeClaim/never to be healthy; later sync waves have not begun',
      objects: [{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'waves', name: 'never' }],
      // Git had moved on when it was seen.
      push: 'terminate',
    },
  ],
  [
    'sync-fails',
    {
      code: 'application-sync-fails',
      message: expect.stringMatching(
        /^the sync of x fails again and again \(\d so far\): Service retrying\/bad: failed to create typed patch object/,
      ) as unknown as string,
    },
  ],
  [
    'sync-failed',
    {
      code: 'application-sync-failed',
      message: expect.stringMatching(
        /^the sync of x failed: Widget missing\/w: The Kubernetes API could not find example\.net\/Widget/,
      ) as unknown as string,
      push: 'sync',
    },
  ],
  [
    'not-synced',
    {
      code: 'application-not-synced',
      message: 'x does not sync by itself, and was told to',
      push: 'sync',
    },
  ],
  [
    'out-of-sync',
    {
      code: 'application-out-of-sync',
      message: expect.stringMatching(
        /differs from Git again in Thing pruned\/t \(set right \d times\)/,
      ) as unknown as string,
      lasting: true,
    },
  ],
  ['degraded', { code: 'application-degraded', message: 'x is degraded' }],
])('%s', (name, wanted) => {
  const ailment = diagnose('x', stateOf(seen(name)))
  if (!wanted) expect(ailment).toBeUndefined()
  else {
    expect(ailment).toMatchObject(wanted)
    expect(ailment?.push).toBe(wanted.push)
    expect(ailment?.lasting).toBe(wanted.lasting)
  }
})

test('a sync of an older commit than Git has now is ended', () => {
  const stuck = seen('hook-stuck')
  const { sync } = stuck.status as { sync: { revision: string } }
  expect(diagnose('x', stateOf(stuck))?.push).toBeUndefined()
  sync.revision = 'a-newer-commit'
  expect(diagnose('x', stateOf(stuck))).toMatchObject({ code: 'application-hook-stuck', push: 'terminate' })
})

test('no status at all, and health that nobody knows', () => {
  const { status: _, ...fresh } = seen('well')
  expect(diagnose('x', stateOf(fresh as KubernetesObject))?.code).toBe('application-not-looked-at')
  const odd = seen('well')
  Object.assign(odd.status as object, { health: { status: 'Unknown' } })
  expect(diagnose('x', stateOf(odd))).toMatchObject({ code: 'application-unknown', push: 'refresh' })
})

test('a sync that is pushed has the options and the retries of its Application, which the controller would not take by itself', () => {
  const live = seen('out-of-sync')
  Object.assign((live.spec as { syncPolicy: object }).syncPolicy, { retry: { limit: 2 } })
  expect(pushPatch(live, 'sync')).toEqual({
    operation: {
      initiatedBy: { username: 'recover' },
      retry: { limit: 2 },
      sync: { prune: true, syncOptions: ['CreateNamespace=true', 'Validate=false'] },
    },
  })
})
