import { expect, test } from 'vitest'
import { persistentVolume } from '../../src/volumes/objects.ts'
import {
  type ListedLun,
  type ListedTarget,
  mustFitShare,
  unfitness,
} from '../../src/volumes/static-volume.ts'
import { strangers } from '../../src/volumes/strangers.ts'
import { twinRule } from '../../src/volumes/twins.ts'

const lun: ListedLun = { uuid: 'u-1', name: 'k8s-csi-pvc-1', status: 'normal', locked: false, sizeBytes: 1 }
const target: ListedTarget = {
  name: 't-1',
  mappings: [{ lun: 'u-1', index: 1 }],
  authenticated: false,
  maxSessions: 1,
}
const wanted = { claim: 'a/b', lun: 'u-1', driver: 'csi.san.synology.com', accessModes: ['ReadWriteOnce'] }

test.each<[string, Partial<ListedLun>, Partial<ListedTarget>[], RegExp]>([
  ['another name', { name: 'old-data' }, [{}], /does not begin with k8s-csi/],
  ['a crashed LUN', { status: 'crashed' }, [{}], /says that it is crashed/],
  ['a LUN at work', { locked: true }, [{}], /still at work/],
  ['no target', {}, [], /mapped to no target/],
  ['two targets', {}, [{}, { name: 't-2' }], /mapped to 2 targets \(t-1, t-2\)/],
  [
    'a target with two LUNs',
    {},
    [
      {
        mappings: [
          { lun: 'other', index: 1 },
          { lun: 'u-1', index: 2 },
        ],
      },
    ],
    /would mount the first, whichever it is/,
  ],
  ['CHAP', {}, [{ authenticated: true }], /wants a password/],
  ['no bound of sessions', {}, [{ maxSessions: 0 }], /any number of machines/],
])('%s keeps the driver from mounting it', (_, change, targets, says) => {
  const found = unfitness(
    wanted,
    [{ ...lun, ...change }],
    targets.map(t => ({ ...target, ...t })),
  )
  expect(found).toHaveLength(1)
  expect(found[0]).toMatch(says)
})

test('what fits has nothing against it', () => {
  expect(unfitness(wanted, [lun], [target, { ...target, name: 'other', mappings: [] }])).toEqual([])
  expect(unfitness({ ...wanted, lun: 'u-9' }, [lun], [target])).toEqual(['the NAS has no LUN u-9'])
  // Claims that many mount have targets without a bound; another driver has other names.
  const shared = { ...wanted, accessModes: ['ReadWriteMany'], driver: 'org.democratic-csi.iscsi' }
  expect(unfitness(shared, [{ ...lun, name: 'zvol' }], [{ ...target, maxSessions: 0 }])).toEqual([])
})

test('a clone and its original may meet where their file system bears it', () => {
  const on = (kernel: string) => [{ node: 'lithium', kernel }]
  expect(twinRule('ext4', []).together).toBe(true)
  expect(twinRule('xfs', on('6.12.51')).together).toBe(false)
  expect(twinRule('btrfs', on('6.12.51-flatcar')).together).toBe(true)
  expect(twinRule('btrfs', on('6.7.0')).together).toBe(true)
  expect(twinRule('btrfs', on('6.6.95-flatcar'))).toMatchObject({ together: false, why: /lithium has 6\.6/ })
  expect(twinRule('btrfs', [...on('6.12.1'), ...on('5.15.0')]).together).toBe(false)
  expect(twinRule('btrfs', on('')).together).toBe(false)
  expect(twinRule('btrfs', []).together).toBe(false)
})

