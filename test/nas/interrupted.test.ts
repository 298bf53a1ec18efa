import { expect, test } from 'vitest'
import { cloneName } from '../../src/nas/nas.ts'
import type { Fault } from '../../src/runbook/fault.ts'
import { connectedNas } from './connected-nas.ts'

/** Lets a fault of the lab strike exactly once: at the n-th request that could suffer it, counted from now. */
function strikeAt(world: { strikes(fault: string, target: string): boolean }, fault: string, nth: number) {
  const ordinary = world.strikes.bind(world)
  let asked = 0
  world.strikes = (name, target) => {
    if (name !== fault) return ordinary(name, target)
    asked += 1
    return asked === nth
  }
  return () => {
    world.strikes = ordinary
    return asked >= nth
  }
}

const run = 'r1'
const name = cloneName(run, 'photos')

/** Snapshot, clone and new LUN with their targets, both dropped again: all that a volume's proof and its copy ask of a NAS. */
async function everything({ writer, lun }: Awaited<ReturnType<typeof connectedNas>>) {
  const snapshot = await writer.takeSnapshot(lun.uuid, `recover-${run}`, '')
  const clone = await writer.clone(
    { lun: lun.uuid, snapshot: snapshot.uuid },
    { name, description: `recover run ${run}` },
  )
  const sizeBytes = lun.sizeBytes / 2
  const fresh = await writer.createLun({
    name: 'k8s-csi-copy-photos',
    description: 'photos',
    sizeBytes,
    beside: lun.uuid,
  })
  const made = {
    snapshots: await writer.snapshots(lun.uuid),
    luns: await writer.luns(),
    targets: await writer.targets(),
  }
  await writer.dropOwnClone({ uuid: clone.uuid, name, parent: lun.uuid, run })
  await writer.deleteLun(fresh)
  return { made, left: { luns: await writer.luns(), targets: await writer.targets() } }
}

/** A step that retries: as often as the fault says that it passes by itself. */
async function stubborn<T>(action: () => Promise<T>): Promise<{ value: T; faults: string[] }> {
  const faults: string[] = []
  for (;;)
    try {
      return { value: await action(), faults }
    } catch (thrown) {
      const fault = thrown as Fault
      if (!fault.transient || faults.length > 3) throw thrown
      faults.push(fault.code)
    }
}

test.each([
  ['nas-session-expires', 0],
  ['nas-reply-lost', 1],
  ['nas-reboots', 1],
] as const)(
  '%s at any request loses nothing and leaves nothing behind',
  { timeout: 60_000 },
  async (fault, repeats) => {
    const nas = await connectedNas()
    for (let nth = 1; ; nth += 1) {
      const struck = strikeAt(nas.world, fault, nth)
      const { value, faults } = await stubborn(() => everything(nas))
      if (!struck()) {
        // Every request of the whole has been struck once.
        expect(nth).toBeGreaterThan(fault === 'nas-reply-lost' ? 6 : 20)
        return
      }
      expect(faults.length, `${fault} at request ${nth}: ${faults}`).toBeLessThanOrEqual(repeats)
      const { made, left } = value
      expect(made.snapshots).toHaveLength(1)
      expect(made.luns.map(l => l.name).sort()).toEqual(
        ['k8s-csi-copy-photos', `k8s-csi-${nas.lun.pv}`, name].sort(),
      )
      expect(made.targets).toHaveLength(3)
      expect(left.luns.map(l => l.uuid)).toEqual([nas.lun.uuid])
      expect(left.targets).toHaveLength(1)
      await nas.writer.deleteSnapshot({ ...made.snapshots[0]!, lun: nas.lun.uuid })
    }
  },
)

test('a NAS that fills up while a LUN is cloned says so, and goes on by the clone’s name when there is room', async () => {
  const { writer, world, lun } = await connectedNas()
  const clone = () => writer.clone({ lun: lun.uuid }, { name, description: `recover run ${run}` })
  world.arm('nas-full', undefined, 99)
  await expect(clone()).rejects.toMatchObject({ code: 'nas-full', transient: false })
  expect(await writer.luns()).toHaveLength(1)
  world.heal()
  expect(await clone()).toMatchObject({ name })
})

test('a name that the NAS refuses although it makes the LUN is found by that name', async () => {
  const { writer, lun } = await connectedNas()
  const long = `k8s-csi-${'x'.repeat(247)}`
  expect(long).toHaveLength(255)
  // Its target has the same name, for which there is no such rule.
  expect(await writer.clone({ lun: lun.uuid }, { name: long, description: 'recover run r1' })).toMatchObject({
    name: long,
  })
  expect(await writer.luns()).toHaveLength(2)
})
