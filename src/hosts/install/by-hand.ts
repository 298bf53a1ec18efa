import type { InstallerRung } from './rung.ts'

/** The last rung, and the one that always works: a person with a USB stick. */
export const byHand: InstallerRung = {
  name: 'by-hand',
  leadsTo: 'installer',
  refuses: () => undefined,
  says: ({ host }) => `ask you to boot ${host} from the Flatcar USB stick`,
  async bringUp({ host, disk }, hands, { askHand, wait }) {
    askHand(
      `Put the Flatcar USB stick into ${host}, switch ${host} on (or off and on again), choose the stick in the boot menu, and leave it at the login prompt. Nothing is written until then.`,
    )
    const named = [disk.serial, disk.wwn].filter(Boolean).join(', ')
    // Somebody who types has all the time of the step; the machine is known by the disk that recover.yaml names.
    await wait(`an installer to answer on ${host}, with the disk ${named}`, () => hands.found(), {
      every: '5s',
    })
  },
}
