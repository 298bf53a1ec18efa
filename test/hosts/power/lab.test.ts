import type { BmcQuirk } from '../../../src/lab/blueprint.ts'
import { powerContract } from './contract.ts'
import { byRedfish, labBmc } from './lab-bmc.ts'

const quirksTogether: BmcQuirk[][] = [
  [],
  ['no-sessions', 'no-boot-mode', 'action-info'],
  ['needs-etag', 'tasks', 'no-target-none'],
  ['etag-strong', 'boot-settings-apart', 'media-under-manager', 'media-image-only'],
  ['boot-continuous', 'media-by-patch', 'needs-etag'],
]

for (const quirks of quirksTogether)
  powerContract(`the lab’s Redfish${quirks.length === 0 ? '' : ` with ${quirks.join(', ')}`}`, async () => {
    const lab = await labBmc(quirks)
    const { writer, close } = byRedfish(lab)
    return {
      power: writer,
      identity: lab.identity,
      really: {
        on: () => lab.machine.on(),
        bootsFrom: () => lab.machine.bootOverride(),
        media: () => lab.machine.media(),
      },
      words: { pxe: 'pxe', cd: 'cd', disk: quirks.includes('boot-continuous') ? undefined : 'disk' },
      lasts: quirks.includes('boot-continuous') ? 'until-cleared' : 'once',
      image: 'http://127.0.0.1:9/installer.iso',
      close: async () => {
        await close()
        await lab.close()
      },
    }
  })