test('a LUN or share that carries a mapped claim’s name or uid and was not there is a stranger', () => {
  const uid = '77f97c58-db4d-4205-8a11-444455556666'
  const claims = [{ claim: 'a/b', known: ['u-1', 'clone'], uid }]
  const luns = [
    { uuid: 'u-1', name: 'k8s-csi-pvc-1', description: 'a/b' },
    { uuid: 'clone', name: 'k8s-csi-clone', description: 'a/b' },
    { uuid: 'orphan', name: 'k8s-csi-pvc-0', description: 'a/b' },
    { uuid: 'other', name: 'k8s-csi-pvc-3', description: 'c/d' },
    { uuid: 'fresh', name: 'k8s-csi-pvc-2', description: 'a/b' },
    // The driver is not always told whose a LUN is, and of shares it never writes it down.
    { uuid: 'silent', name: `k8s-csi-pvc-${uid}`, description: '' },
    { uuid: 'share', name: 'k8s-csi-pvc-77f97c58-db4d-4205-8', description: 'Created by Synology K8s CSI' },
    { uuid: 'share-2', name: 'k8s-csi-pvc-88888888-db4d-4205-8', description: 'Created by Synology K8s CSI' },
  ]
  expect(strangers(luns, claims, ['k8s-csi-pvc-0']).map(s => s.uuid)).toEqual(['fresh', 'silent', 'share'])
  // What its description says is another claim's: it was made for the one whose uid it bears all the same.
  const other = { claim: 'c/d', known: ['silent'] }
  const described = [{ uuid: 'silent', name: `k8s-csi-pvc-${uid}`, description: 'c/d' }]
  expect(strangers(described, [other, ...claims], []).map(s => s.claim)).toEqual(['a/b'])
  const adopted = [{ ...claims[0]!, known: ['u-1', 'clone', 'fresh', 'silent', 'share'] }]
  expect(strangers(luns, adopted, ['k8s-csi-pvc-0'])).toEqual([])
})

test('a share is mounted by what a volume’s attributes name: they must name it', () => {
  const share = { uuid: 'u-1', name: 'k8s-csi-pvc-1', location: '/volume1', snapshots: true }
  const right = {
    dsm: 'nas.home',
    protocol: 'nfs',
    source: '//nas.home/k8s-csi-pvc-1',
    baseDir: '/volume1/k8s-csi-pvc-1',
  }
  const look = (stated?: Record<string, string>, change = {}) =>
    mustFitShare('a/b', { ...share, ...change }, stated)
  expect(() => {
    look()
    look(right)
  }).not.toThrow()
  const wrong: [RegExp, Record<string, string> | undefined, object][] = [
    [/source as "\/\/nas.home\/k8s-csi-pvc-2"/, { ...right, source: '//nas.home/k8s-csi-pvc-2' }, {}],
    [/source as "\/\/other\/k8s-csi-pvc-1"/, { ...right, source: '//other/k8s-csi-pvc-1' }, {}],
    [/baseDir as "\/volume2/, { ...right, baseDir: '/volume2/k8s-csi-pvc-1' }, {}],
    [/protocol as "smb"/, { ...right, protocol: 'smb' }, {}],
    [/no dsm among its attributes/, { protocol: 'nfs' }, {}],
    [/does not begin with k8s-csi/, undefined, { name: 'photos' }],
    [/no snapshot of it/, right, { snapshots: false }],
  ]
  for (const [message, stated, change] of wrong)
    expect(() => look(stated, change)).toThrow(
      expect.objectContaining({ code: 'share-unfit', message: expect.stringMatching(message) }),
    )
})

test('the mode of a share’s root folder is set by no volume that is only read', () => {
  const attributesOf = (protocol: string, readOnly: boolean) => {
    const attributes = { protocol, mountPermissions: '0755' }
    const disk = { driver: 'csi.san.synology.com', handle: 'u-1', sizeBytes: 1, attributes }
    const options = { storageClass: '', accessModes: ['ReadWriteOnce'], readOnly }
    const { spec } = persistentVolume('pv', { namespace: 'a', name: 'b' }, disk, options)
    return (spec as { csi: { volumeAttributes: object } }).csi.volumeAttributes
  }
  expect(attributesOf('nfs', true)).toEqual({ protocol: 'nfs', mountPermissions: '0' })
  expect(attributesOf('nfs', false)).toEqual({ protocol: 'nfs', mountPermissions: '0755' })
  expect(attributesOf('iscsi', true)).toEqual({ protocol: 'iscsi', mountPermissions: '0755' })
})
