import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Blueprint } from '../../src/lab/blueprint.ts'
import type { NasState } from '../../src/lab/nas/state.ts'
import type { Exchange } from '../../src/nas/nas.ts'
import { anonymise } from '../../src/nas/synology/anonymise.ts'
import { findingsOf } from '../../src/nas/synology/findings.ts'
import { inspectSynology } from '../../src/nas/synology/inspect.ts'
import { anyValues, withValue } from './changed-value.ts'
import { connectedNas } from './connected-nas.ts'
import { recordedNas } from './recorded-nas.ts'

const person = {
  hostname: 'Smiths-NAS',
  claim: 'paperless/tax-returns',
  share: 'k8s-csi-pvc-77f97c58-db4d-4205-8',
  private: 'Letters to Anna',
  initiator: 'iqn.1999-09.org.smith:study.desk',
  ip: '203.0.113.77',
  note: 'before Bob broke it',
}

/** A NAS with something of a person's in every place where one writes. */
function lived(blueprint: Blueprint): void {
  blueprint.nas.hostname = person.hostname
  blueprint.nas.luns[0]!.claim = person.claim
  blueprint.nas.luns.push({
    ...blueprint.nas.luns[0]!,
    uuid: 'bbbbbbbb-1111-4222-8333-444455556666',
    pv: 'anna',
    described: false,
  })
}

async function livedIn() {
  const nas = await connectedNas(lived)
  const { writer, lun, emulator, world } = nas
  await writer.takeSnapshot(lun.uuid, 'recover-20261128-1', person.note)
  await writer.clone({ lun: lun.uuid }, { name: 'spare-of-anna', description: person.note })
  emulator.seam.login(lun.uuid, person.initiator, person.ip)
  // Shares and their rules are the CSI driver's alone to make, so they are put into the tables.
  const state = world.read<NasState>('nas')!
  state.shares = [person.share, person.private].map((name, i) => ({
    name,
    uuid: `cccccccc-1111-4222-8333-44445555666${i}`,
    volume: '/volume1',
    description: person.note,
    quota: 1024,
    rules: [{ client: person.ip, privilege: 'rw', root_squash: 'root', async: true }],
    permissions: [],
    snapshots: [
      {
        time: 'GMT+00-2026.11.28-10.00.00',
        uuid: 'dddddddd-1111-4222-8333-444455556666',
        description: person.note,
        locked: true,
      },
    ],
  }))
  return rebuilt(state, lived)
}

/** A NAS of the lab with these tables. */
async function rebuilt(state: NasState, change: (blueprint: Blueprint) => void) {
  return connectedNas(change, {}, world => world.write('nas', state))
}

const inspect = async (nas: Awaited<ReturnType<typeof connectedNas>>) => {
  const found = await inspectSynology(nas.access)
  expect(nas.world.mutations.nas).toBe(0)
  return found
}

test('tells what a recovery depends on, and changes nothing', async () => {
  const nas = await livedIn()
  const { answers } = await inspect(nas)
  const says = Object.fromEntries(answers.map(a => [a.about, a.says]))
  expect(says).toMatchObject({
    System: 'DS923+, DSM 7.2.2-72806',
    Limits: '3 of 256 LUNs, 3 of 128 targets, at most 1 of 256 snapshots of one LUN',
    'Volume /volume1': expect.stringContaining('btrfs, normal, '),
    'Protection against CSRF': expect.stringContaining('on: '),
    'LUN descriptions': '1 of 2 LUNs of the CSI driver name their claim',
    'LUN types': '3 BLUN',
    'In use now': '1 of 3 targets have a session',
    'Shared folders of the CSI driver': '1',
    'LUNs and targets: without the prefix k8s-csi, which the CSI driver does not see': 'spare-of-anna',
    'Former names of the NAS in IQNs': 'none',
    Refusals: expect.stringContaining('SYNO.Core.ISCSI.LUN get v1: 18990531; '),
  })
  expect(says.Refusals).not.toContain('does not know')
  expect(answers.filter(a => a.warns).map(a => a.about)).toContain('Protection against CSRF')
})

test('protection against CSRF that is off is told from one that is on', async () => {
  const nas = await connectedNas(b => {
    b.nas.csrf = false
  })
  const { answers } = await inspect(nas)
  expect(answers).toContainEqual({
    about: 'Protection against CSRF',
    says: 'off, as the CSI driver needs it',
  })
})

