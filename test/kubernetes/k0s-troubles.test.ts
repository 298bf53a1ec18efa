import { expect, test } from 'vitest'
import { refuseTroubles, type Seen, standsStill } from '../../runbooks/kubernetes/k0s-troubles.ts'
import { refuseUnreachableApi, whatKeptThemOut } from '../../runbooks/kubernetes/look-at-k0s.ts'
import type { K0sHost } from '../../src/cluster/k0sctl-file.ts'
import type { K0sState } from '../../src/hosts/k0s-state.ts'

const run = '20261128-203000-aa11'

/** A machine as it was seen; new, and with nothing on it, where nothing else is said. */
function seen(name: string, k0s: Partial<K0sState> = {}, host: Partial<K0sHost> = {}): Seen {
  return {
    host: {
      name,
      role: 'worker',
      address: '192.0.2.12',
      port: 22,
      user: 'core',
      keyPath: undefined,
      privateAddress: undefined,
      dataDir: '/var/lib/k0s',
      literal: true,
      ...host,
    },
    k0s: {
      clock: 1_000,
      version: undefined,
      service: undefined,
      processes: [],
      answersAs: undefined,
      ready: false,
      failing: [],
      clusterUid: undefined,
      data: [],
      begunBy: undefined,
      leftovers: [],
      reachesApi: undefined,
      ...k0s,
    },
    askedAt: 1_000,
  }
}

const code = (...all: Seen[]) => {
  try {
    refuseTroubles(all, run)
    return undefined
  } catch (thrown) {
    const { code, message } = thrown as { code: string; message: string }
    return `${code}: ${message}`
  }
}

test('a clock may be 30 seconds off, as k0sctl has it, and not 31', () => {
  const at = (name: string, clock: number) => seen(name, { clock: 1_000 + clock })
  expect(code(at('lithium', 0), at('hydrogen', 30))).toBe(undefined)
  expect(code(at('lithium', 0), at('hydrogen', 31))).toContain(
    'clock-skew: the clock of hydrogen is 31 s ahead',
  )
  expect(code(at('lithium', -31), at('hydrogen', 0))).toContain('lithium is 31 s behind')
  // Of three, the one that the two others do not agree with, whatever this computer's own clock says.
  const three = code(at('lithium', 500), at('hydrogen', 501), at('helium', 540))
  expect(three).toContain('the clock of helium is 39 s ahead')
  expect(three).not.toContain('lithium')
})

test('data of another cluster is not gone over: a control plane’s, nor the kubelet.conf with which a worker takes no token', () => {
  const old = { data: ['/var/lib/k0s/db/state.db', '/var/lib/k0s/pki/ca.key'] }
  expect(code(seen('lithium', old, { role: 'controller' }))).toContain(
    'old-control-plane-found: lithium carries a control plane’s data (/var/lib/k0s/db/state.db',
  )
  const node = { data: ['/var/lib/k0s/kubelet.conf'] }
  expect(code(seen('hydrogen', node))).toContain('hydrogen carries the data of a node')
  expect(code(seen('hydrogen', { ...node, begunBy: 'an earlier run' }))).toContain('old-control-plane-found')
  expect(code(seen('hydrogen', { ...node, begunBy: run }))).toBe(undefined)
})

test('half reset: what runs without a service waits for a reboot, what is left of this run’s data does not', () => {
  expect(code(seen('lithium', { processes: ['4711 /opt/bin/k0s controller'] }))).toContain(
    'k0s-running-uninstalled',
  )
  expect(code(seen('lithium', { data: ['/var/lib/k0s/pki/ca.key'], begunBy: run }))).toBe(undefined)
  const other = { service: { unit: 'k0scontroller', active: 'inactive' } } as const
  expect(code(seen('hydrogen', other))).toContain('k0s-other-role: hydrogen is to be worker')
})

test('what a machine lacks is told by what there is', () => {
  const worker = { unit: 'k0sworker', active: 'active' } as const
  const lacks = (k0s: Partial<K0sState>) => standsStill(seen('hydrogen', k0s))?.message
  expect(lacks({})).toBe('hydrogen has no program k0s')
  expect(lacks({ version: 'v1.34.2+k0s.0' })).toBe('hydrogen has the program k0s, and no service of it')
  expect(lacks({ version: 'v1.34.2+k0s.0', service: worker })).toContain(
    'k0sworker installed, and it is active',
  )
  expect(lacks({ version: 'v1.34.2+k0s.0', service: worker, answersAs: 'worker' })).toBe(undefined)
})

test('a worker that gets no answer from the API is told from an API that answers nobody', async () => {
  const cut = () => {
    try {
      refuseUnreachableApi([seen('hydrogen', { reachesApi: false })], 'https://192.0.2.11:6443')
    } catch (thrown) {
      return thrown
    }
    return undefined
  }
  const kept = (ready: () => Promise<{ ready: boolean; why: string }>, thrown = cut()) =>
    whatKeptThemOut(thrown, { ready })
  const answers = async () => ({ ready: true, why: 'ok' })
  expect(await kept(answers)).toMatchObject({ code: 'worker-cannot-reach-api', transient: false })
  expect(await kept(async () => ({ ready: false, why: 'connection refused' }))).toMatchObject({
    code: 'api-unreachable',
    message: expect.stringContaining('connection refused'),
    transient: true,
  })
  // Whoever refuses us answers.
  expect(await kept(() => Promise.reject(new Error('401')))).toMatchObject({
    code: 'worker-cannot-reach-api',
  })
  const other = new Error('another')
  expect(await kept(answers, other)).toBe(other)
})
