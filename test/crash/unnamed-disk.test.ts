import { describe, expect, test } from 'vitest'
import type { Blueprint } from '../../src/lab/blueprint.ts'
import { groundFor } from '../hosts/install/ground.ts'
import { redfish } from '../hosts/install/ladder-at.ts'

type Host = Blueprint['hosts'][number]

/** Ways to install that lead to the disk being written, each with what it starts from. */
const ways: { way: string; host?: Record<string, unknown> }[] = [
  { way: 'flatcar-reset' },
  { way: 'ssh' },
  { way: 'kexec' },
  { way: 'pxe', host: { power: redfish } },
  { way: 'virtual-media', host: { power: redfish } },
  { way: 'by-hand' },
]

/** What happens to the disks between the consent and the writing. */
const tricks: { what: string; trick(host: Host['disks']): void; code: RegExp }[] = [
  {
    what: 'the kernel’s names move',
    trick(disks) {
      const [a, b] = disks as [Host['disks'][number], Host['disks'][number]]
      ;[a.kernelName, b.kernelName] = [b.kernelName, a.kernelName]
    },
    code: /^(done|disk-moved|reset-failed)$/,
  },
  {
    what: 'another disk is where the named one was',
    trick(disks) {
      disks[0]!.serial = 'EXCHANGED'
      disks[0]!.wwn = 'eui.exchanged'
    },
    code: /^(disk-not-found|disk-moved|reset-failed|no-way-to-install)$/,
  },
  {
    what: 'two disks claim the same serial',
    trick(disks) {
      disks[1]!.serial = disks[0]!.serial
    },
    code: /^(disk-ambiguous|disk-moved|reset-failed|no-way-to-install)$/,
  },
]

describe.each(ways)('$way', ({ way, host }) => {
  test.each(tricks)('$what: no disk that was not named is written', async ({ trick, code }) => {
    const context = { onTestFinished: (end: () => unknown) => void ends.push(end) }
    const ends: (() => unknown)[] = []
    try {
      const ground = await groundFor(context, { install: [way], ...(host ? { host } : {}) })
      const brought = await ground.bringUp()
      expect(brought.state).toBe('done')
      const machine = ground.emulator(ground.host)
      const unnamed = machine.state.disks[1]!
      const named = machine.state.disks[0]!
      const serial = named.serial
      // In the moment between the last look and the first byte: the unit's own check is all that is left.
      ground.atLastMoment(() => trick(machine.state.disks))
      let end = 'done'
      try {
        const seen = await ground.install()
        if (seen.state !== 'done') end = seen.state === 'blocked' ? seen.code : seen.state
      } catch (thrown) {
        end = (thrown as { code?: string }).code ?? String(thrown)
      }
      expect(end).toMatch(code)
      expect(unnamed.writes).toBe(0)
      if (named.serial !== serial || unnamed.serial === serial) expect(named.writes).toBe(0)
    } finally {
      for (const end of ends.reverse()) await end()
    }
  })
})
