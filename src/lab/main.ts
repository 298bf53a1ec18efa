import { onlyLoopback } from './isolation.ts'
import { startLab } from './lab.ts'
import { World } from './world.ts'

/** The lab's own process: `node main.js FOLDER stays|ends`. Says `ready` on its channel to the parent. */
const [folder = '', idle = 'ends'] = process.argv.slice(2)
onlyLoopback()
const world = World.open(folder)
const lab = await startLab(world)
process.send?.('ready')
process.disconnect?.()

// A rehearsal that was killed and never resumed must not leave a process behind for ever; its world is on disk.
const patienceMs = 10 * 60_000
if (idle === 'ends')
  setInterval(() => {
    if (performance.now() - world.spokenToAt > patienceMs) void lab.close().then(() => process.exit(0))
  }, 30_000).unref()
