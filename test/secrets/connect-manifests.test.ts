import { describe, expect, test } from 'vitest'
import type { KubernetesObject } from '../../src/kubernetes/kubernetes.ts'
import { inForm, ownSecrets, troubleIn } from '../../src/secrets/connect-manifests.ts'

const workload = (name: string, pod: object): KubernetesObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'vault' },
  spec: { template: { spec: pod } },
})
const from = (variable: string, name: string, key: string) => ({
  name: variable,
  valueFrom: { secretKeyRef: { name, key } },
})
const image = (part: string) => `1password/connect-${part}:1.8.1`
const volumes = [
  { name: 'shared-data', emptyDir: {} },
  { name: 'credentials', secret: { secretName: 'my-credentials' } },
  { name: 'tls-cert', secret: { secretName: 'my-certificate' } },
]

describe('what 1Password’s manifests want', () => {
  test('charts up to 2.2 give OP_SESSION from the Secret: base64 of the JSON, whatever is mounted beside it', () => {
    const env = [from('OP_SESSION', 'my-credentials', 'creds.json')]
    const connect = workload('onepassword-connect', {
      volumes,
      containers: [
        { name: 'connect-api', image: image('api'), env },
        { name: 'connect-sync', image: image('sync'), env },
      ],
    })
    expect(ownSecrets([connect])[0]).toEqual({
      namespace: 'vault',
      name: 'my-credentials',
      key: 'creds.json',
      field: 'credentials',
      form: 'base64',
    })
  })

  test('charts from 2.3 mount the JSON, and OP_SESSION is its path', () => {
    const connect = workload('onepassword-connect', {
      volumes,
      containers: [
        {
          name: 'connect-api',
          image: image('api'),
          env: [{ name: 'OP_SESSION', value: '/home/opuser/config/creds.json' }],
        },
      ],
    })
    expect(ownSecrets([connect])).toEqual([
      { namespace: 'vault', name: 'my-credentials', key: 'creds.json', field: 'credentials', form: 'json' },
    ])
  })

  test('the operator takes a token of Connect’s or of a service account', () => {
    const operator = (variable: string, name: string) =>
      workload('operator', { containers: [{ name: 'operator', env: [from(variable, name, 'token')] }] })
    expect(ownSecrets([operator('OP_CONNECT_TOKEN', 'a')])).toMatchObject([{ name: 'a', field: 'token' }])
    expect(ownSecrets([operator('OP_SERVICE_ACCOUNT_TOKEN', 'b')])).toMatchObject([
      { name: 'b', field: 'service-account-token' },
    ])
  })

  test('other workloads want nothing of it', () => {
    expect(ownSecrets([workload('web', { volumes, containers: [{ name: 'web', image: 'nginx' }] })])).toEqual(
      [],
    )
  })
})

describe('credentials come into the form that is wanted, whatever form they are kept in', () => {
  const json = '{"verifier":"x","version":"2"}'
  const once = Buffer.from(json).toString('base64')
  const twice = Buffer.from(once).toString('base64')
  test.each([json, `${json}\n`, once, `${once.slice(0, 20)}\n${once.slice(20)}\n`, twice])('%j', kept => {
    expect(inForm({ field: 'credentials', form: 'json' }, kept)).toBe(json)
    expect(inForm({ field: 'credentials', form: 'base64' }, kept)).toBe(once)
  })

  test.each(['', 'a password', '[1]', Buffer.from('no JSON').toString('base64')])('%j is refused', kept => {
    const form = () => inForm({ field: 'credentials', form: 'json' }, kept)
    expect(form).toThrowError(/neither the JSON/)
    expect(form).toThrowError(expect.objectContaining({ code: 'onepassword-credentials-unreadable' }))
  })

  test('a token of the wrong kind is refused before it is used up', () => {
    expect(inForm({ field: 'token', form: 'text' }, 'eyJhbGci.x.y\n')).toBe('eyJhbGci.x.y')
    expect(() => inForm({ field: 'token', form: 'text' }, 'ops_abc')).toThrowError(
      /is one of a service account/,
    )
    expect(() => inForm({ field: 'service-account-token', form: 'text' }, 'eyJhbGci')).toThrowError(/Connect/)
  })
})

describe('what logs say is told apart', () => {
  // Lines as people reported them: 1Password/connect#17, #54, onepassword-operator#255, terraform-provider-onepassword#24.
  test.each([
    [
      'credentials-misread',
      '{"log_message":"(E) Server: (unable to get credentials and initialize API, retrying in 30s), Wrapped: (failed to FindCredentialsUniqueKey), Wrapped: (failed to loadCredentialsFile), Wrapped: (LoadLocalAuthV2 failed to credentialsDataFromBase64), illegal base64 data at input byte 0","level":1}',
    ],
    [
      'token-refused',
      '{"log_message":"(W) Server: (failed to createVerifiedAccess), Authentication: (Invalid bearer token), square/go-jose/jwt: validation failed, token is expired (exp)","level":2}',
    ],
    [
      'token-refused',
      '{"log_message":"(W) Server: (could not parse JWT), failed to ParseSigned: illegal base64 data at input byte 84","level":2}',
    ],
    [
      'rate-limited',
      'ERROR\tupdate_op_kubernetes_secrets_task\tfailed to retrieve 1Password item at path vaults/a/items/b for secret c\t{"error": "failed to GetVaultsByTitle using 1Password SDK: performing a vault operation: rate limit exceeded"}',
    ],
    [
      'token-refused',
      'error finding 1Password Item: status 403: Authorization: token does not have access to vault',
    ],
  ])('%s', (kind, line) => {
    expect(
      troubleIn(`{"log_message":"(I) started"}\n${line}\n{"log_message":"(I) GET /heartbeat"}\n`),
    ).toEqual({
      kind,
      line,
    })
  })

  test('a log without complaints explains nothing; the newest complaint counts', () => {
    expect(troubleIn('{"log_message":"(I) ### syncer credentials bootstrap ### "}\n')).toBeUndefined()
    expect(troubleIn('rate limit exceeded\nInvalid bearer token\n')?.kind).toBe('token-refused')
  })
})
