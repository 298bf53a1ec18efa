import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { World } from '../../src/lab/world.ts'
import {
  applied,
  damageOf,
  failuresOf,
  faultsOf,
  homeOf,
  journalPath,
  rehearseAt,
  resumeAt,
} from '../recovery/home.ts'

test('sick applications are told with their causes, hold nobody else up, and a resume finishes', async context => {
  const home = homeOf(context)
  const first = await rehearseAt(home, {
    faults: [
      { name: 'application-not-rendered', target: 'grafana' },
      { name: 'application-hook-fails', target: 'photos' },
      { name: 'application-out-of-sync', target: 'scratch' },
    ],
  })
  expect(failuresOf(first)).toEqual({
    'applications/release[grafana]': 'application-not-rendered',
    'applications/release[photos]': 'application-hook-failed',
    'applications/release[scratch]': 'application-out-of-sync',
  })
  const said = faultsOf(first).map(f => f.message)
  expect(said).toContainEqual(
    expect.stringMatching(
      /^Argo CD cannot render grafana: Failed to load target state: .*`kustomize build` failed/,
    ),
  )
  expect(said).toContainEqual(
    expect.stringMatching(
      /^the PreSync hook Job photos\/photos-before-sync of photos failed: Job has reached .*ended with 1 \(Error: migration failed/,
    ),
  )
  expect(said).toContainEqual(
    expect.stringMatching(/^scratch was synced and differs from Git again in \S+ \S+ \(set right 5 times\)/),
  )
  const notes = first.events.flatMap(e => (e.code === 'step-note' ? [e.text] : []))
  expect(notes).toContainEqual(expect.stringMatching(/told to \(1 of 3\): the PreSync hook Job/))
  const done = first.events.flatMap(e => (e.code === 'step-done' ? [e.step] : []))
  expect(done).toContain('applications/release[miniflux]')
  expect(done).toContain('applications/settle[synology-csi]')
  // What is asked of a healthy one is asked; what is asked of a sick one waits for it.
  expect(done.filter(step => step.startsWith('applications/check['))).toEqual([
    'applications/check[select count(*) > 0 from users in miniflux/postgres-0]',
  ])
  expect(first.events.filter(e => e.code === 'step-left')).toMatchObject([
    {
      step: 'applications/release[root]',
      because: expect.stringMatching(/^it comes after "Release \w+", which failed$/),
    },
  ])
  const second = await resumeAt(home)
  expect(second.result?.failures).toEqual([])
  expect(second.result?.state).toBe('finished')
  expect(applied(second)).not.toContain('applications/release[miniflux]')
  expect(damageOf(home)).toEqual([])
})

test('a disk made anew under a claim’s name ends the wait for its application at once', async context => {
  const home = homeOf(context)
  // Sick besides, so that the wait would not end by itself before its limit.
  const first = await rehearseAt(home, {
    faults: [
      { name: 'application-never-healthy', target: 'grafana' },
      { name: 'disk-made-anew', target: 'grafana/data' },
    ],
  })
  expect(failuresOf(first)).toMatchObject({ 'applications/release[grafana]': 'empty-disk-made' })
  expect(faultsOf(first).map(f => f.message)).toContainEqual(
    expect.stringMatching(
      /^somebody had a new disk made for grafana\/data \(k8s-csi-pvc-anew-grafana-data, /,
    ),
  )
  const second = await resumeAt(home)
  expect(failuresOf(second)).toEqual({})
  expect(second.result?.state).toBe('finished')
  expect(damageOf(home)).toEqual([])
})

test('a volume whose content differs holds its own application back, and no other', async context => {
  const home = homeOf(context)
  const first = await rehearseAt(home, {
    sink(event) {
      if (event.code !== 'step-done' || event.step !== 'volumes/measure[photos/library]') return
      const world = World.open(join(dirname(journalPath()), 'lab'))
      const { uuid } = world.blueprint.nas.luns.find(lun => lun.claim === 'photos/library')!
      writeFileSync(join(world.path('nas', 'luns', uuid), 'stranger.txt'), 'written by somebody else')
    },
  })
  expect(failuresOf(first)).toEqual({ 'volumes/verify[photos/library]': 'content-differs' })
  const released = applied(first).filter(step => step.startsWith('applications/release['))
  expect(released.sort()).toEqual(
    ['grafana', 'miniflux', 'scratch'].map(name => `applications/release[${name}]`),
  )
})
