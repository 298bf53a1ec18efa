import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { fromScratch } from '../../runbooks/from-scratch.ts'
import { onlyPhases } from '../../src/runbook/only-phases.ts'
import { applied, homeOf, journalPath, recordsNow, rehearseAt, resumeAt, writesOn } from './home.ts'

const time = { timeout: 60_000 }

test.each([
  ['preflight/check-k0sctl', 'kubernetes'],
  ['preflight/check-bootstrap', 'bootstrap'],
  ['preflight/check-applications', 'bootstrap'],
  ['preflight/reach-repository', 'applications'],
])('%s belongs to a run of %s, and to none of the hosts alone', (check, phase) => {
  const steps = (phases: string[]) => onlyPhases(fromScratch, phases).steps.map(step => step.id)
  expect(steps([phase])).toContain(check)
  expect(steps(['hosts', phase])).toContain(check)
  expect(steps(['hosts'])).not.toContain(check)
})

test('what a later phase cannot work with is refused before a disk is written', time, async context => {
  const home = homeOf(context)
  const manifests = join(home.file, '../bootstrap/cilium.yaml')
  const text = readFileSync(manifests, 'utf8')
  writeFileSync(manifests, text.replaceAll('192.0.2.11', 'kubernetes.default.svc'))
  const { result } = await rehearseAt(home, { only: ['hosts', 'kubernetes', 'bootstrap'] })
  expect(result?.state).toBe('failed')
  expect(result?.failures).toMatchObject([
    { step: 'preflight/check-bootstrap', fault: { code: 'cilium-api-circular' } },
  ])
  expect([...writesOn(home, 'lithium'), ...writesOn(home, 'hydrogen')]).toEqual([0, 0, 0, 0])
})

test(
  '--only hosts: machines and nothing else, stopped in the middle and resumed as what it was',
  time,
  async context => {
    const home = homeOf(context)
    const stop = new AbortController()
    const first = await rehearseAt(home, {
      only: ['hosts'],
      stop: stop.signal,
      sink: event => {
        if (event.code === 'step-done' && event.step.startsWith('hosts/install-flatcar')) stop.abort()
      },
    })
    expect(first.refused).toBeUndefined()
    expect(first.result?.state).toBe('stopped')
    expect(recordsNow()[0]).toMatchObject({ kind: 'run-began', only: ['hosts'] })
    const second = await resumeAt(home)
    expect(second.result).toMatchObject({ state: 'finished', failures: [] })
    expect(writesOn(home, 'lithium')).toEqual([1, 0])
    expect(writesOn(home, 'hydrogen')).toEqual([1, 0])
    const phases = new Set([...applied(first), ...applied(second)].map(step => step.split('/')[0]))
    // Old disks on the NAS are left alone; the machines' small files are kept, and their updates released in the end.
    expect([...phases].sort()).toEqual(['evidence', 'hosts', 'proof'])
    expect([...applied(first), ...applied(second)]).toContain('proof/resume-os-updates[lithium]')
    const kept = join(dirname(journalPath()), 'evidence/hydrogen/etc/iscsi/initiatorname.iscsi')
    expect(existsSync(kept) && readFileSync(kept, 'utf8')).toMatch(/^InitiatorName=/)
  },
)
