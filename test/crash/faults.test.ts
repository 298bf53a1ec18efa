import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { faults } from '../../runbooks/rehearsal/faults.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import { World } from '../../src/lab/world.ts'
import { ladderAt, redfish } from '../hosts/install/ladder-at.ts'
import {
  applied,
  damageOf,
  failuresOf,
  faultsOf,
  type Home,
  homeOf,
  labFolder,
  leftOnNas,
  type Part,
  rehearseAt,
  resumeAt,
  settleVolumes,
  writesOn,
} from '../recovery/home.ts'
import { owners, restoreFrom, scaleToNothing } from '../recovery/restored-home.ts'

/** How a rehearsal with a fault ends: by itself, or at steps with coded faults until a person has mended it. */
const endings: Record<
  string,
  {
    target?: string
    /** Ways to install hydrogen, which has a BMC then. */
    install?: string
    ends: 'by itself' | Record<string, string>
    writes?: number
    /** The control plane comes back from an archive. */
    restores?: boolean
    /** A claim that comes back by a copy on a host. */
    hostCopies?: string
    /** Workloads that a person has to scale to nothing before it goes on: path of each in the API. */
    scaled?: string[]
  }
> = {
  'host-dies-during-install': {
    target: 'lithium',
    // A machine without power does not even refuse; on loopback its connections are closed at once.
    ends: { 'hosts/install-flatcar[lithium]': 'ssh-throttled' },
    writes: 2,
  },
  'wrong-disk': { target: 'lithium', ends: { 'preflight/check-disk[lithium]': 'disk-not-found' } },
  'host-key-differs': {
    target: 'lithium',
    ends: { 'hosts/install-flatcar[lithium]': 'wrong-system-answers' },
    writes: 2,
  },
  'old-os-returns': {
    target: 'lithium',
    ends: { 'hosts/install-flatcar[lithium]': 'old-system-returns' },
    writes: 2,
  },
  'kexec-hangs': { target: 'hydrogen', install: 'kexec, by-hand', ends: 'by itself' },
  'network-boots-first': { target: 'hydrogen', install: 'pxe', ends: 'by itself' },
  'bmc-ignores-boot-once': { target: 'hydrogen', install: 'pxe, by-hand', ends: 'by itself' },
  'bmc-away': { target: 'hydrogen', install: 'pxe, by-hand', ends: 'by itself' },
  'bmc-password-refused': { target: 'hydrogen', install: 'pxe, by-hand', ends: 'by itself' },
  'bmc-says-on': { target: 'hydrogen', install: 'pxe, by-hand', ends: 'by itself' },
  'bmc-says-off': { target: 'hydrogen', install: 'pxe, by-hand', ends: 'by itself' },
  'media-refused': { target: 'hydrogen', install: 'virtual-media, by-hand', ends: 'by itself' },
  'ssh-throttled': { target: 'hydrogen', ends: 'by itself' },
  'no-room-for-image': { target: 'lithium', ends: { 'hosts/install-flatcar[lithium]': 'image-no-room' } },
  'no-rsync-on-host': {
    target: 'hydrogen',
    hostCopies: 'photos/library',
    ends: { 'volumes/copy-on-host[photos/library]': 'host-lacks-program' },
  },
  'nas-session-expires': { ends: 'by itself' },
  'nas-full': {
    ends: {
      'volumes/measure[grafana/data]': 'nas-full',
      'volumes/measure[miniflux/data-postgres-0]': 'nas-full',
      'volumes/measure[photos/library]': 'nas-full',
    },
  },
  'nas-reply-lost': { target: 'clone_snapshot', ends: 'by itself' },
  'nas-reboots': { ends: 'by itself' },
  'nas-fills-up': {
    target: 'grafana/data',
    ends: { 'volumes/copy[grafana/data]': 'copy-destination-full' },
  },
  'nas-restarts': { target: 'grafana/data', ends: { 'volumes/copy[grafana/data]': 'copy-fails' } },
  'nas-limit-reached': {
    ends: {
      'volumes/measure[grafana/data]': 'nas-limit-reached',
      'volumes/measure[miniflux/data-postgres-0]': 'nas-limit-reached',
      'volumes/measure[photos/library]': 'nas-limit-reached',
    },
  },
  'zombie-host': { target: 'hydrogen', ends: { 'protect/fence[photos/library]': 'old-writer-alive' } },
  'forgotten-machine': {
    target: 'photos/library',
    ends: { 'volumes/adopt[photos/library]': 'old-writer-alive' },
  },
  'disk-made-anew': {
    target: 'grafana/data',
    ends: { 'applications/release[grafana]': 'empty-disk-made' },
  },
  'api-away': { ends: 'by itself' },
  'api-throttled': { ends: 'by itself' },
  'kubeconfig-expired': { ends: 'by itself' },
  'k0sctl-fails-half-way': { target: 'lithium', ends: 'by itself' },
  'k0sctl-hangs': { target: 'lithium', ends: { 'kubernetes/controllers': 'k0sctl-hung' } },
  'k0sctl-killed': { target: 'lithium', ends: { 'kubernetes/controllers': 'k0sctl-killed' } },
  'k0s-restore-killed': {
    target: 'lithium',
    restores: true,
    ends: { 'kubernetes/restore[./k0s_backup.tar.gz]': 'k0sctl-killed' },
  },
  'workloads-return': {
    restores: true,
    ends: {
      'bootstrap/hold-application[grafana]': 'hold-too-late',
      'bootstrap/hold-application[miniflux]': 'hold-too-late',
      'bootstrap/hold-application[photos]': 'hold-too-late',
      'bootstrap/hold-application[scratch]': 'hold-too-late',
    },
    scaled: owners,
  },
  'k0s-left-running': { target: 'lithium', ends: { 'kubernetes/controllers': 'k0s-running-uninstalled' } },
  'clock-skew': { target: 'hydrogen', ends: { 'kubernetes/check-hosts': 'clock-skew' } },
  'old-control-plane': { target: 'lithium', ends: { 'kubernetes/check-hosts': 'old-control-plane-found' } },
  'other-cluster-answers': { target: 'lithium', ends: { 'kubernetes/kubeconfig': 'other-cluster-answers' } },
  'worker-cannot-reach-api': {
    target: 'hydrogen',
    ends: { 'kubernetes/workers': 'worker-cannot-reach-api' },
  },
  'application-never-healthy': {
    target: 'grafana',
    ends: { 'applications/release[grafana]': 'application-progressing' },
  },
  'application-degraded': {
    target: 'grafana',
    ends: { 'applications/release[grafana]': 'application-degraded' },
  },
  'application-hook-fails': {
    target: 'photos',
    ends: { 'applications/release[photos]': 'application-hook-failed' },
  },
  'application-not-rendered': {
    target: 'synology-csi',
    ends: { 'volumes/let-through[synology-csi]': 'application-not-rendered' },
  },
  'application-out-of-sync': {
    target: 'scratch',
    ends: { 'applications/release[scratch]': 'application-out-of-sync' },
  },
  'onepassword-rate-limited': {
    target: 'recover-probe',
    ends: { 'bootstrap/prove-onepassword': 'onepassword-rate-limited' },
  },
  'onepassword-token-refused': { ends: { 'bootstrap/apply[argocd]': 'onepassword-token-refused' } },
}

