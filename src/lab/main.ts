import { startLab } from './lab.ts'
import { World } from './world.ts'

/** The lab's own process: `node main.js FOLDER`. Says `ready` on its channel to the parent; ends when told to. */
const [folder = ''] = process.argv.slice(2)
await startLab(World.open(folder))
process.send?.('ready')
process.disconnect?.()
