import { appendFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  applied,
  type Change,
  damageOf,
  faultsOf,
  homeOf,
  journalPath,
  rehearseAt,
  resumeAt,
  writesOn,
} from '../recovery/home.ts'

/** Something says that it did what it did not. */
interface Lie {
  what: string
  change: Change
  /** The step that must notice, and how it says so. */
  step: string
  code: RegExp
  says: RegExp
  /** What must not begin after it. */
  never: RegExp
}

const always = { times: '1000000' }

const lies: Lie[] = [
  {
    what: 'a NAS takes the order for a snapshot, and there is none',
    change: { atFirst: lab => lab.order('arm', { name: 'nas-lies', target: 'take_snapshot', ...always }) },
    step: 'protect/snapshot[photos/library]',
    code: /^nas-without-effect$/,
    says: /snapshot/,
    never: /^(?:protect\/fence|hosts|kubernetes|bootstrap|volumes|applications|proof)/,
  },
  {
    what: 'a NAS takes the order to switch a target off, and it stays on',
    change: { atFirst: lab => lab.order('arm', { name: 'nas-lies', target: 'disable', ...always }) },
    step: 'protect/fence[photos/library]',
    code: /^nas-without-effect$/,
    says: /disabled target/,
    never: /^(?:hosts|kubernetes|bootstrap|volumes|applications|proof)/,
  },
  {
    what: 'flatcar-install ends well and has written nothing',
    change: { atFirst: lab => lab.order('arm', { name: 'install-lies', target: 'lithium', ...always }) },
    step: 'hosts/install-flatcar[lithium]',
    code: /^old-system-returns$/,
    says: /Fedora CoreOS 40 answers on lithium/,
    never: /^(?:kubernetes|bootstrap|volumes|applications|proof)/,
  },
]

test.for(lies)(
  '$what: it is noticed, and nothing is built on it',
  async ({ change, step, ...lie }, context) => {
    const home = homeOf(context)
    const run = await rehearseAt(home, change)
    expect(run.result?.state).toBe('failed')
    const failure = run.result?.failures.find(f => f.step === step)
    expect(failure?.fault).toMatchObject({
      code: expect.stringMatching(lie.code),
      message: expect.stringMatching(lie.says),
      remedy: expect.stringMatching(/./),
    })
    expect(faultsOf(run).filter(f => f.blame === 'bug')).toEqual([])
    expect(applied(run).filter(id => lie.never.test(id))).toEqual([])
    if (step.endsWith('[lithium]')) expect(writesOn(home, 'lithium')).toEqual([0, 0])
  },
)

test('a look that breaks fails the steps that look so, the others go on; a resume finishes, over a torn journal, too', async context => {
  const home = homeOf(context)
  const run = await rehearseAt(home, {
    where: where => ({
      ...where,
      async manifests(part, signal) {
        if (part.name === 'argocd') throw new TypeError('cannot read what is not there')
        return where.manifests(part, signal)
      },
    }),
  })
  const failures = run.result?.failures ?? []
  expect(failures.map(f => f.step).sort()).toEqual(['preflight/check-manifests', 'preflight/check-secrets'])
  for (const { fault } of failures)
    expect(fault).toMatchObject({
      code: 'bug',
      blame: 'bug',
      message: expect.stringContaining('cannot read what is not there'),
    })
  expect(applied(run).filter(id => id.startsWith('protect/'))).toHaveLength(6)
  expect(applied(run).filter(id => !/^(protect|evidence)\//.test(id))).toEqual([])
  appendFileSync(journalPath(), '{"seq":99,"at":"2026-11-24T02:15:00.000Z","kind":"check')
  const rest = await resumeAt(home)
  expect(rest.result?.state).toBe('finished')
  expect(damageOf(home)).toEqual([])
})
