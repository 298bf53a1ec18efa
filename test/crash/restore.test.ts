import { join } from 'node:path'
import { expect, test } from 'vitest'
import { damageOf, failuresOf, homeOf, rehearseAt, resumeAt } from '../recovery/home.ts'
import { restoreFrom, restoreWithShareFrom } from '../recovery/restored-home.ts'
import { changesToDieAt } from './changes-to-die-at.ts'
import { crash, dieAtEach, rehearseWhole } from './expedition.ts'

test('killed while it restores, what is there is not trusted: it is removed and restored again', async context => {
  const home = homeOf(context)
  await restoreFrom(home.file)
  const first = await rehearseAt(home, { faults: [{ name: 'k0s-restore-killed', target: 'lithium' }] })
  expect(failuresOf(first)).toEqual({ 'kubernetes/restore[./k0s_backup.tar.gz]': 'k0sctl-killed' })
  const second = await resumeAt(home)
  expect(failuresOf(second)).toEqual({})
  expect(second.result?.state).toBe('finished')
  const notes = second.events.flatMap(e => (e.code === 'step-note' ? [e.text] : []))
  expect(notes.join('\n')).toContain('removed from lithium what an interrupted attempt had restored')
  expect(notes.join('\n')).toMatch(
    /removed from lithium what a killed k0sctl had half uploaded: \/tmp\/\w+\/k0s_backup\.tar\.gz/,
  )
  expect(damageOf(home, [])).toEqual([])
})

test('killed at every record and after every effect of Kubernetes, a control plane is restored all the same', async context => {
  const { file } = homeOf(context)
  await restoreFrom(file)
  const golden = await rehearseWhole({ home: join(file, '..') })
  const at = (point: string) => golden.points.findIndex(p => p.startsWith(point))
  const [first, last] = [at('before-effect kubernetes/restore'), at('after-effect kubernetes/workers')]
  // From the record of its intent to the record that the workers have joined.
  const records = golden.points.slice(first - 1, last + 3).filter(p => golden.distinct.includes(p))
  // Claims that came back with the archive are bound before their disks are adopted.
  const inside = changesToDieAt(golden.changes, /^kubernetes\/|^volumes\/adopt/)
  expect(inside.length).toBeGreaterThan(6)
  const points = [...records, ...inside]
  expect(first).toBeGreaterThan(0)
  expect(records.length).toBeGreaterThan(8)
  const { wrong, unmet, runs } = await dieAtEach(points, 3, those => crash(golden, those))
  process.stdout.write(
    `restored: killed with SIGKILL at ${points.length - unmet.length} points of Kubernetes’ phase and of the adoption and resumed, in ${runs} runs\n`,
  )
  expect({ wrong, unmet }).toEqual({ wrong: {}, unmet: [] })
})

test('killed at every record and effect of a claim on a share, it is adopted in a restored cluster all the same', async context => {
  const home = homeOf(context)
  await restoreWithShareFrom(home)
  const golden = await rehearseWhole({ home: join(home.file, '..') })
  const records = golden.distinct.filter(p => p.includes('[photos/library]'))
  // Snapshot, fence, measuring, adoption, proof and the clone's end: each an intent, an effect and a checkpoint.
  expect(records.length).toBeGreaterThanOrEqual(18)
  const points = [...records, ...changesToDieAt(golden.changes, /^volumes\/adopt\[photos\/library\]/)]
  const { wrong, unmet, runs } = await dieAtEach(points, 1, those => crash(golden, those))
  process.stdout.write(
    `a share in a restored cluster: killed with SIGKILL at ${points.length - unmet.length} points and resumed, in ${runs} runs\n`,
  )
  expect({ wrong, unmet }).toEqual({ wrong: {}, unmet: [] })
})
