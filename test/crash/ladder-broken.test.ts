import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from '../cli/program.ts'
import { groundFor } from '../hosts/install/ground.ts'
import { ladderAt, redfish } from '../hosts/install/ladder-at.ts'
import { scratch } from '../runbook/harness.ts'
import { changesToDieAt } from './changes-to-die-at.ts'
import { crash, dieAtEach, rehearseWhole } from './expedition.ts'
import { isOfChange } from './place.ts'

/** Ways to install that leave something half done on the machine, at its BMC or in the network. */
const ways: { way: string; host?: Record<string, unknown> }[] = [
  { way: 'flatcar-reset' },
  { way: 'kexec' },
  { way: 'pxe', host: { power: redfish } },
  { way: 'virtual-media', host: { power: redfish } },
]

// Two at a time: each waits for its own lab and programs a part of the time.
const atOnce = 2

describe.each(ways)('$way', ({ way, host }) => {
  test('killed at any point of it and resumed by a new process, the machine ends the same', async () => {
    const home = join(scratch('ladder'), 'home')
    cpSync(join(root, 'examples/home'), home, { recursive: true })
    ladderAt(join(home, 'recover.yaml'), way, host)
    try {
      const golden = await rehearseWhole({ home, phase: 'hosts' })
      const ours = golden.distinct.filter(point => !/lithium/.test(point))
      expect(ours.length).toBeGreaterThan(15)
      const changes = changesToDieAt(golden.changes, /^hosts\/.*\[hydrogen\]$/)
      expect(changes.length).toBeGreaterThan(4)
      const points = [...ours, ...changes]
      const { wrong, unmet, runs } = await dieAtEach(points, atOnce, those => crash(golden, those))
      process.stdout.write(
        `${way}: ${points.length - unmet.length} crash points killed with SIGKILL and resumed, in ${runs} runs\n`,
      )
      expect(wrong).toEqual({})
      expect(unmet.length).toBeLessThan(5)
      expect(unmet.filter(isOfChange)).toEqual([])
    } finally {
      rmSync(home, { recursive: true, force: true })
    }
  })

  test.each(['before it arrives', 'and its answer is lost'])(
    'the line cut at any command, %s: found again, installed once or begun anew',
    async when => {
      let cut = true
      for (let at = 1; cut; at += 1) {
        const ends: (() => unknown)[] = []
        const context = { onTestFinished: (end: () => unknown) => void ends.push(end) }
        try {
          const ground = await groundFor(context, { install: [way], ...(host ? { host } : {}) })
          ground.patience.ms = 60_000
          const machine = ground.emulator(ground.host)
          const run = machine.run.bind(machine)
          let commands = 0
          machine.run = (line, stdin) => {
            commands += 1
            if (commands !== at) return run(line, stdin)
            const output =
              when === 'before it arrives' ? { stdout: '', stderr: '', code: 0 } : run(line, stdin)
            return { ...output, drops: true }
          }
          const where = `cut at command ${at}`
          expect(await ground.bringUp(), where).toMatchObject({ state: 'done' })
          expect(await ground.install(), where).toMatchObject({ state: 'done' })
          const [named, unnamed] = ground.writes()
          expect(unnamed, where).toBe(0)
          expect([1, 2], where).toContain(named)
          expect(ground.model(), where).not.toHaveProperty('media')
          expect(ground.hosts.leftovers(ground.host), where).toEqual([])
          cut = commands >= at
        } finally {
          for (const end of ends.reverse()) await end()
        }
        expect(at).toBeLessThan(100)
      }
    },
  )
})
