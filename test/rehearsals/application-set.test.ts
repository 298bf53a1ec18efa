import { expect, test } from 'vitest'
import { applicationSetHome } from '../recovery/delivered-homes.ts'
import { applied, damageOf, rehearseAt } from '../recovery/home.ts'

test('an ApplicationSet: what it would start is held and released one by one, and then comes the set itself', async context => {
  const home = applicationSetHome(context)
  const run = await rehearseAt(home)
  expect(run.result?.failures).toEqual([])
  expect(run.result?.state).toBe('finished')
  expect(damageOf(home)).toEqual([])
  const steps = applied(run)
  expect(steps).toContain('bootstrap/hold-application[photos]')
  expect(steps).toContain('volumes/let-through[synology-csi]')
  const last = steps.filter(step => step.startsWith('applications/release')).at(-1)
  expect(last).toBe('applications/release-set[all]')
})
