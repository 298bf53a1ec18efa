import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../cli/program.ts'
import { ladderAt, mac } from '../hosts/install/ladder-at.ts'
import { scratch } from '../runbook/harness.ts'
import { changesToDieAt, everyChange } from './changes-to-die-at.ts'
import { crash, dieAtEach, rehearseWhole } from './expedition.ts'
import type { WorldChange } from './place.ts'

/** Ways to have a machine boot from the network; that by Redfish is taken with the other ways to install. */
const ways: { by: string; host?: Record<string, unknown>; world?: WorldChange; least: number }[] = [
  {
    by: 'IPMI',
    host: { power: { ipmi: '192.0.2.112', credentials: 'bmc', machine: 'M-7737E20A' } },
    least: 3,
  },
  { by: 'efibootmgr', least: 1 },
  {
    by: 'Wake-on-LAN',
    host: { power: { wakeOnLan: mac } },
    world: { hosts: { hydrogen: { begins: 'off' } }, suffers: { 'network-boots-first': 'hydrogen' } },
    least: 1,
  },
]

test.for(ways)(
  'killed in the middle of having a machine boot from the network by $by, it is installed once',
  async ({ by, host, world, least }) => {
    const home = join(scratch('network-boot'), 'home')
    cpSync(join(root, 'examples/home'), home, { recursive: true })
    ladderAt(join(home, 'recover.yaml'), 'pxe', host)
    const golden = await rehearseWhole({ home, phase: 'hosts', ...(world ? { world } : {}) })
    const of = /^(?:hosts\/bring-up-installer|proof\/disarm)\[hydrogen\]$/
    const ends = golden.points.filter(p => p.startsWith('after-effect ') && of.test(p.split(' ')[1] ?? ''))
    // What a BMC is told to forget later, or not, changes nothing else.
    const inside = changesToDieAt(golden.changes, of).filter(p => everyChange || !p.includes('ipmitool raw'))
    expect(inside.length).toBeGreaterThanOrEqual(least)
    const points = [...ends, ...inside]
    const { wrong, unmet, runs } = await dieAtEach(points, 2, those => crash(golden, those))
    process.stdout.write(
      `network boot by ${by}: killed with SIGKILL at ${points.length - unmet.length} points and resumed, in ${runs} runs\n`,
    )
    expect({ wrong, unmet }).toEqual({ wrong: {}, unmet: [] })
  },
)
