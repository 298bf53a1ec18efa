import { describe, expect, test } from 'vitest'
import type { KeptLab } from '../../src/lab/keeper.ts'
import {
  applied,
  failuresOf,
  faultsOf,
  homeOf,
  labNow,
  rehearseAt,
  resumeAt,
  settleVolumes,
  writesOn,
  yes,
} from '../recovery/home.ts'

/** Nothing that builds on a machine may have begun. */
const later = /^(?:kubernetes|bootstrap|volumes|applications|proof)\//

const changes = [
  {
    what: 'another disk is there',
    order: { serial: 'ANOTHER-0001' },
    code: 'disk-not-found',
    says: /has no disk with serial \w+; it has .*ANOTHER-0001.*Nothing was written/,
  },
  {
    what: 'another disk is there that claims the same serial',
    order: { wwn: 'eui.dddddddddddddddd', model: 'Counterfeit' },
    code: 'victim-differs',
    says: /wwn was eui\.\w+ and is eui\.d+, model was Lab NVMe 500GB and is Counterfeit; nothing was written/,
  },
  {
    what: 'the disk holds something else',
    order: { label: 'PHOTOS' },
    code: 'victim-content-changed',
    says: /then \[.*ext4 ROOT\], now \[.*ext4 PHOTOS\]; nothing was written/,
  },
]

/** A machine that is off when the plan is made: its disk is only found in the middle, and asked about then. */
const off = (lab: KeptLab) => lab.order('off', { name: 'hydrogen' })

describe.each([
  { when: 'after the plan was agreed to', atFirst: async () => {}, asked: ['lithium hydrogen'] },
  { when: 'while a person thinks about it', atFirst: off, asked: ['lithium', 'hydrogen'] },
])('$when', ({ atFirst, asked }) => {
  test.for(changes)('$what: $code, and it is not written', async ({ order, code, says }, context) => {
    const home = homeOf(context)
    settleVolumes(home)
    const questions: string[] = []
    const run = await rehearseAt(home, {
      atFirst,
      async consent({ victims }) {
        // Beside the disks stands the data that was seen on them.
        const hosts = victims.flatMap(v => (v.kind === 'disk' ? [v.name.split(' ')[0]] : []))
        questions.push(hosts.join(' '))
        if (hosts.includes('hydrogen'))
          await (await labNow(home)).order('swap-disk', { name: 'hydrogen', ...order })
        return yes
      },
    })
    expect(questions).toEqual(asked)
    expect(run.result?.state).toBe('failed')
    expect(Object.values(failuresOf(run))).toEqual([code])
    const [fault] = faultsOf(run)
    expect(fault?.message).toMatch(says)
    expect(fault?.remedy).toMatch(/./)
    expect(writesOn(home, 'hydrogen')).toEqual([0, 0])
    expect(applied(run).filter(step => later.test(step))).toEqual([])
    // The other machine is no worse for it.
    expect(writesOn(home, 'lithium')).toEqual([1, 0])
  })
})

test('nobody agrees: nothing is written, and the same run asks again', async context => {
  const home = homeOf(context)
  settleVolumes(home)
  const first = await rehearseAt(home, {
    atFirst: off,
    consent: async ({ victims }) => (victims[0]?.name.startsWith('hydrogen') ? undefined : yes),
  })
  expect(failuresOf(first)).toEqual({ 'hosts/install-flatcar[hydrogen]': 'consent-missing' })
  expect(writesOn(home, 'hydrogen')).toEqual([0, 0])
  const stop = new AbortController()
  const second = await resumeAt(home, {
    stop: stop.signal,
    sink: event => {
      if (event.code === 'step-done' && event.step === 'hosts/install-flatcar[hydrogen]') stop.abort()
    },
  })
  expect(second.result?.state).toBe('stopped')
  expect(second.events.filter(e => e.code === 'consent-needed')).toHaveLength(1)
  expect(writesOn(home, 'hydrogen')).toEqual([1, 0])
  expect(writesOn(home, 'lithium')).toEqual([1, 0])
})
