import type { InstallRung } from './rung.ts'

/** The last rung, and the one that always works: a person with a USB stick. */
export const byHand: InstallRung = {
  name: 'by-hand',
  says: host => `ask you to boot ${host} from the Flatcar USB stick`,
  async bringUp(host, { askHand }) {
    askHand(
      `Put the Flatcar USB stick into ${host}, switch ${host} on (or off and on again), choose the stick in the boot menu, and leave it at the login prompt. Nothing is written until then.`,
    )
  },
}
