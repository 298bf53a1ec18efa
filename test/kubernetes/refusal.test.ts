import { describe, expect, test } from 'vitest'
import { withoutFields } from '../../src/kubernetes/field-owners.ts'
import { FieldConflicts, refusal } from '../../src/kubernetes/refusal.ts'

/** Answers of kube-apiserver 1.36.3, as it gave them. */
const answers = {
  conflict: {
    status: 409,
    value: {
      message: 'Apply failed with 1 conflict: conflict with "kubectl-create" using v1: .data.a',
      reason: 'Conflict',
      details: {
        causes: [
          {
            reason: 'FieldManagerConflict',
            message: 'conflict with "kubectl-create" using v1',
            field: '.data.a',
          },
        ],
      },
    },
  },
  changedMeanwhile: {
    status: 409,
    value: {
      message:
        'Operation cannot be fulfilled on configmaps "one": the object has been modified; please apply your changes to the latest version and try again',
      reason: 'Conflict',
      details: { name: 'one', kind: 'configmaps' },
    },
  },
  anotherUid: {
    status: 409,
    value: {
      message: 'Precondition failed: UID in precondition: a, UID in object meta: b',
      reason: 'Conflict',
    },
  },
  noNamespace: {
    status: 404,
    value: {
      message: 'namespaces "nix" not found',
      reason: 'NotFound',
      details: { name: 'nix', kind: 'namespaces' },
    },
  },
  terminating: {
    status: 403,
    value: {
      message:
        'configmaps "one" is forbidden: unable to create new content in namespace doomed because it is being terminated',
      reason: 'Forbidden',
      details: {
        name: 'one',
        kind: 'configmaps',
        causes: [
          {
            reason: 'NamespaceTerminating',
            message: 'namespace doomed is being terminated',
            field: 'metadata.namespace',
          },
        ],
      },
    },
  },
  unauthorized: { status: 401, value: { message: 'Unauthorized', reason: 'Unauthorized' } },
  undeclared: {
    status: 500,
    value: {
      message:
        'failed to create typed patch object (/two; /v1, Kind=ConfigMap): .dada: field not declared in schema',
    },
  },
  invalid: {
    status: 422,
    value: {
      message:
        'ConfigMap "Two" is invalid: metadata.name: Invalid value: "Two": a lowercase RFC 1123 subdomain',
      reason: 'Invalid',
      details: {
        causes: [{ reason: 'FieldValueInvalid', message: 'Invalid value', field: 'metadata.name' }],
      },
    },
  },
  webhookAway: {
    status: 500,
    value: {
      message:
        'Internal error occurred: failed calling webhook "broken.example.net": failed to call webhook: Post "https://127.0.0.1:1/validate?timeout=2s": dial tcp 127.0.0.1:1: connect: connection refused',
      reason: 'InternalError',
      details: { causes: [{ message: 'failed calling webhook "broken.example.net"' }] },
    },
  },
  webhookDenies: {
    status: 403,
    value: {
      message: 'admission webhook "vet.example.net" denied the request: not here',
      reason: 'Forbidden',
    },
  },
  throttled: { status: 429, value: { message: 'please try again later', reason: 'TooManyRequests' } },
  away: { status: 503, value: 'service unavailable\n' },
}

test.each([
  ['conflict', 'field-conflict', false, 'data.a is managed by kubectl-create'],
  ['changedMeanwhile', 'api-refused', true, 'has been modified'],
  ['anotherUid', 'api-refused', false, 'Precondition failed'],
  ['noNamespace', 'namespace-missing', false, 'there is no namespace nix'],
  ['terminating', 'namespace-terminating', true, 'namespace doomed is being terminated'],
  ['unauthorized', 'api-unauthorized', false, 'does not know us'],
  ['undeclared', 'manifest-refused', false, '.dada: field not declared'],
  ['invalid', 'manifest-refused', false, 'metadata.name'],
  ['webhookAway', 'webhook-away', true, 'broken.example.net does not answer'],
  ['webhookDenies', 'admission-denied', false, 'not here'],
  ['throttled', 'api-refused', true, '429'],
  ['away', 'api-refused', true, 'service unavailable'],
] as const)('%s is told as %s', (name, code, transient, says) => {
  const fault = refusal('apply ConfigMap default/one', answers[name])
  expect(fault).toMatchObject({ code, transient, message: expect.stringContaining(says) })
  expect(fault.message).toContain('apply ConfigMap default/one')
})

test('a conflict keeps who manages what', () => {
  const { cause } = refusal('apply', answers.conflict)
  expect(cause).toBeInstanceOf(FieldConflicts)
  expect((cause as FieldConflicts).fields).toEqual([{ manager: 'kubectl-create', field: '.data.a' }])
})

describe('fields taken out of an object, as conflicts name them', () => {
  const object = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'web',
      annotations: { 'a.b/c': '1', 'a.b/c.d': '2' },
      finalizers: ['one', 'two'],
    },
    spec: {
      replicas: 2,
      ports: [{ containerPort: 80 }, { containerPort: 53, protocol: 'UDP' }],
      containers: [
        { name: 'app', image: 'a:1', args: ['x'] },
        { name: 'side', image: 's:1' },
      ],
    },
  }
  test.each([
    ['.spec.replicas', (o: typeof object) => expect('replicas' in o.spec).toBe(false)],
    [
      '.metadata.annotations.a.b/c.d',
      (o: typeof object) => expect(o.metadata.annotations).toEqual({ 'a.b/c': '1' }),
    ],
    ['.metadata.finalizers[="one"]', (o: typeof object) => expect(o.metadata.finalizers).toEqual(['two'])],
    [
      '.spec.containers[name="app"].image',
      (o: typeof object) =>
        expect(o.spec.containers).toEqual([
          { name: 'app', args: ['x'] },
          { name: 'side', image: 's:1' },
        ]),
    ],
    [
      '.spec.ports[containerPort=80,protocol="TCP"]',
      (o: typeof object) => expect(o.spec.ports).toEqual([{ containerPort: 53, protocol: 'UDP' }]),
    ],
    ['.spec.nothing.of.the.kind', (o: typeof object) => expect(o).toEqual(object)],
  ])('%s', (field, check) => {
    check(withoutFields(object, [field]) as unknown as typeof object)
    expect(object.spec.replicas).toBe(2)
  })
})
