import { expect, test } from 'vitest'
import { type FencedTarget, proveFence, proveShareFence, type Standing } from '../../src/volumes/fence.ts'

const lun = { uuid: 'u-1', name: 'k8s-csi-pvc-1' }
const target = (change: Partial<FencedTarget> = {}): FencedTarget => ({
  name: 'k8s-csi-pvc-1',
  enabled: false,
  mappings: [{ lun: 'u-1' }],
  sessions: [],
  maxSessions: 1,
  ...change,
})
const installed: Standing = { host: 'lithium', is: 'reinstalled', initiator: 'iqn.new' }
const asked =
  (targets: FencedTarget[], hosts: Standing[] = [installed]) =>
  () =>
    proveFence({ claim: 'photos/library', lun, targets, hosts })

test('every machine accounted for and nobody logged in is a fence, and says why', () => {
  expect(asked([target()], [installed, { host: 'hydrogen', is: 'off' }])()).toBe(
    'lithium was installed anew by this run; hydrogen is switched off; target k8s-csi-pvc-1 is off with no session and room for 1 session(s)',
  )
})

test('sessions of this run’s own machines break no fence, others’ do', () => {
  const by = (initiator: string) => target({ enabled: true, sessions: [{ initiator, ip: '192.0.2.9' }] })
  expect(asked([by('iqn.new')])()).toContain('1 session(s) of this run’s machines')
  expect(asked([by('iqn.old')])).toThrow(expect.objectContaining({ code: 'old-writer-alive' }))
  expect(
    asked([target({ mappings: [{ lun: 'u-2' }], sessions: [{ initiator: 'iqn.old', ip: '' }] })])(),
  ).toContain('mapped to no target')
})

test('a second target of the same LUN is looked at, too', () => {
  const second = target({ name: 'by-hand', sessions: [{ initiator: 'iqn.old', ip: '192.0.2.9' }] })
  expect(asked([target(), second])).toThrow(expect.objectContaining({ code: 'old-writer-alive' }))
})

test('an empty list of sessions is no fence while a machine may come back', () => {
  const silent: Standing = { host: 'hydrogen', is: 'unknown', why: 'nobody can ask whether it is off' }
  expect(asked([target()], [installed, silent])).toThrow(expect.objectContaining({ code: 'fence-missing' }))
})

test('a share is fenced as far as its rules and the machines tell', () => {
  const asking =
    (may: 'write' | 'read' | 'nothing', hosts: Standing[] = [installed]) =>
    () =>
      proveShareFence({
        claim: 'photos/library',
        share: { name: 'k8s-csi-pvc-1', clients: [{ client: '192.0.2.9', may }] },
        nodes: ['192.0.2.11'],
        hosts,
      })
  for (const may of ['nothing', 'read'] as const)
    expect(asking(may)()).toBe(
      'lithium was installed anew by this run; the NFS rules of k8s-csi-pvc-1 let nobody write',
    )
  expect(asking('write')).toThrow(
    expect.objectContaining({
      code: 'share-open-to-others',
      message: expect.stringContaining('192.0.2.9 may write to the share of photos/library'),
    }),
  )
  // An address tells nothing: the old machine of that address must be accounted for.
  const silent: Standing = { host: 'hydrogen', is: 'unknown', why: 'nobody can ask whether it is off' }
  expect(asking('nothing', [installed, silent])).toThrow(expect.objectContaining({ code: 'fence-missing' }))
  const share = { name: 'k8s-csi-pvc-1', clients: [{ client: '192.0.2.11', may: 'write' as const }] }
  expect(proveShareFence({ claim: 'a/b', share, nodes: ['192.0.2.11'], hosts: [installed] })).toContain(
    'let only nodes of this cluster write (192.0.2.11)',
  )
})
