import { describe, expect, test } from 'vitest'
import { applied, failuresOf, faultsOf, homeOf, labNow, rehearseAt, resumeAt, writesOn, yes } from './home.ts'

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

// The disk of lithium is named in the plan and agreed to before anything runs; that of hydrogen is found in the middle,
// and what happens while the person makes up their mind must not be missed.
describe.each([
  { host: 'lithium', other: 'hydrogen', when: 'after the plan was agreed to' },
  { host: 'hydrogen', other: 'lithium', when: 'while a person thinks about it' },
])('$when', ({ host, other }) => {
  test.for(changes)('$what: $code, and it is not written', async ({ order, code, says }, context) => {
    const home = homeOf(context)
    const asked: string[] = []
    const run = await rehearseAt(home, {
      async consent({ victims }) {
        asked.push(...victims.map(v => v.name.split(' ')[0] ?? ''))
        if (asked.at(-1) === host) await (await labNow(home)).order('swap-disk', { name: host, ...order })
        return yes
      },
    })
    expect(asked).toEqual(['lithium', 'hydrogen'])
    expect(run.result?.state).toBe('failed')
    expect(failuresOf(run)).toEqual({ [`hosts/install-flatcar[${host}]`]: code })
    const [fault] = faultsOf(run)
    expect(fault?.message).toMatch(says)
    expect(fault?.remedy).toMatch(/./)
    expect(writesOn(home, host)).toEqual([0, 0])
    expect(applied(run).filter(step => later.test(step))).toEqual([])
    // The other machine is no worse for it.
    expect(writesOn(home, other)).toEqual([1, 0])
  })
})

test('nobody agrees: nothing is written, and the same run asks again', async context => {
  const home = homeOf(context)
  const first = await rehearseAt(home, {
    consent: async ({ victims }) => (victims[0]?.name.startsWith('hydrogen') ? undefined : yes),
  })
  expect(failuresOf(first)).toEqual({ 'hosts/install-flatcar[hydrogen]': 'consent-missing' })
  expect(writesOn(home, 'hydrogen')).toEqual([0, 0])
  const stop = new AbortController()
  const second = await resumeAt({
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