test('every fault of the lab is rehearsed here', () => {
  expect(Object.keys(endings).sort()).toEqual(faults.map(f => f.name).sort())
})

test.for(faults.map(f => f.name))('%s', { timeout: 900_000 }, async (name, context) => {
  const { target, ends, writes = 1, hostCopies, install, restores, scaled = [] } = endings[name]!
  const home = homeOf(context)
  if (install) {
    ladderAt(home.file, install, { power: redfish })
    // Switched off, it tells nothing of its volumes: the person does.
    settleVolumes(home)
  }
  if (restores) await restoreFrom(home.file)
  if (hostCopies) {
    const text = readFileSync(home.file, 'utf8')
    writeFileSync(home.file, text.replace('cache: new', `cache: new\n  ${hostCopies}: host-copy`))
  }
  const run = await rehearseAt(home, { faults: [{ name, ...(target ? { target } : {}) }] })
  if (ends !== 'by itself') {
    expect(run.result?.state).toBe('failed')
    expect(failuresOf(run)).toMatchObject(ends)
    for (const { code, message, remedy, blame } of faultsOf(run)) {
      expect(blame, `${code}: ${message}`).not.toBe('bug')
      expect(remedy.length).toBeGreaterThan(20)
    }
    // What could not be done for one is done for all others; nothing was built on what failed.
    expect(run.result?.left).toBeGreaterThan(0)
    if (hostCopies) expect(lunsOnNas(home).filter(name => name.startsWith('k8s-csi-copy-'))).toEqual([])
    if (name === 'wrong-disk' || name === 'zombie-host') expect(writesOn(home, target!)).toEqual([0, 0])
  }
  const atFirst = () => scaleToNothing(scaled)
  const last: Part = ends === 'by itself' ? run : await resumeAt(home, { atFirst })
  expect(failuresOf(last)).toEqual({})
  expect(last.result?.state).toBe('finished')
  expect(damageOf(home, restores ? [] : hostCopies ? ['grafana/data', hostCopies] : undefined)).toEqual([])
  expect(leftOnNas(home)).toEqual([])
  // The disk that nobody named was never written, the others no more often than the fault made necessary.
  expect(writesOn(home, 'lithium')).toEqual([writes, 0])
  expect(writesOn(home, 'hydrogen')).toEqual([1, 0])
})

const lunsOnNas = (home: Home) =>
  World.open(labFolder(home))
    .read<NasState>('nas')!
    .luns.map(l => l.name)

/** A program that only knows its version, and is content. */
const idle = `if (process.argv.includes('version')) console.log('version: v0.32.2')`

test('a k0sctl that ends well and has done nothing is not believed, and nothing is built on it', async context => {
  const home = homeOf(context)
  const run = await rehearseAt(home, {
    where: where => ({ ...where, k0sctl: [process.execPath, '-e', idle] }),
  })
  expect(failuresOf(run)).toEqual({ 'kubernetes/controllers': 'k0s-not-running' })
  expect(faultsOf(run)[0]?.message).toContain('lithium has no program k0s')
  expect(applied(run).filter(step => /^(?:bootstrap|volumes|applications|proof)/.test(step))).toEqual([])
  const last = await resumeAt(home)
  expect(last.result?.state).toBe('finished')
  expect(damageOf(home)).toEqual([])
})
