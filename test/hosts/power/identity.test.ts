import { describe, expect, test } from 'vitest'
import { assertSameMachine, machineNamed, sameMachine } from '../../../src/hosts/power/identity.ts'

const uuid = '4c4c4544-0043-5910-8053-b4c04f564433'

describe('the same machine', () => {
  test.each([
    ['its serial, whatever its case', { serial: 'm-lithium ', macs: [] }, { serial: 'M-LITHIUM' }],
    ['a UUID', { uuid, macs: [] }, { uuid: uuid.toUpperCase() }],
    ['a UUID with SMBIOS’s byte order', { uuid, macs: [] }, { uuid: '44454c4c-4300-1059-8053-b4c04f564433' }],
    ['a UUID with all bytes reversed', { uuid, macs: [] }, { uuid: '3344564f-c0b4-5380-1059-430044454c4c' }],
    [
      'one of its MAC addresses',
      { macs: ['52:54:00:00:00:02', '52:54:00:00:00:01'] },
      { macs: ['52-54-00-00-00-01'] },
    ],
    [
      'a UUID where the serials are written differently',
      { uuid, serial: '.7Q3.CN7475', macs: [] },
      { uuid, serial: '7Q3' },
    ],
  ])('by %s', (_, seen, known) => {
    expect(sameMachine(seen, known)).toMatchObject({ verdict: 'same' })
  })

  test('says by what', () => {
    expect(sameMachine({ serial: 'A1', macs: ['52:54:00:00:00:01'] }, { serial: 'A1' })).toEqual({
      verdict: 'same',
      by: ['serial A1'],
    })
  })
})

describe('another machine', () => {
  test.each([
    ['another serial', { serial: 'A1', macs: [] }, { serial: 'B2' }],
    [
      'another UUID in the same chassis',
      { serial: 'CH', uuid, macs: [] },
      { serial: 'CH', uuid: uuid.replace('4c', '4d') },
    ],
    [
      'no MAC address in common',
      { serial: 'CH', macs: ['52:54:00:00:00:01'] },
      { serial: 'CH', macs: ['52:54:00:00:00:02'] },
    ],
    [
      'one UUID for the whole batch',
      { uuid, macs: ['52:54:00:00:00:01'] },
      { uuid, macs: ['52:54:00:00:00:02'] },
    ],
  ])('by %s', (_, seen, known) => {
    expect(sameMachine(seen, known)).toMatchObject({ verdict: 'other' })
  })
})

describe('nothing to compare', () => {
  test.each([
    [
      'filler for a serial',
      { serial: 'To Be Filled By O.E.M.', macs: [] },
      { serial: 'To be filled by O.E.M.' },
    ],
    ['zeros for a serial', { serial: '0000000', macs: [] }, { serial: '0000000' }],
    [
      'AMI’s UUID',
      { uuid: '03000200-0400-0500-0006-000700080009', macs: [] },
      { uuid: '03000200-0400-0500-0006-000700080009' },
    ],
    ['a card without an address', { macs: ['00:00:00:00:00:00'] }, { macs: ['00:00:00:00:00:00'] }],
    ['different things known', { serial: 'A1', macs: [] }, { macs: ['52:54:00:00:00:01'] }],
  ])('%s', (_, seen, known) => {
    expect(sameMachine(seen, known)).toMatchObject({ verdict: 'unproven' })
  })
})

describe('before power is touched', () => {
  const where = 'the BMC of lithium (https://192.0.2.111)'
  test('another machine is refused, even vouched for', () => {
    for (const vouched of [false, true])
      expect(() =>
        assertSameMachine('lithium', where, { serial: 'A1', macs: [] }, { serial: 'B2' }, vouched),
      ).toThrow(
        expect.objectContaining({
          code: 'power-other-machine',
          message: expect.stringContaining('A1, not B2'),
        }),
      )
  })
  test('an unproven one is refused unless a person vouches for it', () => {
    expect(() => assertSameMachine('lithium', where, { macs: [] }, { serial: 'B2' }, false)).toThrow(
      expect.objectContaining({ code: 'power-machine-unproven' }),
    )
    expect(assertSameMachine('lithium', where, { macs: [] }, { serial: 'B2' }, true)).toContain(
      'recover.yaml says so',
    )
  })
  test('what recover.yaml says of it is a MAC address, a UUID or a serial', () => {
    expect(machineNamed('52:54:00:00:00:01')).toEqual({ macs: ['52:54:00:00:00:01'] })
    expect(machineNamed(uuid)).toEqual({ uuid })
    expect(machineNamed('S4EVNX0M')).toEqual({ serial: 'S4EVNX0M' })
    expect(machineNamed('unchecked')).toEqual({})
  })
})
