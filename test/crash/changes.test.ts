import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ladderAt, redfish } from '../hosts/install/ladder-at.ts'
import { type Home, homeOf } from '../recovery/home.ts'
import { withPhotosOnNfs, withVolumeInGit } from '../recovery/nfs-home.ts'
import { restoreFrom } from '../recovery/restored-home.ts'
import { changesToDieAt, everyChange } from './changes-to-die-at.ts'
import { crash, dieAtEach, rehearseWhole } from './expedition.ts'
import { byStrategy } from './strategy-home.ts'

const onShares = (home: Home) => {
  withPhotosOnNfs(home)
  withVolumeInGit(home, { own: false })
  edit(home, text => text.replace('cache: new', 'cache: new\n  photos/library: clone'))
}
const edit = ({ file }: Home, change: (text: string) => string) =>
  writeFileSync(file, change(readFileSync(file, 'utf8')))

interface Kind {
  what: string
  prepare?: (home: Home) => unknown
  phase?: string
  /** Steps that this home alone has, or that do something else in it than in those before. */
  own: RegExp
  /** Steps at which a run dies when it is to die everywhere. */
  all: RegExp
  least: number
}

const volumes = /^(?:volumes|protect)\//
const way = (what: string, host?: Record<string, unknown>): Kind => ({
  what,
  prepare: home => ladderAt(home.file, what, host),
  phase: 'hosts',
  own: /^hosts\/.*\[hydrogen\]/,
  all: /hydrogen/,
  least: 3,
})
const strategy = (what: string, own: RegExp, least: number): Kind => ({
  what,
  prepare: home => edit(home, text => byStrategy(text, what)),
  own,
  all: volumes,
  least,
})

const kinds: Kind[] = [
  { what: 'from scratch', own: /./, all: /./, least: 30 },
  strategy('clone', /^volumes\/clone/, 5),
  strategy('host-copy', /^volumes\/(?:copy-on-host|host-copy)/, 10),
  strategy('restore', /^volumes\/(?:drop-)?restore/, 3),
  // Its steps are those of one claim from scratch.
  ...(everyChange ? [strategy('copy', volumes, 10)] : []),
  { what: 'a share', prepare: onShares, own: /photos\/library/, all: /photos\/library/, least: 4 },
  {
    what: 'a restored control plane',
    prepare: home => restoreFrom(home.file),
    own: /^kubernetes\/|^volumes\/adopt/,
    all: /^(?:kubernetes|volumes|protect)\//,
    least: 4,
  },
  way('flatcar-reset'),
  way('kexec'),
  way('pxe', { power: redfish }),
  way('virtual-media', { power: redfish }),
]

test.for(kinds)(
  '$what: killed in the middle of what a step does, the run ends in the same world',
  async ({ what, prepare, phase, own, all, least }, context) => {
    const home = homeOf(context)
    await prepare?.(home)
    const golden = await rehearseWhole({ home: join(home.file, '..'), ...(phase ? { phase } : {}) })
    const points = changesToDieAt(golden.changes, everyChange ? all : own)
    expect(points.length).toBeGreaterThanOrEqual(least)
    const { wrong, unmet, runs } = await dieAtEach(points, 3, those => crash(golden, those))
    process.stdout.write(
      `${what}: killed with SIGKILL at ${points.length - unmet.length} of ${golden.changes.length} points in the middle of effects and resumed, in ${runs} runs\n`,
    )
    expect({ wrong, unmet }).toEqual({ wrong: {}, unmet: [] })
  },
)