test('a refused login is what keeps a NAS from being inspected', async () => {
  const nas = await connectedNas()
  nas.world.arm('nas-login-refused', '403', 99)
  await expect(inspectSynology(nas.access)).rejects.toMatchObject({ code: 'nas-wants-one-time-password' })
})

test('a recording holds nothing of a person’s, and still tells the same things apart', async () => {
  const nas = await livedIn()
  const { exchanges, answers } = await inspect(nas)
  const recording = anonymise(exchanges)
  const text = JSON.stringify(recording).toLowerCase()
  expect(JSON.stringify(exchanges)).toContain(person.note)
  const planted = [
    ...Object.values(person),
    ...Object.values(person)
      .flatMap(v => v.split(/[/.:\s-]/))
      .filter(w => /^[a-z]{4,}$/i.test(w) && !['before', 'volume', 'desk'].includes(w)),
    'recover-20261128',
    '20261128-1',
    nas.lun.uuid,
    nas.lun.pv.slice(4),
    'correct horse',
    'lab0000000001',
    '127.0.0.1',
    nas.emulator.fingerprint.slice(7),
  ]
  expect(planted.filter(p => text.includes(p.toLowerCase()))).toEqual([])
  // Two that were the same are the same still: a LUN's target leads to it, its snapshot is of it.
  const { state } = recordedNas(recording)
  expect(state.targets.map(t => state.luns.findIndex(l => l.uuid === t.mappings[0]?.lun))).toEqual([0, 1, 2])
  expect(state.snapshots.map(s => s.lun)).toEqual([state.luns[0]!.uuid])
  expect(state.luns[2]!.parent).toBe(state.luns[0]!.uuid)
  expect(state.luns[0]!.name).toMatch(/^k8s-csi-pvc-00000000-0000-4000-8000-/)
  expect(state.luns[0]!.description).toMatch(/^name-\d+\/name-\d+$/)
  expect(answers.length).toBeGreaterThan(12)
})

test('whatever becomes of one value in what a NAS said, it is told of and recorded', async () => {
  const { exchanges } = await inspect(await livedIn())
  const values = JSON.stringify(exchanges).split(/[:,[{]/).length
  fc.assert(
    fc.property(fc.nat(values), fc.constantFrom(...anyValues), (nth, value) => {
      const data = withValue(
        exchanges.map(e => e.answer.data),
        nth + 1,
        value,
      ) as unknown[]
      const changed = exchanges.map((e, i) => ({ ...e, answer: { ...e.answer, data: data[i] } }))
      expect(findingsOf(changed, false).length).toBeGreaterThan(8)
      expect(anonymise(changed)).toHaveLength(exchanges.length)
    }),
    { numRuns: 500 },
  )
})

test('the lab’s NAS made from a recording says what was recorded', async () => {
  const recording = anonymise((await inspect(await livedIn())).exchanges)
  const { change, state } = recordedNas(recording)
  const again = await inspect(await rebuilt(state, change))
  expect(anonymise(again.exchanges)).toEqual(recording)
})

test('nothing that is not known to be impersonal gets through, wherever it stands', () => {
  const keys = fc.constantFrom(
    'name',
    'description',
    'passwd',
    'mutual_password',
    'note',
    'acls',
    'status',
    'iqn',
    'ip',
    'type_str',
  )
  const planted = fc.stringMatching(/^[A-Z][a-z]{3,7} [A-Z][a-z]{3,7}\d{2}$/)
  const data = fc.letrec(tie => ({
    value: fc.oneof(
      { depthSize: 'small' },
      planted,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.oneof(keys, planted), tie('value'), { maxKeys: 3 }),
    ),
  })).value
  fc.assert(
    fc.property(data, said => {
      const exchange = {
        api: 'SYNO.Core.X',
        method: 'list',
        version: 1,
        parameters: {},
        answer: { success: true, data: said },
      }
      const kept = JSON.stringify(anonymise([exchange as Exchange]))
      for (const [text] of JSON.stringify(said).matchAll(/[A-Z][a-z]{3,7} [A-Z][a-z]{3,7}\d{2}/g))
        expect(kept).not.toContain(text)
    }),
  )
})

test('a person’s name that looks like a key is no key', () => {
  const data = { acls: { anna: { permission: 'rw' } }, owner: 'anna', status: 'normal' }
  const exchange: Exchange = {
    api: 'SYNO.Core.X',
    method: 'list',
    version: 1,
    parameters: {},
    answer: { success: true, data },
  }
  expect(anonymise([exchange])[0]!.answer.data).toEqual({
    acls: { 'name-1': { permission: 'rw' } },
    owner: 'name-1',
    status: 'normal',
  })
})
